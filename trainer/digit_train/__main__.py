"""python -m digit_train."""

from digit_train.cli import main

main(prog_name="digit-train")
