"""How much ink lies on each pixel of a picture: colour reduced to grey, paper and shadow removed."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from digit_infer.components import find_pieces
from digit_infer.parameters import Parameters

Levels = NDArray[np.uint8]
Pixel = TypeVar("Pixel", np.uint8, np.bool_)
ALL_LEVELS = np.arange(256)
HOT, FEWEST_HOT = 500, 4000  # one pixel in so many may be a hot one


def shrink(picture: Levels, side: int) -> Levels:
    """Average down until the longest side is `side`; smaller pictures stay as they are."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    from PIL import Image  # slow to load, and what is like MNIST does without

    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def sides(greys: NDArray[Pixel]) -> list[NDArray[Pixel]]:
    """The outermost pixels of each of (n, h, w), side by side: (n, w) twice, (n, h) twice."""
    return [greys[:, 0], greys[:, -1], greys[:, :, 0], greys[:, :, -1]]


def rim(greys: Levels) -> Levels:
    """The outermost pixels of each of (n, h, w), sorted by level, (n, pixels): what most surely is paper."""
    return np.sort(np.concatenate(sides(greys), axis=1))


def inner_rims(greys: Levels, depth: int) -> Levels:
    """As `rim`, of what lies once and twice so deep: paper too where something else surrounds it."""
    inner, innermost = (greys[:, d:-d, d:-d] for d in (depth, 2 * depth))
    return np.sort(np.concatenate([rim(inner), rim(innermost)], axis=1))


def frame_depth(greys: Levels, p: Parameters) -> int:
    """How wide a frame around each of (n, h, w) may be, in pixels."""
    return round(min(greys.shape[1:]) * p.frame)


def paper_levels(greys: Levels, p: Parameters) -> NDArray[np.int32]:
    """The level of the paper of each of (n, h, w), (n,): the rim's median.

    Further inside where two sides are of one level and two of another: one of them is a table, or a scan's dark edge.
    """
    low, paper, high = quartiles(rim(greys))
    parted = high - low > p.faintest_ink
    if (depth := frame_depth(greys, p)) and parted.any():
        low, level, high = np.stack([quartiles(np.sort(side[parted])) for side in sides(greys)], axis=1)
        level.sort(axis=0)
        contrast = level[2] - level[1]
        parted[parted] = (contrast > p.faintest_ink) & (4 * (high - low).max(0) < contrast)
        paper[parted] = quartiles(inner_rims(greys[parted], depth))[1]
    return paper


