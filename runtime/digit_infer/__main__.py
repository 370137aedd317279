"""python -m digit_infer."""

from digit_infer.cli import main

main(prog_name="digit-infer")
