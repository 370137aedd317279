"""Connected pieces of a mask; scipy and OpenCV have this too, at 60 MB and more on a Raspberry Pi."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.intp]


class Pieces(NamedTuple):
    """The 8-connected pieces of a mask by their first pixels; bounds in pixels, bottom and right exclusive.

    Each array is (pieces,) but the last two, which tell of each run of set pixels to which piece it belongs and how
    long it is.
    """

    area: Numbers
    top: Numbers
    left: Numbers
    bottom: Numbers
    right: Numbers
    touches_rim: NDArray[np.bool_]
    piece_of_run: Numbers
    run_length: Numbers

    @property
    def size(self) -> Numbers:
        return np.maximum(self.bottom - self.top, self.right - self.left)


def find_pieces(masks: NDArray[np.bool_]) -> list[Pieces]:
    """Find the 8-connected pieces of each of (n, h, w), bool.

    Runs of set pixels are joined by union-find, row after row (the run-based method of He et al. 2008).
    """
    count, height, width = masks.shape
    tall, wide = height + 1, width + 2  # an empty row parts one mask from the next, an empty column each row's ends
    padded = np.zeros((count, tall, wide), bool)
    padded[:, :height, 1:-1] = masks
    flat = padded.reshape(-1).view(np.int8)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    # in the row below, a run touches this one where it starts no later than this ends, and the other way round
    piece_of_run = join_runs(ends.searchsorted(starts + wide), starts.searchsorted(ends + wide, "right"))
    order = piece_of_run.argsort(kind="stable")
    first_runs = np.flatnonzero(np.diff(piece_of_run[order], prepend=-1))

    def extreme(reduce: np.ufunc, values: Numbers) -> Numbers:
        return reduce.reduceat(values[order], first_runs) if len(first_runs) else first_runs

    length, rows = ends - starts, starts // wide
    columns = starts - rows * wide - 1
    mask, top = np.divmod(extreme(np.minimum, rows), tall)
    bottom = extreme(np.maximum, rows) + 1 - mask * tall
    left, right = extreme(np.minimum, columns), extreme(np.maximum, columns + length)
    touches_rim = (top == 0) | (left == 0) | (bottom == height) | (right == width)
    area = extreme(np.add, length)
    pieces_until = mask.searchsorted(np.arange(count + 1))
    runs_until = rows.searchsorted(np.arange(count + 1) * tall)
    found = []
    for (start, end), (first, last) in zip(pairwise(pieces_until.tolist()), pairwise(runs_until.tolist()), strict=True):
        one, runs = slice(start, end), slice(first, last)
        bounds = top[one], left[one], bottom[one], right[one]
        found.append(Pieces(area[one], *bounds, touches_rim[one], piece_of_run[runs] - start, length[runs]))
    return found


def only(mask: NDArray[np.bool_], pieces: Pieces, kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask, (h, w), without the pieces that are not `kept`, (pieces,)."""
    if kept.all():
        return mask
    chosen = mask.copy()
    chosen[mask] = np.repeat(kept[pieces.piece_of_run], pieces.run_length)
    return chosen


def join_runs(first: Numbers, last: Numbers) -> Numbers:
    """Number the pieces by run: run i touches the runs first[i] to last[i] - 1 of the row below."""
    parents = list(range(len(first)))
    for run, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        for other in range(start, end):
            above, below = run, other
            while parents[above] != above:
                above = parents[above]
            while parents[below] != below:
                below = parents[below]
            parents[max(above, below)] = min(above, below)
    roots = np.array(parents, np.intp)
    while (roots != (roots := roots[roots])).any():
        pass
    is_root = roots == np.arange(len(roots))
    return (is_root.cumsum() - 1)[roots]
