"""The command, and python -m digit_export."""

from typing import NoReturn

from digit_export.cli import main


def run() -> NoReturn:
    main.run("digit-export")


if __name__ == "__main__":
    run()
