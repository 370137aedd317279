"""The command, and python -m digit_infer."""

import errno
import os
import sys
from contextlib import suppress
from typing import NoReturn

from digit_infer.cli import main


def open_what_is_closed() -> None:
    """Keep the number of a standard stream that was closed (`>&-`) from files to come; rows can still not go there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def run() -> NoReturn:
    """Run the command and end at once: taking Python, numpy and TFLite apart first would take 9 ms."""
    open_what_is_closed()
    try:
        main(prog_name="digit-infer")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE and code != 1:  # whoever reads has had enough, or it has been said
            print(f"Error: cannot write to stdout: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        code = 1
    with suppress(OSError):  # of a full disk behind it, where the rows are what matters
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