def to_grey(picture: Levels, p: Parameters) -> Levels:
    """Project colours on the line from paper to ink, so that grey on orange keeps the contrast that luminance loses."""
    if picture.ndim == 2:
        return picture
    paper = paper_levels(picture.transpose(2, 0, 1), p)
    red, green, blue = (picture[..., channel].astype(np.int32) - paper[channel] for channel in range(3))
    distance = np.maximum(np.maximum(np.abs(red), np.abs(green)), np.abs(blue)).astype(np.uint8)
    inked = distance >= max(8, int(strongest(counts(distance[None]), 50)[0]) // 2)
    colours = np.stack([red[inked], green[inked], blue[inked]]).astype(np.float64)
    direction = np.linalg.eigh(colours @ colours.T)[1][:, -1]
    # no longer than its steps, or shadows would end at black; whole, since the last digits differ from one processor to
    # another; light stays light
    steps = np.rint(direction * (1024 / abs(direction).sum())).astype(np.int32)
    steps *= np.sign(steps.sum() or steps[np.flatnonzero(steps)[0]])
    projected = (red * steps[0] + green * steps[1] + blue * steps[2] >> 10) + paper.sum() // 3
    return projected.clip(0, 255).astype(np.uint8)


def frame_depths(greys: Levels, p: Parameters) -> NDArray[np.intp]:
    """How wide a frame is around each of (n, h, w), in pixels, 0 for none: (n,).

    A form's cell has one where it was cut out along its lines, a note that lies on a desk.
    """
    depths = np.zeros(len(greys), np.intp)
    if not (step := frame_depth(greys, p)):
        return depths
    around = rim(greys)
    if min(greys.shape[1:]) >= p.roomy:
        frame = quantiles(around, (1, 25, 49), 50)  # all of it: a digit that is cut tight reaches the rim too
        least = np.maximum(p.faintest_ink, p.ink_edge * np.ptp(greys, axis=(1, 2)))
        for depth in (3 * step, 2 * step):
            inner = greys[:, depth:-depth, depth:-depth]
            paper, corners = quartiles(rim(inner)), inner[:, (0, 0, -1, -1), (0, -1, 0, -1)].T.astype(np.int32)
            rectangle = 2 * np.abs(corners - paper[1]).max(0) < np.abs(frame[1] - paper[1])  # and no thick 0
            depths[rectangle & stand_apart(frame, paper, least)] = depth
    depths[stand_apart(quartiles(around), quartiles(inner_rims(greys, step)), p.faintest_ink)] = step
    return depths


def stand_apart(
    frame: NDArray[np.int32], paper: NDArray[np.int32], least: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of two rims each, (3, n), low, middle and high level, are far more unlike each other than uneven: (n,)."""
    contrast = np.abs(frame[1] - paper[1])
    return (contrast > least) & (4 * np.maximum(paper[2] - paper[0], frame[2] - frame[0]) < contrast)


def quantiles(rows: Levels, parts: tuple[int, ...], of: int) -> NDArray[np.int32]:
    """So many parts `of` each row of (n, sorted) are below them: (parts, n)."""
    return rows[:, [rows.shape[1] * part // of for part in parts]].T.astype(np.int32)


def quartiles(rows: Levels) -> NDArray[np.int32]:
    """The first quartile, median and third of each row of (n, sorted): (3, n)."""
    return quantiles(rows, (1, 2, 3), 4)


def find_ink(greys: Levels, p: Parameters) -> Levels:
    """How much ink lies on each pixel of (n, h, w), 0-255; nothing where there is only paper.

    Polarity is decided by the rim, not by a global threshold, which a shadow would split; a spot of light is no ink.
    """
    count = counts(greys)
    paper_level = paper_levels(greys, p)
    dark, light = ink_contrast(count[:, ::-1], 255 - paper_level, p), ink_contrast(count, paper_level, p)
    dark_ink = dark >= light
    unsure = ~dark_ink & (12 * dark > light)  # something is darker than the rim too
    if unsure.any():
        dark_ink[unsure] = are_spots_of_light(greys[unsure], paper_level[unsure], p)
    inks = over_paper(greys, paper_level, dark_ink, p)
    full = ink_contrast(counts(inks), np.zeros(1, np.int32), p)
    faint = full < np.maximum(p.faintest_ink, p.faintest_over_grain * grain(greys))
    share = ALL_LEVELS / np.where(faint, np.inf, full)[:, None]
    ramps = np.rint(((share - p.ink_from) / (p.ink_full - p.ink_from)).clip(0, 1) * 255).astype(np.uint8)
    return np.stack([ramp.take(ink) for ramp, ink in zip(ramps, inks, strict=True)])


def over_paper(greys: Levels, paper_level: NDArray[np.int32], dark_ink: NDArray[np.bool_], p: Parameters) -> Levels:
    """How far each pixel of (n, h, w) lies from the paper behind it on the side of the ink."""
    flip = np.where(dark_ink, 255, 0).astype(np.uint8)
    levels = greys ^ flip[:, None, None]
    paper = estimate_paper(levels, paper_level.astype(np.uint8) ^ flip, p)
    inks = np.maximum(levels, paper) - paper
    even_out(inks, paper, dark_ink, p)
    return inks


def are_spots_of_light(greys: Levels, paper_level: NDArray[np.int32], p: Parameters) -> NDArray[np.bool_]:
    """In which of (n, h, w) what is lighter than the rim is nothing over the paper, or far broader than the one stroke
    of dark ink: (n,).
    """
    dark = np.ones(len(greys), bool)
    strokes, spots = (strong_ink(over_paper(greys, paper_level, polarity, p), p) for polarity in (dark, ~dark))
    largest = np.array([pieces.area.max(initial=0) for pieces in find_pieces(strokes)])
    alone = (largest > 0) & (largest >= 0.95 * np.count_nonzero(strokes, axis=(1, 2)))
    broad = [stroke_width(spot) > p.spot * stroke_width(stroke) for spot, stroke in zip(spots, strokes, strict=True)]
    return alone & (~spots.any((1, 2)) | np.array(broad))


def strong_ink(inks: Levels, p: Parameters) -> NDArray[np.bool_]:
    """Where strokes are, by how far each pixel of (n, h, w) lies from the paper; nowhere if that is faint."""
    full = ink_contrast(counts(inks), np.zeros(1, np.int32), p)
    edge = p.ink_from + (p.ink_full - p.ink_from) * p.ink_edge
    return inks > np.where(full < p.faintest_ink, 255, edge * full)[:, None, None]


def stroke_width(mask: NDArray[np.bool_]) -> float:
    """Mean width of the strokes of (h, w) in pixels: twice the area over the outline's length."""
    inside = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), bool)
    inside[1:-1, 1:-1] = mask
    steps = np.count_nonzero(inside[1:] != inside[:-1]) + np.count_nonzero(inside[:, 1:] != inside[:, :-1])
    outline = steps * np.pi / 4  # pixel edges overrate a line's length by 4 / pi on average over its directions
    return float(2 * np.count_nonzero(inside) / max(outline, 1))


