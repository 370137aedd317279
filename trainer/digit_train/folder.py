"""The folder of a run: one training in it at a time, and none over an earlier one unasked."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from digit_infer.errors import OutputError
from digit_infer.files import locked

CHECKPOINT = "checkpoint.npz"
MODEL = "model.keras"


@contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Make a folder and lock it against other trainings; made for nothing, it is removed again. Raises OutputError."""
    made = not folder.exists()
    try:
        with locked(folder / MODEL, "digit-train", "--out"):
            for torn in folder.glob(f".{Path(CHECKPOINT).stem}.*"):  # of a run that was killed as it wrote one
                torn.unlink()
            yield
    finally:
        if made:
            with suppress(OSError):  # it holds the run
                folder.rmdir()


def check_free(folder: Path, resume: bool) -> None:
    """Raise OutputError where an earlier run would be replaced."""
    if (folder / CHECKPOINT).exists():
        if not resume:
            raise OutputError(f"{folder} holds an interrupted run: --resume goes on with it, --force starts over")
    elif (folder / MODEL).exists():
        raise OutputError(f"{folder} holds a finished run: name another --out, or --force starts over")
