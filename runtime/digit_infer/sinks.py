"""Where rows go: CSV, JSON lines, or a table on a terminal."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TextIO

from digit_infer.errors import OutputError
from digit_infer.files import written_whole
from digit_infer.row import Row, printable

Write = Callable[[Row], object]


def csv_sink(stream: TextIO) -> Write:
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)  # csv leaves a lone \r unquoted
    plain.writerow(field.name for field in fields(Row))
    return lambda row: (quoted if "\r" in row.path else plain).writerow(vars(row).values())


def jsonl_sink(stream: TextIO) -> Write:
    return lambda row: stream.write(json.dumps(vars(row), ensure_ascii=False) + "\n")


def table_sink(stream: TextIO) -> Write:
    """Digit first, path last, so that rows can be printed as they come and still stand in columns."""
    stream.write("digit  confidence  status    path\n")

    def write(row: Row) -> None:
        digit = "-" if row.digit is None else row.digit
        confidence = "-" if row.confidence is None else f"{100 * row.confidence:.1f} %"
        notes = [row.reason] if row.reason else []
        if row.expected not in (None, row.digit):
            notes.append(f"expected {row.expected}")
        stream.write(f"{digit:>5}  {confidence:>10}  {row.status:<8}  {printable(row.path)}")
        stream.write(f"  ({', '.join(notes)})\n" if notes else "\n")

    return write


SINKS: dict[str, Callable[[TextIO], Write]] = {".csv": csv_sink, ".jsonl": jsonl_sink}


def sink_for(output: Path) -> Callable[[TextIO], Write]:
    """By suffix. Raises OutputError for one that is not known."""
    if output.suffix not in SINKS:
        raise OutputError(f"{output}: rows are written as {' or '.join(SINKS)}")
    return SINKS[output.suffix]


@contextmanager
def open_sink(output: Path | None, force: bool) -> Iterator[Write]:
    """Open a file that appears only when it is whole, or stdout: a table on a terminal, CSV in a pipe.

    Raises OutputError where the file exists and `force` is not given.
    """
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # of names that are not UTF-8
        yield (table_sink if sys.stdout.isatty() else csv_sink)(sys.stdout)
        return
    make = sink_for(output)
    if output.exists() and not force:
        raise OutputError(f"{output} exists; --force replaces it")
    with (
        written_whole(output) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        yield make(stream)
