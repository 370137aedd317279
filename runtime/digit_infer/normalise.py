"""Bring a picture of any size, colour and polarity to what the network was trained on.

MNIST's own recipe (LeCun et al. 1998: 20-px box, centre of mass in 28 x 28) behind what real pictures need first:
colour reduced to ink, paper and shadow removed, the digit separated from what lies around it. All in whole numbers
and exact float operations, so that every machine gives the same bytes.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digit_infer.components import Pieces, find_pieces, only
from digit_infer.ink import Levels, find_ink, frame_depths, shrink, slide, stroke_width, to_grey, without_ruling
from digit_infer.parameters import PARAMETERS, Parameters
from digit_infer.sheets import lift_sheet, may_lie_on_a_sheet

SIDE = 28
MIDDLE = 14  # where MNIST puts the centre of mass, to the nearest whole pixel; 0 is the first pixel's middle
AT_ONCE = 2**18  # pixels worked on together: enough to share numpy's overhead, little enough to stay in the cache


class Normalised(NamedTuple):
    """pixels: (28, 28), uint8, light on dark. reason: `blank`, `several_digits`, `not_a_digit`, or empty."""

    pixels: Levels
    reason: str = ""


class AllNormalised(NamedTuple):
    """As `Normalised`, of many: pixels: (n, 28, 28), uint8. reasons: (n)."""

    pixels: Levels
    reasons: list[str]


BLANK = Normalised(np.zeros((SIDE, SIDE), np.uint8), "blank")


def normalise_all(pictures: Iterable[Levels | None], count: int, p: Parameters = PARAMETERS) -> AllNormalised:
    """Normalise so many pictures, each (h, w) or (h, w, 3), uint8, upright, either polarity; None stays black.

    MNIST-like ones are untouched. Those of one size share their work; each result depends on its own picture alone.
    """
    pixels, reasons = np.zeros((count, SIDE, SIDE), np.uint8), [""] * count
    sized: list[int] = []
    greys: dict[int, Levels] = {}
    if isinstance(pictures, np.ndarray) and pictures.shape[1:] == (SIDE, SIDE):
        pixels[:], sized, pictures = pictures, list(range(count)), ()  # in a tenth of the time
    for i, picture in enumerate(pictures):
        if picture is None:
            continue
        if picture.shape == (SIDE, SIDE):
            pixels[i] = picture  # while it lies in the cache
            sized.append(i)
        else:
            greys[i] = to_grey(shrink(picture, p.work_side), p)
    if sized:
        greys |= {i: pixels[i] for i in compress(sized, ~are_mnist_like(pixels)[sized])}
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, grey in greys.items():
        by_shape[grey.shape].append(i)
    for shape, group in by_shape.items():
        together = max(1, AT_ONCE // (shape[0] * shape[1]))
        for part in (group[start : start + together] for start in range(0, len(group), together)):
            for i, found in zip(part, find_digits(np.stack([greys[i] for i in part]), p), strict=True):
                pixels[i], reasons[i] = found
    return AllNormalised(pixels, reasons)


def normalise(picture: Levels, p: Parameters = PARAMETERS) -> Normalised:
    """As `normalise_all`, for one picture."""
    (pixels,), (reason,) = normalise_all([picture], 1, p)
    return Normalised(pixels, reason)


def are_mnist_like(pictures: Levels) -> NDArray[np.bool_]:
    """Which of (n, 28, 28) are as all of MNIST: (n,). Dark rim, digit in a 20-px box, centre of mass in the middle."""
    # what `sum` does, in half its time
    across, down = (np.einsum(axes, pictures, dtype=np.uint16, casting="unsafe") for axes in ("nij->nj", "nij->ni"))
    total = np.maximum(down.sum(1, dtype=np.int32), 1)
    like = pictures.reshape(len(pictures), -1).max(1) >= 250
    sizes = []
    for sums in (across, down):
        inked = sums > 0
        sizes.append(SIDE - inked[:, ::-1].argmax(1) - inked.argmax(1))
        like &= np.abs(sums @ np.arange(SIDE) - MIDDLE * total) <= 0.53 * total
    longest = np.maximum(*sizes)
    return like & (longest >= 19) & (longest <= 20)


def find_digits(greys: Levels, p: Parameters, *, sheets: bool = True) -> list[Normalised]:
    """Normalise pictures of one size, (n, h, w), the whole way; those on a sheet, where they may be on one, there."""
    depths = frame_depths(greys, p)
    results: dict[int, Normalised] = {}
    for depth in np.unique(depths).tolist():
        chosen, inner = depths == depth, slice(depth, -depth or None)
        inks = without_ruling(find_ink(greys[chosen, inner, inner], p), p)
        masks = inks > round(p.ink_edge * 255)
        for i, ink, mask, pieces in zip(np.flatnonzero(chosen).tolist(), inks, masks, find_pieces(masks), strict=True):
            results[i] = find_digit(ink, mask, pieces, p)
            if sheets and may_lie_on_a_sheet(mask, pieces, p) and (sheet := lift_sheet(greys[i], p)) is not None:
                (on_sheet,) = find_digits(sheet[None], p, sheets=False)
                results[i] = results[i] if on_sheet is BLANK else on_sheet
    blank = [i for i, found in results.items() if found is BLANK]
    if blank and min(greys.shape[1:]) >= p.roomy:  # grain averages out at half the size, ink does not
        halves = np.stack([shrink(greys[i], max(greys.shape[1:]) // 2) for i in blank])
        results |= {i: found for i, found in zip(blank, find_digits(halves, p), strict=True) if not found.reason}
    return [results[i] for i in range(len(greys))]


def find_digit(ink: Levels, mask: NDArray[np.bool_], pieces: Pieces, p: Parameters) -> Normalised:
    """Normalise one picture's ink, (h, w), whose `pieces` are those of the `mask` of its strokes."""
    if not len(pieces.area):
        return BLANK
    kept, reason = choose(mask, pieces, p)
    digit = cut_out(ink, mask, pieces, kept)
    if max(digit.shape) < min(p.smallest * max(ink.shape), p.smallest_in_strip * min(ink.shape)):
        return BLANK
    return Normalised(centre(scale_into_box(digit, p)), reason)


