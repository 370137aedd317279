"""Bring a picture of any size, colour and polarity to what the network was trained on.

MNIST's own recipe (LeCun et al. 1998: 20-px box, centre of mass in 28 x 28) behind what real pictures need first:
colour reduced to ink, paper and shadow removed, the digit separated from what lies around it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from digit_infer.components import Component, label

VERSION = 1
SIDE = 28
MIDDLE = 14  # where MNIST puts the centre of mass, to the nearest whole pixel; 0 is the first pixel's middle


@dataclass(frozen=True)
class Parameters:
    """Every number that the result depends on; goes into the model file with VERSION."""

    work_side: int = 256  # px, longest side while looking for the digit
    paper_side: int = 64  # px, longest side while estimating the paper
    paper_window: float = 0.4  # of that side; wider than any stroke, or thick markers come out hollow
    faintest_ink: float = 12.0  # grey levels between ink and paper below which a picture is blank
    faintest_over_grain: float = 14.0  # the same, in standard deviations of the paper's grain
    ink_from: float = 0.15  # of the darkest ink: where ink begins
    ink_full: float = 0.75  # of the darkest ink: where it counts as full
    ink_edge: float = 0.4  # of full ink: where the digit's outline runs
    speck: float = 0.03  # of the main piece's area: smaller pieces are dirt
    near: float = 0.3  # of the main piece's size: pieces further off belong to something else
    beside: float = 0.5  # likeness to the main piece from which a piece beside it is another digit
    rim_weight: float = 0.3  # of a piece that touches the picture's rim, when the main piece is chosen
    box: int = 20  # px, longest side of the digit in the result
    thinnest: float = 2.4  # px in the box; thinner strokes are thickened to this


PARAMETERS = Parameters()


@dataclass(frozen=True)
class Normalised:
    """pixels: (28, 28), uint8, light on dark. reason: `blank`, `several_digits`, or empty for one digit."""

    pixels: NDArray[np.uint8]
    reason: str = ""


BLANK = Normalised(np.zeros((SIDE, SIDE), np.uint8), "blank")


def normalise(picture: NDArray[np.uint8], p: Parameters = PARAMETERS) -> Normalised:
    """Normalise one picture, (h, w) or (h, w, 3), uint8, upright, either polarity. MNIST-like ones are untouched."""
    if is_mnist_like(picture):
        return Normalised(picture)
    ink = find_ink(to_grey(shrink(picture, p.work_side)), p)
    if ink is None:
        return BLANK
    labels, pieces = label(ink > p.ink_edge)
    if not pieces:
        return BLANK
    main = max(pieces, key=lambda piece: piece.area * (p.rim_weight if piece.touches_rim else 1))
    several = any(likeness_beside(piece, main) > p.beside for piece in pieces)
    kept = [piece for piece in pieces if piece is main or belongs(piece, main, p)]
    pixels = centre(scale_into_box(cut_out(ink, labels, kept), p))
    return Normalised(pixels, "several_digits" if several else "")


def is_mnist_like(picture: NDArray[np.uint8]) -> bool:
    """Whether it is as all 70,000 MNIST pictures are: dark rim, digit in a 20-px box, centre of mass in the middle."""
    if picture.shape != (SIDE, SIDE) or picture.max() < 250:
        return False
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    if not 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 20:
        return False
    return all(abs(mass - MIDDLE) <= 0.53 for mass in centre_of_mass(picture))


def centre_of_mass(levels: NDArray[np.uint8]) -> tuple[float, float]:
    """Row and column, in pixels, 0 being the middle of the first pixel."""
    across, down = levels.sum(0, dtype=np.int64), levels.sum(1, dtype=np.int64)
    total = int(down.sum())
    return float(down @ np.arange(len(down)) / total), float(across @ np.arange(len(across)) / total)


def shrink(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Average down until the longest side is `side`; smaller pictures stay as they are."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def rim(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outermost pixels in a row: what most surely is paper."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def to_grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Project colours on the line from paper to ink, so that grey on orange keeps the contrast that luminance loses."""
    if picture.ndim == 2:
        return picture
    paper = np.median(rim(picture), axis=0)
    difference = picture.reshape(-1, 3) - paper
    distance = np.abs(difference).max(1)
    inked = difference[distance >= max(8, np.percentile(distance, 98) / 2)]
    if not len(inked):
        return np.full(picture.shape[:2], paper.mean(), np.uint8)
    direction = np.linalg.eigh(inked.T @ inked)[1][:, -1]
    # light stays light; rounded, since the last digits differ from one processor to another
    direction = np.round(direction * (np.sign(direction.sum()) or 1), 6)
    return np.clip(difference @ direction + paper.mean(), 0, 255).astype(np.uint8).reshape(picture.shape[:2])


def find_ink(grey: NDArray[np.uint8], p: Parameters) -> NDArray[np.float32] | None:
    """How much ink lies on each pixel, 0-1, (h, w); None where there is nothing but paper.

    Polarity is decided by the rim, not by a global threshold, which a shadow would split.
    """
    paper_level = np.median(rim(grey))
    dark_ink = paper_level + strongest(255 - grey) - 255 >= strongest(grey) - paper_level
    levels = 255 - grey if dark_ink else grey
    ink = np.clip(levels - estimate_paper(levels, p), 0, None)
    full = strongest(ink)
    if full < max(p.faintest_ink, p.faintest_over_grain * grain(levels)):
        return None
    return np.clip((ink / full - p.ink_from) / (p.ink_full - p.ink_from), 0, 1)


