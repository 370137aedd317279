"""How a model is exported; the defaults feed the command line, so this must load fast."""

from dataclasses import dataclass
from typing import Literal, get_args

Quantization = Literal["int8", "int16x8", "float16", "dynamic", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
MAX_LOST = 0.002  # of the right answers that may be rejected for the sake of what is no digit


@dataclass(frozen=True)
class Settings:
    """What decides the file, apart from the weights; pictures are counted per class."""

    quantize: Quantization = "int8"
    calibration: int = 50
    golden: int = 2
