"""Where rows go: CSV or JSON lines in a file that an interrupted run can go on with, or a table on a terminal."""

import csv
import errno
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from digit_infer.errors import OutputError
from digit_infer.extras import require
from digit_infer.files import writing
from digit_infer.row import Row, printable

QUOTED = re.compile(r'[,"\r\n]')  # what paths are quoted for
HEADER = ",".join(Row._fields) + "\n"


def csv_text(rows: list[Row]) -> str:
    """Rows as lines of CSV."""
    if not QUOTED.search("".join([row.path for row in rows])):
        return "".join([row.path + csv_behind_path(*row[1:]) for row in rows])
    stream = io.StringIO()
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)  # csv leaves a lone \r unquoted
    for row in rows:
        (quoted if "\r" in row.path else plain).writerow(row)
    return stream.getvalue()


@lru_cache(2**14)
def csv_behind_path(*fields: object) -> str:
    """The rest of a line; of a quantized model many rows end alike."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(("", *fields))
    return stream.getvalue()


def jsonl_text(rows: list[Row]) -> str:
    """Rows as lines of JSON."""
    return "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)


def utf8_jsonl_text(rows: list[Row]) -> str:
    """Rows as lines of JSON that Arrow reads: names that are not UTF-8 are escaped, not told in surrogates."""
    return jsonl_text([row._replace(path=name_in_row(row.path)) for row in rows])


def table_text(rows: list[Row]) -> str:
    """Digit first, path last, so that rows can be printed as they come and still stand in columns."""
    lines = []
    for row in rows:
        digit = "-" if row.digit is None else row.digit
        confidence = "-" if row.confidence is None else f"{100 * row.confidence:.1f} %"
        notes = [row.reason] if row.reason else []
        if row.expected not in (None, row.digit):
            notes.append(f"expected {row.expected}")
        line = f"{digit:>5}  {confidence:>10}  {row.status:<8}  {printable(row.path)}"
        lines.append(line + (f"  ({', '.join(notes)})\n" if notes else "\n"))
    return "".join(lines)


def csv_row(record: str) -> Row:
    """The row that a record of CSV was made from; of a path that is not UTF-8, as it was escaped."""
    fields: list[Any] = next(csv.reader([record]))
    for place in (2, 5, 8):
        fields[place] = int(fields[place]) if fields[place] else None
    for place in (3, 4, 6):
        fields[place] = float(fields[place]) if fields[place] else None
    return Row(*fields)


def jsonl_row(record: str) -> Row:
    return Row(**json.loads(record))


class Kind(NamedTuple):
    """How rows stand in a file: its first line, rows to text, and back a record to a row. A line feed ends a record
    where all quotes are closed, or always.
    """

    header: bytes
    text: Callable[[list[Row]], str]
    row: Callable[[str], Row]
    quoted: bool


KINDS = {
    ".csv": Kind(HEADER.encode(), csv_text, csv_row, quoted=True),
    ".jsonl": Kind(b"", jsonl_text, jsonl_row, quoted=False),
    ".parquet": Kind(b"", utf8_jsonl_text, jsonl_row, quoted=False),
}
STDOUT = {
    "table": ("digit  confidence  status    path\n", table_text),
    "csv": (HEADER, csv_text),
    "jsonl": ("", jsonl_text),
}


def kind_of(output: Path) -> Kind:
    """By suffix. Raises OutputError for one that is not known."""
    if output.suffix.lower() not in KINDS:
        raise OutputError(f"{output}: rows are written as {' or '.join(KINDS)}")
    return KINDS[output.suffix.lower()]


def file_of_rows(output: Path) -> "RowFile":
    """What writes rows to a path. Raises OutputError for a suffix that is not known."""
    if output.suffix.lower() != ".parquet":
        return RowFile(output)
    require("pyarrow", "parquet")
    from digit_infer.parquet import ParquetFolder

    return ParquetFolder(output)


def as_written(text: str) -> bytes:
    """Names that are not UTF-8 are escaped."""
    return text.encode("utf-8", "backslashreplace")


def name_in_row(path: str) -> str:
    """A picture's path as a file of rows holds it."""
    return as_written(path).decode()