def strongest(levels: NDArray[np.generic]) -> float:
    """The highest level but for a few hot pixels, which are not ink."""
    place = min(levels.size // 500 + 4, levels.size)
    return float(np.partition(levels, -place, axis=None)[-place])


def grain(levels: NDArray[np.uint8]) -> float:
    """Standard deviation of the paper's noise, from its calmer half: the steps between neighbours, below the median."""
    steps = np.abs(np.diff(levels.astype(np.int16), axis=1))
    return float(np.percentile(steps, 25)) / 0.45 if steps.size else 0.0  # that quantile of normal noise's steps


def estimate_paper(levels: NDArray[np.uint8], p: Parameters) -> NDArray[np.float32]:
    """The dark paper behind light ink, (h, w): a morphological opening, wide and at low resolution."""
    small = shrink(levels, p.paper_side)
    half = max(1, int(max(small.shape) * p.paper_window) // 2)
    opened = slide(slide(np.pad(small, 2 * half, mode="edge"), half, np.minimum), half, np.maximum)
    smooth = Image.fromarray(opened).filter(ImageFilter.BoxBlur(half / 2))
    return np.asarray(smooth.resize(levels.shape[::-1], Image.Resampling.BILINEAR), np.float32)


def slide(levels: NDArray[np.uint8], half: int, extreme: np.ufunc) -> NDArray[np.uint8]:
    """The minimum or maximum over each window of 2 half + 1 squared, (h, w) to (h - 2 half, w - 2 half).

    Both axes one after the other, the span doubling at each step: the cost grows with the window's logarithm.
    """
    for _ in range(2):
        span, full = 1, 2 * half + 1
        while span < full:
            step = min(span, full - span)
            levels = extreme(levels[:-step], levels[step:])
            span += step
        levels = levels.T
    return levels


def cut_out(ink: NDArray[np.float32], labels: NDArray[np.int32], kept: list[Component]) -> NDArray[np.float32]:
    """The ink of these pieces alone, (h, w) of their common box."""
    outline = Image.fromarray(np.isin(labels, [piece.number for piece in kept]).astype(np.uint8))
    around = np.asarray(outline.filter(ImageFilter.MaxFilter(5)))  # soft edges lie outside the outline
    top, left = min(piece.top for piece in kept), min(piece.left for piece in kept)
    bottom, right = max(piece.bottom for piece in kept), max(piece.right for piece in kept)
    return (ink * around)[top:bottom, left:right]


def belongs(piece: Component, main: Component, p: Parameters) -> bool:
    """Whether a piece is a part of the digit: the bar of a broken 5, not a speck, a frame or a neighbour's stroke."""
    apart = max(piece.top - main.bottom, main.top - piece.bottom, piece.left - main.right, main.left - piece.right)
    return not piece.touches_rim and piece.area >= p.speck * main.area and apart <= p.near * main.size


def likeness_beside(piece: Component, main: Component) -> float:
    """How much a piece looks like another digit on the main one's left or right: 0, or up to 1 for the same height.

    Of 6,000 enlarged MNIST training digits none reaches 0.5, of 400 pairs a pixel apart all do.
    """
    apart = max(piece.left - main.right, main.left - piece.right)
    shared = min(piece.bottom, main.bottom) - max(piece.top, main.top)
    if piece.touches_rim or apart < 0 or shared <= 0:
        return 0.0
    heights = piece.bottom - piece.top, main.bottom - main.top
    return shared / max(heights)  # the ratio of the heights times the share of the lower that lies beside the higher


def scale_into_box(ink: NDArray[np.float32], p: Parameters) -> NDArray[np.uint8]:
    """Scale the digit's longest side to the box, thin strokes thickened on the way: (up to 20, up to 20), uint8."""
    fine = 4  # thickening needs finer steps than the result's pixels
    image = Image.fromarray(np.rint(ink * 255).astype(np.uint8))
    missing = p.thinnest - stroke_width(ink) * p.box / max(ink.shape)
    grown = round(max(0.0, missing) * fine / 2)  # to each side
    scale = (p.box * fine - 2 * grown) / max(image.size)
    size = [max(1, round(length * scale)) for length in image.size]
    image = image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)
    canvas = Image.new("L", [-(-(length + 2 * grown) // fine) * fine for length in size])
    canvas.paste(image, ((canvas.width - size[0]) // 2, (canvas.height - size[1]) // 2))
    if grown:
        canvas = canvas.filter(ImageFilter.MaxFilter(2 * grown + 1))
    boxed = np.asarray(canvas.reduce(fine), np.float32)
    return np.rint(boxed * (255 / max(1.0, float(boxed.max())))).astype(np.uint8)


def stroke_width(ink: NDArray[np.float32]) -> float:
    """Mean width of the strokes in pixels: twice the area over the outline's length."""
    inside = np.pad(ink > 0.5, 1)
    steps = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    outline = steps * np.pi / 4  # pixel edges overrate a line's length by 4 / pi on average over its directions
    return float(2 * np.count_nonzero(inside) / max(outline, 1))


def centre(boxed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay the box into 28 x 28 with its centre of mass in the middle, as far as it fits."""
    height, width = boxed.shape
    row, column = centre_of_mass(boxed)
    top = int(np.clip(round(MIDDLE - row), 0, SIDE - height))
    left = int(np.clip(round(MIDDLE - column), 0, SIDE - width))
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[top : top + height, left : left + width] = boxed
    return pixels
