"""A page to look through: counts, the confusion matrix, and the pictures that a person should see first."""

import base64
import io
from bisect import insort
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from numpy.typing import NDArray

from digit_infer.debug import draw_pair
from digit_infer.errors import OutputError
from digit_infer.files import check_place, goes_on, write_out, writing
from digit_infer.found import Found
from digit_infer.pipeline import Details
from digit_infer.report import Tally
from digit_infer.row import Row, printable
from digit_infer.sinks import as_written

TEMPLATE = Path(__file__).with_name("page.html")
SHOWN = 60  # pictures of each section, at most: of a million rows the page is as small as of a thousand
START = 80  # bytes of a page, those that tell it from other files


class Card(NamedTuple):
    """One picture on the page."""

    row: Row
    picture: str  # JPEG in base64; empty where there is nothing to see


class Section:
    """Pictures of a kind: how many there are, and cards of those that come first in some order."""

    def __init__(self, title: str, order: str, rank: Callable[[Row], float]) -> None:
        self.title, self.order, self.rank = title, order, rank
        self.count = 0
        self.first: list[tuple[float, int, Card]] = []  # by rank, then as they came

    @property
    def cards(self) -> list[Card]:
        return [card for _, _, card in self.first]

    def add(self, found: Found, row: Row, pixels: NDArray[np.uint8]) -> None:
        self.count += 1
        rank = self.rank(row)
        if len(self.first) == SHOWN and rank >= self.first[-1][0]:
            return
        insort(self.first, (rank, self.count, Card(row, as_jpeg(found, row, pixels))))
        del self.first[SHOWN:]


class Page:
    """One HTML file, complete in itself.

    Raises OutputError where it could not be written, or would replace a file that is no such page.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_place(path)
        with writing(path):
            if not goes_on(path) and path.is_file() and start_of(path) not in (b"", start_of(TEMPLATE)):
                raise OutputError(f"{path} is no report; give --report another name")
        self.wrong = Section("Read wrongly", "the surest first", lambda row: -(row.confidence or 0))
        self.rejected = Section("Rejected", "the first", lambda row: 0)
        self.errors = Section("Errors", "the first", lambda row: 0)
        self.ok = Section("Read", "the least sure first", lambda row: row.margin or 0)

    def add(self, details: Details) -> None:
        """Take what a person should see of a batch."""
        for found, row, pixels in zip(details.batch.each(), details.rows, details.pixels, strict=True):
            self.section_of(row).add(found, row, pixels)

    def section_of(self, row: Row) -> Section:
        if row.status != "ok":
            return self.rejected if row.status == "rejected" else self.errors
        return self.ok if row.expected in (None, row.digit) else self.wrong

    def write(self, about: dict[str, Any], tally: Tally, parity: str, interrupted: bool) -> None:
        """Write it; `about` as from `describe_run`, `parity` the lines of a comparison, or ''."""
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)  # names are hostile
        environment.filters["printable"] = printable
        html = environment.from_string(TEMPLATE.read_text()).render(
            about=about,
            tally=tally,
            pictures=f"{tally.pictures:,}",
            parity=parity,
            interrupted=interrupted,
            sections=[self.wrong, self.rejected, self.errors, self.ok],
            finished=datetime.now().astimezone().isoformat(" ", "seconds"),
        )
        write_out(self.path, as_written(html))


def start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START)


def as_jpeg(found: Found, row: Row, pixels: NDArray[np.uint8]) -> str:
    """The picture beside what the network saw of it, in base64."""
    if row.status == "error":
        return ""
    stream = io.BytesIO()
    draw_pair(found, pixels).save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode()
