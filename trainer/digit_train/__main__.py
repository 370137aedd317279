"""The command, and python -m digit_train."""

from typing import NoReturn

from digit_train.cli import main


def run() -> NoReturn:
    main.run("digit-train")


if __name__ == "__main__":
    run()
