"""How a model is exported; the defaults feed the command line, so this must load fast."""

from typing import Literal, get_args

Quantization = Literal["int8", "int16x8", "float16", "dynamic", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
MAX_LOST = 0.002  # of the right answers that may be rejected for the sake of what is no digit
CALIBRATION, GOLDEN = 50, 2  # training pictures of each class, for the ranges and for the golden vectors