def without_ruling(inks: Levels, p: Parameters) -> Levels:
    """The same ink, (n, h, w), without what is paler than the digit where that runs across the picture."""
    masks, dark = inks > round(p.ink_edge * 255), inks > round(p.ruling * 255)
    ruled = reach_across(masks) & ~reach_sides(dark).any(0)
    ruled &= 10 * dark.sum((1, 2)) >= masks.sum((1, 2))
    if ruled.any():  # the soft edges of strokes are no ruling
        strokes = slide(np.pad(dark[ruled], ((0, 0), (2, 2), (2, 2))), 2, np.logical_or)
        ruled[ruled] = reach_across(masks[ruled] & ~strokes)
    if ruled.any():
        bottom = round((2 * p.ruling - 1) * 255)
        ramp = np.rint((ALL_LEVELS - bottom).clip(0) * (255 / (255 - bottom))).astype(np.uint8)
        inks[ruled] = ramp[inks[ruled]]
    return inks


def reach_sides(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of (n, h, w) have something at each side: (4, n)."""
    return np.array([side.any(1) for side in sides(masks)])


def reach_across(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of (n, h, w) have something at two opposite sides: (n,)."""
    top, bottom, left, right = reach_sides(masks)
    return top & bottom | left & right


def even_out(inks: Levels, paper: Levels, dark: NDArray[np.bool_], p: Parameters) -> None:
    """Make `dark` ink, (n), in a shadow as dark as in full light: it keeps its share of the light, not its distance.

    inks: (n, h, w), changed in place. paper: (n, h, w), of light ink on dark.
    """
    levels = paper.reshape(len(paper), -1)
    darkest, brightest = 255 - levels.max(1), 255 - levels.min(1)
    shaded = dark & (darkest < p.shaded * brightest)
    if shaded.any():
        full = brightest[shaded, None, None].astype(np.uint16)
        gain = 64 * full // np.maximum(255 - paper[shaded], full // 3 + 1)  # whole numbers are the same everywhere
        inks[shaded] = np.minimum(inks[shaded] * gain // 64, 255)


def ink_contrast(count: NDArray[np.intp], paper_level: NDArray[np.int32], p: Parameters) -> NDArray[np.intp]:
    """How far the strongest ink lies above the paper, by the counts of each, (n, 256).

    Where there is none, with less than usual taken for hot pixels: a thin digit in a wide picture has no more.
    """
    above = strongest(count) - paper_level
    return np.where(above < p.faintest_ink, strongest(count, FEWEST_HOT) - paper_level, above)


def counts(levels: Levels) -> NDArray[np.intp]:
    """How many pixels of each of (n, h, w) have each level: (n, 256)."""
    places = levels.reshape(len(levels), -1) + 256 * np.arange(len(levels))[:, None]
    return np.bincount(places.reshape(-1), minlength=256 * len(levels)).reshape(-1, 256)


def strongest(count: NDArray[np.intp], share: int = HOT) -> NDArray[np.intp]:
    """The highest level by the counts of each, (n, 256), but for a few hot pixels, one in `share`, which are no ink."""
    below, size = count.cumsum(1), int(count[0].sum())
    return (below <= size - min(size // share + 4, size)).sum(1)


def grain(levels: Levels) -> NDArray[np.float64]:
    """Standard deviation of the paper's noise in each of (n, h, w), (n,).

    From its calmer half: the steps between neighbours, below the median.
    """
    one, next_one = levels[:, ::2, :-1], levels[:, ::2, 1:]
    below = counts(np.maximum(one, next_one) - np.minimum(one, next_one)).cumsum(1)
    return (below < below[:, -1:] / 4).sum(1) / 0.45  # that quantile of normal noise's steps


def estimate_paper(levels: Levels, paper_level: Levels, p: Parameters) -> Levels:
    """The dark paper behind light ink, (n, h, w): a morphological opening, wide and at low resolution.

    paper_level: (n,). Where ink reaches the rim, it goes on with that; where only shadow does, with the rim's pixels.
    """
    from PIL import Image, ImageFilter  # as above

    small = np.stack([shrink(one, p.paper_side) for one in levels])
    half = max(1, int(max(small.shape[1:]) * p.paper_window) // 2)
    rows, columns = (np.arange(-2 * half, length + 2 * half).clip(0, length - 1) for length in small.shape[1:])
    wide = small[:, rows][:, :, columns]
    inked = have_ink_at_rim(small, paper_level, p)
    if inked.any():
        inside = wide[inked, 2 * half : -2 * half, 2 * half : -2 * half].copy()
        wide[inked] = paper_level[inked, None, None]
        wide[inked, 2 * half : -2 * half, 2 * half : -2 * half] = inside
    opened = slide(slide(wide, half, np.minimum), half, np.maximum)
    soft = np.stack([np.asarray(Image.fromarray(one).filter(ImageFilter.BoxBlur(half / 2))) for one in opened])
    paper = np.maximum(opened, soft)  # or the edge of a shadow would be ink
    if paper.shape == levels.shape:
        return paper
    size = levels.shape[:0:-1]
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in paper])


def have_ink_at_rim(levels: Levels, paper_level: Levels, p: Parameters) -> NDArray[np.bool_]:
    """In which of (n, h, w) ink reaches the rim: (n,). Its level jumps there, that of a shadow rises."""
    jumps = np.concatenate([np.abs(side[:, 2:].astype(np.int16) - side[:, :-2]) for side in sides(levels)], axis=1)
    if jumps.shape[1] < 3:
        return np.zeros(len(levels), bool)
    third = np.partition(jumps, -3, axis=1)[:, -3]  # a speck of dirt jumps up and down, once each
    inked = third >= p.faintest_ink
    if inked.any():
        contrast = strongest(counts(levels[inked])) - paper_level[inked].astype(np.intp)
        inked[inked] = third[inked] >= p.jump * contrast
    return inked


def slide(levels: NDArray[Pixel], half: int, extreme: np.ufunc) -> NDArray[Pixel]:
    """The minimum or maximum over each window of 2 half + 1 squared, (n, h, w) to (n, h - 2 half, w - 2 half).

    Both axes one after the other, the span doubling at each step: the cost grows with the window's logarithm.
    """
    for _ in range(2):
        span, full = 1, 2 * half + 1
        while span < full:
            step = min(span, full - span)
            levels = extreme(levels[:, :-step], levels[:, step:])
            span += step
        levels = np.ascontiguousarray(levels.swapaxes(1, 2))
    return levels
