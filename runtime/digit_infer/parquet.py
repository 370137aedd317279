"""Rows as Parquet: a folder of part files, which every reader of Parquet takes for one table."""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

from digit_infer.errors import OutputError
from digit_infer.files import writing
from digit_infer.row import Row
from digit_infer.sinks import RowFile, as_written

PART = 2**16  # rows of a part file; what an interrupted run loses at most is read again
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("status", pa.string()),
        ("digit", pa.int8()),
        ("confidence", pa.float64()),
        ("margin", pa.float64()),
        ("second", pa.int8()),
        ("second_confidence", pa.float64()),
        ("reason", pa.string()),
        ("expected", pa.int8()),
    ]
)


class ParquetFolder(RowFile):
    """A folder of rows; takes them as lines of JSON, which Arrow reads faster than Python makes columns."""

    is_folder = True

    def __init__(self, output: Path) -> None:
        super().__init__(output)
        with writing(output):
            others = {*output.iterdir()} - {*self.parts(output)} if output.exists() else set()
        if others:
            raise OutputError(
                f"{output} also holds {min(others).name!a}, which is no part of rows; name another folder"
            )
        self.waiting, self.rows = io.BytesIO(), 0

    def parts(self, folder: Path) -> list[Path]:
        return sorted(folder.glob("part-*.parquet"))

    def rows_in(self, path: Path) -> Iterator[Row]:
        for part in self.parts(path):
            for row in pa.parquet.read_table(part).to_pylist():
                yield Row(*row.values())

    def open(self, keep: int = 0) -> None:
        """Begin to write, behind the parts that are there, or afresh."""
        with writing(self.output):
            if not keep and self.partial.exists():
                shutil.rmtree(self.partial)
            self.partial.mkdir(exist_ok=True)

    def write(self, text: str) -> None:
        """Append whole rows. Raises OutputError where the disk is full."""
        content = as_written(text)
        self.waiting.write(content)
        self.rows += content.count(b"\n")
        if self.rows >= PART:
            self.close()

    def close(self) -> None:
        """Write the rows that wait as a part."""
        if not self.rows:
            return
        options = pa.json.ParseOptions(explicit_schema=SCHEMA)
        self.waiting.seek(0)
        table = pa.json.read_json(self.waiting, parse_options=options)
        part = self.partial / f"part-{len(self.parts(self.partial)):05}.parquet"
        temporary = part.with_suffix(".writing")
        try:
            with temporary.open("wb") as file:
                pa.parquet.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(part)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self.stopped(error) from error
        self.waiting, self.rows = io.BytesIO(), 0

    def complete(self) -> None:
        """Give the folder its name."""
        with writing(self.output):
            if self.target.exists():
                old = self.target.with_name(f".{self.target.name}.{os.getpid()}.old")
                self.target.replace(old)
                self.partial.replace(self.target)
                shutil.rmtree(old)
            else:
                self.partial.replace(self.target)
        shutil.rmtree(self.interrupted, ignore_errors=True)  # where rows were made anew from those in it
