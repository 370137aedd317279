"""What the network saw, beside what it was given: the first thing to look at when an answer is wrong."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digit_infer.errors import ImageError, OutputError
from digit_infer.files import writing, written_whole
from digit_infer.found import Found
from digit_infer.pipeline import Details
from digit_infer.row import Row, printable

HALF = 168  # px, side of the original's half and of the network's half: 6 x 28
CAPTION = 34  # px under both
SHEET = 5, 8  # cards across and down on a contact sheet
COLOURS = {"ok": "black", "rejected": "#b36b00", "error": "#c0392b"}


class DebugFolder:
    """A folder that fills with a card for each picture, and with contact sheets of 40 cards each.

    Raises OutputError where the folder holds something already: old cards would pass for new ones.
    """

    def __init__(self, folder: Path) -> None:
        with writing(folder):
            held = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
        if held:
            raise OutputError(f"{folder} is not an empty folder; name another for --debug-dir, or empty it")
        self.folder = folder
        self.count = 0
        self.cards: list[Image.Image] = []

    def add(self, details: Details) -> None:
        """Write the cards of a batch."""
        for found, row, pixels in zip(details.batch.each(), details.rows, details.pixels, strict=True):
            self.add_card(row, draw_card(found, row, pixels))

    def add_card(self, row: Row, card: Image.Image) -> None:
        """Write a card; its number is that of the row."""
        self.count += 1
        name = "".join(character if character.isalnum() else "_" for character in Path(row.path).stem)
        name = name.encode()[:60].decode(errors="ignore")
        save(card, self.folder / f"{self.count:06}-{name}.png")
        self.cards.append(card)
        if len(self.cards) == SHEET[0] * SHEET[1]:
            self.write_sheet()

    def write_sheet(self) -> None:
        """Lay the cards since the last sheet on a new one."""
        if not self.cards:
            return
        across, down = SHEET[0], -(-len(self.cards) // SHEET[0])
        width, height = self.cards[0].size
        sheet = Image.new("RGB", (across * (width + 8), down * (height + 8)), "#888888")
        for place, card in enumerate(self.cards):
            sheet.paste(card, (place % across * (width + 8) + 4, place // across * (height + 8) + 4))
        save(sheet, self.folder / f"sheet-{-(-self.count // (SHEET[0] * SHEET[1])):04}.png")
        self.cards.clear()


def draw_card(found: Found, row: Row, pixels: NDArray[np.uint8]) -> Image.Image:
    """The original, what the network saw enlarged, and the row's words below: RGB, 336 x 202."""
    card = Image.new("RGB", (2 * HALF, HALF + CAPTION), "white")
    card.paste(draw_pair(found, pixels), (0, 0))
    answer = "" if row.digit is None else f"{row.digit}  {100 * (row.confidence or 0):.1f} %, then {row.second}  "
    truth = "" if row.expected in (None, row.digit) else f"  expected {row.expected}"
    pen = ImageDraw.Draw(card)
    pen.text((4, HALF + 3), f"{answer}{row.status} {row.reason}{truth}", fill=COLOURS[row.status])
    pen.text((4, HALF + 18), printable(row.path)[-54:].encode("ascii", "replace").decode(), fill="#555555")
    return card


def draw_pair(found: Found, pixels: NDArray[np.uint8]) -> Image.Image:
    """The original and what the network saw, (28, 28), side by side: RGB, 336 x 168, white where it cannot be read."""
    pair = Image.new("RGB", (2 * HALF, HALF), "white")
    try:
        original = Image.fromarray(found.read()).convert("RGB")
    except ImageError:
        return pair  # the row says why there is nothing to see
    scale = (HALF - 2) / max(original.size)  # not ImageOps.contain, whose thin pictures have no width before Pillow 13
    width, height = (max(1, round(scale * side)) for side in original.size)
    original = original.resize((width, height), Image.Resampling.BOX)
    pair.paste(original, ((HALF - original.width) // 2, (HALF - original.height) // 2))
    pair.paste(Image.fromarray(pixels).resize((HALF, HALF), Image.Resampling.NEAREST), (HALF, 0))
    return pair


def save(image: Image.Image, path: Path) -> None:
    with written_whole(path) as temporary:
        image.save(temporary, format="PNG")
