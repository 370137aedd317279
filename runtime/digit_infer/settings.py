"""What a run can be told; the defaults feed the command line, so this must load fast."""

from dataclasses import dataclass

RUNTIMES = ("litert", "tflite-runtime", "tensorflow")  # in order of preference
SHIPPED = ("base", "small", "nano")  # the models in the package


@dataclass(frozen=True)
class Options:
    """How a run answers."""

    batch_size: int = 256
    min_confidence: float | None = None  # None for the model's own
    labelled: bool = False  # the folder's name, 0 to 9, is the truth
