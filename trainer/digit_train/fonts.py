"""Characters in the fonts that come with matplotlib, as if printed with more or less ink."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE = 96  # px of the sheet that a character is drawn on
NAMES = ("DejaVuSans*.ttf", "DejaVuSerif*.ttf", "STIXGeneral*.ttf")
ODD_ONE_OUT = "Display"  # a font with few glyphs


class Fonts:
    """The fonts, and which of the given characters each of them has."""

    def __init__(self, characters: str) -> None:
        folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
        paths = sorted(path for name in NAMES for path in folder.glob(name) if ODD_ONE_OUT not in path.name)
        self.fonts = [ImageFont.truetype(path, 60) for path in paths]
        self.known = [[character for character in characters if has_glyph(font, character)] for font in self.fonts]

    def draw(self, random: np.random.Generator) -> tuple[str, NDArray[np.uint8]]:
        """A character and how it looks, turned a little, light on dark: (SIDE, SIDE), uint8."""
        chosen = random.integers(len(self.fonts))
        font, known = self.fonts[chosen], self.known[chosen]
        character = known[random.integers(len(known))]
        sheet = Image.new("L", (SIDE, SIDE))
        bolder = int(random.integers(4))
        ImageDraw.Draw(sheet).text((SIDE / 2, SIDE / 2), character, 255, font, "mm", stroke_width=bolder)
        return character, np.asarray(sheet.rotate(random.uniform(-12, 12), Image.Resampling.BILINEAR))


def has_glyph(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether a font knows a character, rather than drawing the box, much like a 0, that stands for what it lacks."""
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))
