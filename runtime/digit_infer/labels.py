"""What is expected of each picture: by its folder's name, or from a table."""

import csv
import hashlib
import io
import os
from pathlib import Path

from digit_infer.errors import InputError
from digit_infer.found import Expected, digit_of_folder

PATHS = ("path", "file", "filename", "image")
DIGITS = ("label", "digit", "expected", "class")


def read_labels(given: str | None) -> Expected:
    """`folders`, a CSV file with a path and a label, or None. Raises InputError with the line that is wrong."""
    if given is None:
        return lambda path: None
    return digit_of_folder if given == "folders" else Table(Path(given))


class Table:
    """Labels from a CSV file with a header; its paths are relative to where it lies, or else to the working folder."""

    def __init__(self, path: Path) -> None:
        self.digits: dict[str, dict[str, int]] = {str(path.parent.absolute()): {}, os.getcwd(): {}}
        try:
            content = path.read_bytes()
            self.sha256 = hashlib.sha256(content).hexdigest()
            with io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="") as file:
                table = csv.DictReader(file)
                names = table.fieldnames or []
                file_column = next((name for name in PATHS if name in names), None)
                label_column = next((name for name in DIGITS if name in names), None)
                if not (file_column and label_column):
                    raise InputError(f"{path}: needs a column {' or '.join(PATHS)} and one {' or '.join(DIGITS)}")
                for line in table:
                    label = (line[label_column] or "").strip()
                    if not (len(label) == 1 and label in "0123456789"):
                        raise InputError(f"{path}, line {table.line_num}: label {label!a} is not 0 to 9")
                    name, digit = line[file_column], int(label)
                    for folder, digits in self.digits.items():
                        path_there = os.path.normpath(os.path.join(folder, name or ""))
                        if name and digits.setdefault(path_there, digit) != digit:
                            raise InputError(f"{path}, line {table.line_num}: {name!a} had another label further up")
        except (OSError, csv.Error) as error:
            raise InputError(f"cannot read {path}: {error}") from error

    def __call__(self, path: str) -> int | None:
        path = os.path.abspath(path)
        return next((digits[path] for digits in self.digits.values() if path in digits), None)
