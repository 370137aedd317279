"""What a run amounts to: counts, accuracy, confusion, the run record."""

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

import digit_infer
from digit_infer import parameters
from digit_infer.bundle import Bundle
from digit_infer.classifier import Classifier
from digit_infer.labels import Expected
from digit_infer.row import Row, printable
from digit_infer.settings import Options

FEW = 3  # files that are named where more might be


@dataclass
class Tally:
    """Counts that grow with the rows; `confusion`, (10, 10), by expected digit (row) and digit read (column)."""

    statuses: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    first_skipped: list[str] = field(default_factory=list)  # the paths of a few
    expected: int = 0
    accepted: int = 0  # of those with a label
    right: int = 0
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((10, 10), np.int64))
    start: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, rows: list[Row]) -> "Tally":
        """The counts of some rows."""
        tally = cls(Counter(row.status for row in rows))
        known = [row for row in rows if row.expected is not None]
        tally.expected = len(known)
        tally.accepted = sum(row.status == "ok" for row in known)
        tally.right = sum(row.status == "ok" and row.digit == row.expected for row in known)
        if read := [(row.expected, row.digit) for row in known if row.digit is not None]:
            expected, digits = np.array(read).T
            tally.confusion = confusion_matrix(expected, digits)
        return tally

    def add(self, other: "Tally") -> None:
        self.statuses += other.statuses
        self.expected += other.expected
        self.accepted += other.accepted
        self.right += other.right
        self.confusion += other.confusion

    def skip(self, path: str) -> None:
        self.skipped += 1
        if self.skipped <= FEW:
            self.first_skipped.append(printable(path))

    @property
    def pictures(self) -> int:
        return self.statuses.total()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    def summary(self) -> str:
        """A line of counts, and with labels the accuracy and the confusion matrix.

        A rejected picture or one with an error counts as wrong; the matrix leaves errors out.
        """
        names = ", ".join(self.first_skipped) + (", ..." if self.skipped > FEW else "")
        lines = [
            f"{self.pictures} pictures: {self.statuses['ok']} ok, {self.statuses['rejected']} rejected, "
            f"{self.statuses['error']} errors; {self.skipped} other files skipped{names and f' ({names})'}; "
            f"{self.pictures / self.seconds:,.0f} pictures/s"
        ]
        if self.expected:
            accuracy = f"accuracy {100 * self.right / self.expected:.2f} % ({self.right} of {self.expected})"
            if 0 < self.accepted < self.expected:
                accuracy += f", {100 * self.right / self.accepted:.2f} % of the {self.accepted} that are ok"
            if unknown := self.pictures - self.expected:
                accuracy += f"; {unknown} have no label"
            lines.append(accuracy)
            lines += confusion_table(self.confusion)
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """The same for programs."""
        counts: dict[str, Any] = {name: self.statuses[name] for name in ("ok", "rejected", "error")}
        counts |= {"pictures": self.pictures, "skipped": self.skipped}
        if self.expected:
            counts |= {"expected": self.expected, "accepted": self.accepted, "right": self.right}
            counts["confusion"] = self.confusion.tolist()
        finished = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return {"counts": counts, "finished": finished, "seconds": round(self.seconds, 3)}


def confusion_matrix(labels: NDArray[np.integer], digits: NDArray[np.integer]) -> NDArray[np.int64]:
    """Counts by label (row) and digit read (column), (10, 10); both arguments (n,), 0-9."""
    return np.bincount(labels.astype(np.int64) * 10 + digits, minlength=100).reshape(10, 10)


def confusion_table(confusion: NDArray[np.int64]) -> list[str]:
    """The matrix as lines, zeros as dots so that the mistakes stand out."""
    width = max(5, len(str(confusion.max())) + 1)
    lines = ["truth \\ read" + "".join(f"{digit:{width}}" for digit in range(10))]
    for digit, counts in enumerate(confusion.tolist()):
        lines.append(f"{digit:12}" + "".join(f"{count or '.':>{width}}" for count in counts))
    return lines


def describe_run(
    classifier: Classifier,
    inputs: list[str],
    options: Options,
    against: Classifier | None,
    expected: Expected,
) -> dict[str, Any]:
    """What decides the rows, for whoever asks later and for --resume; stands beside them as <output>.run.json."""
    return {
        "version": digit_infer.__version__,
        "model": classifier.bundle.name,
        "model_sha256": classifier.bundle.sha256,
        "against": against and {"model": against.bundle.name, "model_sha256": against.bundle.sha256},
        "runtime": classifier.engine.name,
        "runtime_version": classifier.engine.version,
        "normaliser": {"version": parameters.VERSION, "parameters": asdict(parameters.PARAMETERS)},
        "inputs": [path.removesuffix("/") or "/" for path in inputs],
        "working_folder": None if all(map(os.path.isabs, inputs)) else os.getcwd(),
        "options": asdict(options),
        "labels_sha256": getattr(expected, "sha256", None),  # the file may be another under its old name
    }


def describe(bundle: Bundle) -> str:
    """A model file's contract as lines for a terminal."""
    lines = [f"model: {bundle.name}", f"bytes: {len(bundle.content)}", f"sha256: {bundle.sha256}"]
    for name, value in bundle.contract.items():
        lines.append(f"{name}: {value if isinstance(value, str) else json.dumps(value)}")
    if not bundle.contract:
        lines.append("no contract: a bare .tflite; its normaliser and accuracy are unknown")
    return "\n".join(lines)