def choose(mask: NDArray[np.bool_], pieces: Pieces, p: Parameters) -> tuple[NDArray[np.bool_], str]:
    """Which pieces make up the digit, (pieces,), and why it is none: several of the same height side by side, ink all
    over the place, or nothing but a line.
    """
    height, width = pieces.bottom - pieces.top, pieces.right - pieces.left
    flat = width > p.flat * height  # the line that the digit stands on, or a stroke of it
    flat |= (height == len(mask)) & (height > 2 * p.flat * width)  # an empty cell's side, a fold; a 1 is hardly so thin
    if len(pieces.area) == 1:
        return np.ones(1, bool), "not_a_digit" if flat[0] else ""
    largest = int(pieces.area.argmax())
    fills = fills_picture(mask, pieces, largest)
    aside = pieces.touches_rim & (not fills)  # a table's edge, a neighbour's stroke
    weight = pieces.area * np.where(aside | flat, p.rim_weight, 1)
    for piece in np.argsort(-pieces.size, kind="stable")[:3]:
        if is_frame(mask, pieces, int(piece), p):
            aside[piece], weight[piece] = True, 0
    main = int(weight.argmax())
    aside |= flat & (width > width[main])
    beside = np.maximum(pieces.left - pieces.right[main], pieces.left[main] - pieces.right)
    above = np.maximum(pieces.top - pieces.bottom[main], pieces.top[main] - pieces.bottom)
    kept = ~aside & (pieces.area >= p.speck * pieces.area[main])
    kept &= np.maximum(beside, above) <= p.near * pieces.size[main]
    kept[main] = True
    # how much of the higher one's height both share: of 6,000 enlarged MNIST training digits none has half, of 400
    # pairs a pixel apart all
    shared = np.minimum(pieces.bottom, pieces.bottom[main]) - np.maximum(pieces.top, pieces.top[main])
    alike = ~aside & (beside >= 0) & (shared > p.beside * np.maximum(height, height[main]))
    if alike.any():
        return kept, "several_digits"
    # the edges of a table or a scan touch the rim, and are few
    others = pieces.area[~kept & ~aside & (pieces.size >= p.loud * pieces.size[main])].sum()
    others += np.sort(pieces.area[aside])[: -p.edges].sum()
    return kept, "not_a_digit" if flat[main] or pieces.area[kept].sum() < others else ""


