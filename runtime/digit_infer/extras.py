"""What only some installations have."""

import importlib

from digit_infer.errors import DigitError
from digit_infer.quiet import native_stderr_silenced


def require(module: str, extra: str) -> None:
    """Load a module of an extra. Raises DigitError with the command that installs it."""
    try:
        with native_stderr_silenced():
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise DigitError(f"{error.name} is not installed: pip install 'digit-edge[{extra}]'") from error
