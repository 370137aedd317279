"""Keep the chatter of native libraries out of what the user sees."""

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

ONE_AT_A_TIME = threading.RLock()  # or what one thread has silenced would be what another brings back


@contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 to nowhere: TensorFlow and TFLite log there, past Python, and no setting stops them.

    What goes wrong still comes out, as an exception.
    """
    with ONE_AT_A_TIME:
        if sys.stderr:
            sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(nowhere)


@contextmanager
def warnings_silenced() -> Iterator[None]:
    """Ignore all warnings."""
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
