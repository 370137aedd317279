"""What is expected of each picture: by its folder's name, or from a table."""

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from digit_infer.errors import InputError
from digit_infer.sinks import name_in_row

Expected = Callable[[str], int | None]  # from a picture's path to its digit, where that is known
PATH_COLUMNS = ("path", "file", "filename", "image")
LABEL_COLUMNS = ("expected", "label", "class", "digit")  # in rows of digit-infer `digit` is what was read
LABEL = re.compile(r"0*([0-9])(\.0*)?")  # with what programs for tables make of numbers


def read_labels(given: str | None, inputs: Sequence[str] = ()) -> Expected:
    """`folders`, a CSV file with a path and a label, or None. Raises InputError with the line that is wrong."""
    if given is None:
        return lambda path: None
    return digit_of_folder if given == "folders" else Table(Path(given), inputs)


class Table:
    """Labels from a CSV file with a header, parted by commas, semicolons or tabs; one may be empty.

    Its paths are relative to where it lies, or else to the working folder, or to the only input.
    """

    def __init__(self, path: Path, inputs: Sequence[str]) -> None:
        self.digits: dict[str, int] = {}  # by path, absolute or relative to one of the bases
        bases = [str(path.parent), ".", *(inputs if len(inputs) == 1 else ())]
        self.bases = [os.path.join(os.path.abspath(base), "") for base in bases]
        try:
            content = path.read_bytes()
            self.sha256 = hashlib.sha256(content).hexdigest()
            with io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="") as file:
                header = file.readline()
                file.seek(0)
                table = csv.DictReader(file, delimiter=max(",;\t", key=header.count))
                names = {name.strip().lower(): name for name in table.fieldnames or []}
                file_column = next((names[name] for name in PATH_COLUMNS if name in names), None)
                label_column = next((names[name] for name in LABEL_COLUMNS if name in names), None)
                if not (file_column and label_column):
                    needs = f"a column {' or '.join(PATH_COLUMNS)} and one {' or '.join(LABEL_COLUMNS)}"
                    raise InputError(f"{path}: needs {needs}, its header is {header.strip()!a}")
                for line in table:
                    if not (label := (line[label_column] or "").strip()):
                        continue
                    if not (known := LABEL.fullmatch(label)):
                        raise InputError(f"{path}, line {table.line_num}: label {label!a} is not 0 to 9")
                    name, digit = line[file_column], int(known[1])
                    if any(self.digits.setdefault(one, digit) != digit for one in self.normalised(name)):
                        raise InputError(
                            f"{path}, line {table.line_num}: {name!a} has another label on an earlier line"
                        )
        except (OSError, csv.Error) as error:
            raise InputError(f"cannot read {path}: {error}") from error

    def normalised(self, name: str | None) -> list[str]:
        """A path without detours, as `digits` holds it; one that leads out of the bases for each of them."""
        if not name:
            return []
        name = os.path.normpath(name)
        return [os.path.normpath(base + name) for base in self.bases] if name.startswith("..") else [name]

    def __call__(self, path: str) -> int | None:
        path = os.path.abspath(path)
        for known in (path, name_in_row(path)):  # the second one where the table is of rows
            if known in self.digits:
                return self.digits[known]
            for place, base in enumerate(self.bases):
                name = known.removeprefix(base)
                if known.startswith(base) and name in self.digits and not self.lies_in(self.bases[:place], name):
                    return self.digits[name]
        return None

    def lies_in(self, bases: list[str], name: str) -> bool:
        """Whether the name is of another picture, relative to an earlier base."""
        return any(os.path.lexists(base + name) for base in bases)


def digit_of_folder(path: str) -> int | None:
    """What a folder named 0 to 9 says about the pictures in it."""
    folder = os.path.dirname(path)
    name = os.path.basename(folder)
    if name in ("", ".", ".."):
        name = os.path.basename(os.path.abspath(folder))
    return int(name) if len(name) == 1 and name in "0123456789" else None