def is_frame(mask: NDArray[np.bool_], pieces: Pieces, piece: int, p: Parameters) -> bool:
    """Whether a piece is drawn around another: all its ink runs along its box, which no slashed or broken 0 does, or
    along a circle.

    It may be open at the top, as a form's comb is, where it has straight sides and the other stands between them.
    """
    top, left, bottom, right = (int(bound[piece]) for bound in (pieces.top, pieces.left, pieces.bottom, pieces.right))
    between = (pieces.left > left) & (pieces.right < right) & (pieces.bottom <= bottom)
    between &= (pieces.bottom > top) & (pieces.size >= p.enclosed * pieces.size[piece])
    if not between.any():
        return False
    alone = only(mask, pieces, np.arange(len(pieces.area)) == piece)[top:bottom, left:right]
    closed = (between & (pieces.top > top)).any()
    if closed and is_circle(alone):
        return True
    down, across = int(len(alone) * p.frame_rim), int(alone.shape[1] * p.frame_rim)
    if alone[down : len(alone) - down, across : alone.shape[1] - across].any():
        return False
    return bool(closed or (alone[:, :across].any(1).all() and alone[:, -across:].any(1).all()))


def is_circle(piece: NDArray[np.bool_]) -> bool:
    """Whether a piece, (h, w), is as wide as high, which few a 0 is, and has no ink inside of its outline."""
    height, width = piece.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    return 0.85 * width < height < width / 0.85 and not piece[y * y + x * x < 0.64].any()


def fills_picture(mask: NDArray[np.bool_], pieces: Pieces, piece: int) -> bool:
    """Whether a piece reaches from side to side through the middle: the picture is cut tight around the digit."""
    height, width = mask.shape
    tall = pieces.top[piece] == 0 and pieces.bottom[piece] == height
    broad = pieces.left[piece] == 0 and pieces.right[piece] == width
    if not (tall or broad):
        return False
    alone = only(mask, pieces, np.arange(len(pieces.area)) == piece)
    return bool(alone[height // 4 : -(-height * 3 // 4), width // 4 : -(-width * 3 // 4)].any())


def cut_out(ink: Levels, mask: NDArray[np.bool_], pieces: Pieces, kept: NDArray[np.bool_]) -> Levels:
    """The ink of these pieces alone, (h, w) of their common box."""
    top, left = int(pieces.top[kept].min()), int(pieces.left[kept].min())
    bottom, right = int(pieces.bottom[kept].max()), int(pieces.right[kept].max())
    outline = np.zeros((bottom - top + 4, right - left + 4), bool)
    outline[2:-2, 2:-2] = only(mask, pieces, kept)[top:bottom, left:right]
    # soft edges lie outside the outline
    return ink[top:bottom, left:right] * slide(outline[None], 2, np.logical_or)[0]


def scale_into_box(ink: Levels, p: Parameters) -> Levels:
    """Scale the digit's longest side to the box, thin strokes thickened on the way: (up to 20, up to 20), uint8."""
    from PIL import Image  # slow to load, and what is like MNIST does without

    fine = 4  # thickening needs finer steps than the result's pixels
    missing = p.thinnest - stroke_width(ink > 127) * p.box / max(ink.shape)
    grown = round(max(0.0, missing) * fine / 2)  # to each side
    if not grown:
        fine = 1
    boxed = resize(ink, p.box * fine - 2 * grown)
    if grown:
        height, width = boxed.shape
        tall, wide = (-(-(length + 2 * grown) // fine) * fine for length in boxed.shape)
        top, left = (tall - height) // 2 + grown, (wide - width) // 2 + grown
        canvas = np.zeros((tall + 2 * grown, wide + 2 * grown), np.uint8)
        canvas[top : top + height, left : left + width] = boxed
        boxed = np.asarray(Image.fromarray(slide(canvas[None], grown, np.maximum)[0]).reduce(fine))
    return np.rint(boxed * (255 / max(1, int(boxed.max())))).astype(np.uint8)


def resize(ink: Levels, side: int) -> Levels:
    """Scale the longest side to `side`: area averaging down, bilinear up."""
    from PIL import Image  # as above

    scale = side / max(ink.shape)
    height, width = (max(1, round(length * scale)) for length in ink.shape)
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(ink).resize((width, height), method))


def centre(boxed: Levels) -> Levels:
    """Lay the box into 28 x 28 with its centre of mass in the middle, as far as it fits."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    place = []
    for length, sums in zip(boxed.shape, (boxed.sum(1), boxed.sum(0)), strict=True):
        mass = float(sums @ np.arange(length) / sums.sum())
        start = min(max(round(MIDDLE - mass), 0), SIDE - length)
        place.append(slice(start, start + length))
    pixels[tuple(place)] = boxed
    return pixels
