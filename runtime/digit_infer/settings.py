"""What a run can be told; the defaults feed the command line, so this must load fast."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("table", "csv", "jsonl")  # of rows on stdout
RUNTIMES = ("litert", "tflite-runtime", "tensorflow")  # in order of preference
SHIPPED = ("base", "small", "nano")  # the models in the package


@dataclass(frozen=True)
class Options:
    """What decides the rows, beside model and inputs."""

    min_confidence: float | None = None  # None for the model's own
    labels: str | None = None  # `folders` or a CSV file


@dataclass(frozen=True)
class Effort:
    """How a run goes about it; the rows are the same."""

    workers: int | None = None  # processes; None for one per usable core
    batch_size: int = 512  # pictures per invocation, at most


@dataclass(frozen=True)
class Output:
    """Where the rows go, and what becomes of those that are there."""

    path: "Path | None" = None  # None for stdout
    format: str | None = None  # on stdout; None for a table on a terminal, CSV in a pipe
    resume: bool = False
    retry_errors: bool = False
    force: bool = False
    progress: bool = False
    debug_dir: "Path | None" = None
    report: "Path | None" = None
