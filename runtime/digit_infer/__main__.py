"""The command, and python -m digit_infer."""

from typing import NoReturn

from digit_infer.cli import main


def run() -> NoReturn:
    main.run("digit-infer")


if __name__ == "__main__":
    run()
