"""python -m digit_export."""

from digit_export.cli import main

main(prog_name="digit-export")
