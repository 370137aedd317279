"""The sheet that a digit stands on, where something else lies around it: a note on a desk, a page beside another."""

import numpy as np
from numpy.typing import NDArray

from digit_infer.components import Pieces, find_pieces, only
from digit_infer.ink import Levels, counts, reach_sides, shrink, sides, slide
from digit_infer.parameters import Parameters

Mask = NDArray[np.bool_]
# whole numbers are the same everywhere: about every 5 degrees up to 45, and their mirror images up to 90
SLOPES = [(1, 0), (11, 1), (6, 1), (4, 1), (11, 4), (2, 1), (7, 4), (10, 7), (6, 5)]
DIRECTIONS = np.array(SLOPES + [(down, across) for across, down in SLOPES[1:]] + [(1, 1)])


def may_lie_on_a_sheet(mask: Mask, pieces: Pieces, p: Parameters) -> bool:
    """Whether a picture's ink, (h, w), is more than one piece, or that has the form of a sheet."""
    if min(mask.shape) < p.roomy or not len(pieces.area):
        return False
    if len(pieces.area) > 1:
        return True
    (area,), (height,), (width,) = pieces.area, pieces.bottom - pieces.top, pieces.right - pieces.left
    return bool(area > 0.4 * height * width) and has_form_of_sheet(mask, p)  # few digits are so full


def has_form_of_sheet(shape: Mask, p: Parameters) -> bool:
    """Whether one piece, (h, w), can be a sheet, what is drawn on it cut out."""
    left = 1 - p.sheet_drawn
    large = bool(np.count_nonzero(shape) >= left * p.sheet * shape.size)
    return large and fills_rectangle(shape, left * p.sheet_rectangle)


def lift_sheet(grey: Levels, p: Parameters) -> Levels | None:
    """The sheet alone, (h, w), its level around it where it lies askew; None where the picture is all of one paper."""
    small = shrink(grey, p.paper_side)
    threshold = split(small, p)
    if threshold is None:
        return None
    found = (find_sheet(mask, grey, p) for mask in (small >= threshold, small < threshold))
    sheets = [sheet for sheet in found if sheet is not None]
    if not sheets:
        return None
    inside = enlarge(erode(max(sheets, key=np.count_nonzero)), grey.shape)  # its edge is of both levels
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    lifted, inside = grey[box].copy(), inside[box]
    lifted[~inside] = middle(lifted[inside])
    return lifted


def split(small: Levels, p: Parameters) -> int | None:
    """Where the lighter of two levels begins (Otsu 1979), None where two do not make up most of the picture, (h, w)."""
    (count,), levels = counts(small[None]), np.arange(256)
    below, sums = count.cumsum(), (count * levels).cumsum()
    total, whole = int(below[-1]), int(sums[-1])
    parted = np.flatnonzero((below > 0) & (below < total))
    if not len(parted):
        return None
    apart = (sums * total - whole * below)[parted].astype(np.float64) ** 2
    between = apart / (below * (total - below))[parted]  # variance that the two levels explain, times total squared
    best = int(parted[between.argmax()])
    dark, light = sums[best] / below[best], (whole - sums[best]) / (total - below[best])
    variance = int((count * levels**2).sum()) * total - whole * whole
    darkest, lightest = below.searchsorted([total // 100, total - total // 100])
    clear = light - dark > max(2 * p.faintest_ink, p.sheet_step * (lightest - darkest))
    return best + 1 if clear and between.max() >= p.sheet_split * variance else None


def find_sheet(mask: Mask, grey: Levels, p: Parameters) -> Mask | None:
    """The largest piece of a mask, (h, w), with what is drawn on it, where that is a sheet in the picture `grey`."""
    if covers_sides(mask, 0.95):
        return None  # paper, which is told fast
    (pieces,) = find_pieces(mask[None])
    alone = only(mask, pieces, np.arange(len(pieces.area)) == pieces.area.argmax())
    if covers_sides(alone, 0.1) or not has_form_of_sheet(alone, p):
        return None
    (gaps,) = find_pieces(~np.pad(alone, 1)[None])
    sheet = ~only(~np.pad(alone, 1), gaps, gaps.touches_rim)[1:-1, 1:-1]
    area, drawn = np.count_nonzero(sheet), gaps.area[~gaps.touches_rim].sum()
    if area < p.sheet * mask.size or drawn > p.sheet_drawn * area:
        return None
    if 2 * np.count_nonzero(mask & ~sheet) > area:
        return None  # paper between the strokes of a digit that reaches all sides
    return sheet if fills_rectangle(sheet, p.sheet_rectangle) and is_written_on(sheet, grey, p) else None


def covers_sides(mask: Mask, share: float) -> bool:
    """Whether it has more than this share of each side of the picture."""
    return all(np.count_nonzero(side) > share * side.size for side in sides(mask[None]))


def fills_rectangle(sheet: Mask, share: float) -> bool:
    """Whether a shape, (h, w), is at least this share of a rectangle around it, at any angle, but no 1."""
    rows = np.flatnonzero(sheet.any(1))
    first, last = sheet[rows].argmax(1), sheet.shape[1] - 1 - sheet[rows, ::-1].argmax(1)
    y, x = np.tile(rows, 2), np.concatenate([first, last])
    across, down = DIRECTIONS.T[:, :, None]
    pixel = (across + down)[:, 0]  # a pixel's width in that direction
    width, height = np.ptp(across * x + down * y, axis=1) + pixel, np.ptp(across * y - down * x, axis=1) + pixel
    filled = np.count_nonzero(sheet) * (across**2 + down**2)[:, 0]
    short = 4 * np.minimum(width, height) >= np.maximum(width, height)
    cut = reach_sides(sheet[None]).any()
    return bool(((filled >= share * width * height) & (short | cut)).any())


def is_written_on(sheet: Mask, grey: Levels, p: Parameters) -> bool:
    """Whether a sheet is more than a patch of one level."""
    inside = enlarge(erode(erode(sheet)), grey.shape)
    if not inside.any():
        return False
    levels = np.sort(grey[inside]).astype(int)
    paper, few = levels[len(levels) // 2], len(levels) // 200
    contrast = max(paper - levels[few], levels[-1 - few] - paper)
    around = abs(paper - middle(grey[~enlarge(sheet, grey.shape)]))
    return bool(contrast >= max(2 * p.faintest_ink, around / 4))


def middle(levels: Levels) -> int:
    """The median of (n,), one of the two in the middle."""
    return int(np.partition(levels, len(levels) // 2)[len(levels) // 2])


def erode(mask: Mask) -> Mask:
    """A mask, (h, w), without its outermost pixels, but where it reaches the rim."""
    return slide(np.pad(mask, 1, mode="edge")[None], 1, np.logical_and)[0]


def enlarge(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask at the size of the picture that it was made from."""
    rows, columns = (np.arange(size) * small // size for size, small in zip(shape, mask.shape, strict=True))
    return mask[rows][:, columns]