class RowFile:
    """A file of rows, `<output>.partial` until it is complete; what it holds is always whole rows."""

    is_folder = False

    def __init__(self, output: Path) -> None:
        self.output, self.kind = output, kind_of(output)
        with writing(output):  # its folder may be closed to us, or its name too long
            if output.exists() and not (output.is_dir() if self.is_folder else output.is_file()):
                raise OutputError(f"{output} is no {'folder' if self.is_folder else 'regular file'}; name another")
        # a link stays, what it points to is replaced
        self.target = Path(os.path.realpath(output)) if os.path.islink(output) else output
        self.partial = self.interrupted = self.target.with_name(f"{self.target.name}.partial")
        self.way_on = "--resume goes on with them"

    def records(self, path: Path) -> Iterator[bytes]:
        """The header and the records that an earlier run wrote to a file; a torn last one is left out."""
        record = b""
        with path.open("rb") as file:
            for line in file:
                record += line
                if record.endswith(b"\n") and not (self.kind.quoted and record.count(b'"') % 2):
                    yield record
                    record = b""

    def rows_in(self, path: Path) -> Iterator[Row]:
        """What `records` holds, as rows."""
        records = self.records(path)
        if self.kind.header:
            next(records, None)
        for record in records:
            yield self.kind.row(record.decode())

    def kept_rows(self, path: Path) -> Iterator[Row]:
        """The rows that an earlier run wrote. Raises OutputError where they cannot be read."""
        try:
            yield from self.rows_in(path)
        except (OSError, LookupError, TypeError, ValueError, csv.Error) as error:
            raise OutputError(f"{path} is damaged, so nothing can be gone on with; --force starts over") from error

    def open(self, keep: int = 0) -> None:
        """Begin to write, behind the first `keep` rows of the partial file where there are any."""
        with writing(self.output):
            if keep:
                held = islice(self.records(self.partial), keep + bool(self.kind.header))
                end = sum(len(record) for record in held)
                self.file = self.partial.open("r+b", buffering=0)
                self.file.truncate(end)
                self.file.seek(end)
            else:
                self.file = self.partial.open("wb", buffering=0)
                self.file.write(self.kind.header)

    def write(self, text: str) -> None:
        """Append whole rows, or none of them. Raises OutputError where the disk is full, or the file another."""
        content, start = as_written(text), self.file.tell()
        if not self.untouched(start):
            raise OutputError(f"{self.partial} was replaced or changed by another program; start again")
        try:
            written = self.file.write(content)
            if written != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.file.truncate(start)
            raise self.stopped(error) from error

    def untouched(self, size: int) -> bool:
        """Whether the file is still the one that was opened, with so many bytes."""
        with suppress(OSError):
            now = self.partial.stat()
            return os.path.samestat(now, os.fstat(self.file.fileno())) and now.st_size == size
        return False

    def stopped(self, error: OSError) -> OutputError:
        """What to say when the rows so far are written and no more can be."""
        reason = (error.strerror or str(error)).lower()
        return OutputError(
            f"cannot write {self.output}: {reason}; the rows so far are in {self.partial}, {self.way_on}"
        )

    def sync(self) -> None:
        """Have the disk keep what was written. Raises OutputError."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self.stopped(error) from error

    def close(self) -> None:
        try:
            self.sync()
        finally:
            self.file.close()

    def complete(self) -> None:
        """Give the closed file its name."""
        with writing(self.output):
            self.partial.replace(self.target)
            self.interrupted.unlink(missing_ok=True)  # where rows were made anew from those in it


def open_stdout(format: str | None) -> tuple[Callable[[list[Row]], str], Callable[[str], object]]:
    """How rows are turned to text for stdout, a table on a terminal and else CSV where nothing is said, and what
    writes the text.
    """
    format = format or ("table" if sys.stdout.isatty() else "csv")
    header, text = STDOUT[format]
    if format != "table" and isinstance(sys.stdout, io.TextIOWrapper):  # whatever the terminal speaks
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")

    def write(text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has had enough: click knows
            raise
        except OSError as error:
            raise OutputError(f"cannot write to stdout: {(error.strerror or str(error)).lower()}") from error

    write(header)
    return text, write
