"""One call of digit-infer: where rows come from and go to, and what is said of them afterwards."""

import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digit_infer.classifier import Classifier, Probabilities
from digit_infer.errors import InputError
from digit_infer.extras import require
from digit_infer.files import locked, write_json
from digit_infer.labels import read_labels
from digit_infer.pipeline import Answer, Details, Format, Reader, run
from digit_infer.report import Tally, describe_run
from digit_infer.resume import start_or_resume
from digit_infer.row import Row
from digit_infer.settings import Effort, Options, Output
from digit_infer.sinks import file_of_rows, open_stdout
from digit_infer.sources import at_least_one, expand, find_blocks
from digit_infer.stream import Stream

if TYPE_CHECKING:
    from digit_infer.parity import Parity


class Job:
    """A run over some inputs. What it leaves beside rows: `tally`, and with `against` the parity of both models."""

    def __init__(
        self,
        inputs: list[str],
        classifier: Classifier,
        options: Options,
        output: Output,
        effort: Effort,
        against: Classifier | None = None,
    ) -> None:
        self.inputs, self.classifier, self.options, self.against = inputs, classifier, options, against
        self.output, self.effort = output, effort
        self.expected = read_labels(options.labels, inputs)
        self.debug = self.page = None
        if output.debug_dir:
            from digit_infer.debug import DebugFolder  # seldom wanted, and slow to load

            for folder in (path for given in inputs for path in expand(given)):
                if os.path.realpath(output.debug_dir).startswith(os.path.join(os.path.realpath(folder), "")):
                    raise InputError(
                        f"--debug-dir lies in {folder}, so its cards would be read as pictures; name another"
                    )
            self.debug = DebugFolder(output.debug_dir)
        if output.report:
            require("jinja2", "report")
            from digit_infer.page import Page  # as above

            self.page = Page(output.report)
        self.tally, self.pairs = Tally(), Pairs()

    def run(self) -> bool:
        """Write all rows to a file, with the run record beside it, or to stdout; whether it was interrupted."""
        found = Stream(at_least_one(find_blocks(self.inputs, self.tally.skip)))
        path = self.output.path
        if path is None:
            return self.write_rows(found, *open_stdout(self.output.format))
        about = self.about()
        rows, record = file_of_rows(path), path.with_name(f"{path.name}.run.json")
        with locked(rows.target):
            left = start_or_resume(rows, record, about, found, self.tally, self.output)
            if left is None:
                return False
            try:
                interrupted = self.write_rows(left, rows.kind.text, rows.write)
            finally:
                rows.close()
            status = "interrupted" if interrupted else "complete"
            # before the file has its name: a run killed in between is gone on with, and nothing is left to do
            write_json(record, about | {"status": status} | self.tally.record() | {"parity": self.pairs.record()})
            if not interrupted:
                rows.complete()
        return interrupted

    def about(self) -> dict[str, Any]:
        """What decides the rows."""
        return describe_run(self.classifier, self.inputs, self.options, self.against, self.expected)

    def write_rows(self, found: Stream, text: Format, write: Callable[[str], object]) -> bool:
        given, own = self.options.min_confidence, self.classifier.bundle.min_confidence
        threshold, details = own if given is None else given, bool(self.debug or self.page or self.against)
        reader = Reader(self.classifier, threshold, self.expected, text, self.against, details)
        progress = None
        if self.output.progress:
            from digit_infer.progress import progress_bar  # as above

            progress = progress_bar(self.inputs, self.tally.pictures)

        def take(answer: Answer) -> None:
            write(answer.text)
            self.tally.add(answer.tally)
            if progress is not None:
                progress.update(answer.tally.pictures)
            if answer.details and self.debug:
                self.debug.add(answer.details)
            if answer.details and self.page:
                self.page.add(answer.details)
            if answer.details and self.against:
                self.pairs.add(answer.details)

        workers = self.effort.workers or len(os.sched_getaffinity(0))
        try:
            return run(found, reader, workers, self.effort.batch_size, take)
        finally:
            if self.debug:
                self.debug.write_sheet()
            if progress is not None:
                progress.close()

    def write_summary(self, path: Path) -> None:
        """The counts as JSON."""
        write_json(path, self.tally.record() | {"parity": self.pairs.record()})

    def write_report(self, interrupted: bool) -> None:
        """The page to look through."""
        if self.page:
            self.page.write(self.about(), self.tally, self.parity_table(), interrupted)

    def parity_table(self) -> str:
        """Both models compared, as lines; '' where nothing was."""
        if not (self.pairs.parity and self.against):
            return ""
        from digit_infer.parity import parity_table  # as above

        names = (os.path.basename(one.bundle.name) for one in (self.against, self.classifier))
        return parity_table(self.pairs.parity, *names)


class Pairs:
    """Both models' probabilities for the pictures that could be read, kept until they are compared."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.reference: list[Probabilities] = []
        self.candidate: list[Probabilities] = []

    def add(self, details: Details) -> None:
        assert details.reference is not None
        readable = [i for i, row in enumerate(details.rows) if row.digit is not None]
        self.rows += [details.rows[i] for i in readable]
        self.reference.append(details.reference[readable])
        self.candidate.append(details.probabilities[readable])

    @cached_property
    def parity(self) -> "Parity | None":
        """Of all pairs, once there are no more to come; None where nothing was compared."""
        if not self.rows:
            return None
        expected = [row.expected for row in self.rows]
        labels = None if None in expected else np.array(expected, np.int64)
        names = [row.path for row in self.rows]
        from digit_infer.parity import compare  # as above

        return compare(np.concatenate(self.reference), np.concatenate(self.candidate), labels, names)

    def record(self) -> dict[str, Any] | None:
        return asdict(self.parity) if self.parity else None
