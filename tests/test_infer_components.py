"""The connected pieces found agree with a flood fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digit_infer.components import find_pieces, only

MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24)))
SPIRAL = """
########
.......#
######.#
#....#.#
#.##.#.#
#.####.#
#......#
########"""
DRAWN = {
    "nothing": "....\n....",
    "one pixel": "#",
    "all": "###\n###",
    "diagonal": "#..\n.#.\n..#",
    "two columns": "#.#\n#.#",
    "u": "#.#\n#.#\n###",
    "comb": "#.#.#\n#.#.#\n#####",
    "ring around a dot": "#####\n#...#\n#.#.#\n#...#\n#####",
    "end of a row, start of the next": "..#\n...\n#..",
    "spiral": SPIRAL.strip(),
}


def flood_fill(mask):
    """The pieces as sets of (row, column), by the obvious method."""
    left, pieces = {(int(row), int(column)) for row, column in np.argwhere(mask)}, []
    while left:
        edge = [left.pop()]
        piece = set(edge)
        while edge:
            row, column = edge.pop()
            around = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= around
            piece |= around
            edge += around
        pieces.append(piece)
    return pieces


def described(piece, height, width):
    """(area, top, left, bottom, right, touches_rim) of a set of (row, column)."""
    rows, columns = [row for row, _ in piece], [column for _, column in piece]
    top, left, bottom, right = min(rows), min(columns), max(rows) + 1, max(columns) + 1
    return len(piece), top, left, bottom, right, 0 in (top, left) or bottom == height or right == width


def assert_like_flood_fill(mask):
    (pieces,) = find_pieces(mask[None])
    numbers = range(len(pieces.area))
    found = {
        frozenset(map(tuple, np.argwhere(only(mask, pieces, np.array(numbers) == i)).tolist())): i for i in numbers
    }
    assert set(found) == {frozenset(piece) for piece in flood_fill(mask)}
    for pixels, i in found.items():
        assert tuple(values[i] for values in pieces[:6]) == described(pixels, *mask.shape)


@pytest.mark.parametrize("drawing", DRAWN.values(), ids=DRAWN)
def test_drawn_masks_are_labelled_like_a_flood_fill(drawing):
    assert_like_flood_fill(np.array([[character == "#" for character in line] for line in drawing.split("\n")]))


@settings(max_examples=300, deadline=None)
@given(MASKS)
def test_any_mask_is_labelled_like_a_flood_fill(mask):
    assert_like_flood_fill(mask)


@pytest.mark.parametrize("density", [0.1, 0.4, 0.6, 0.9])
def test_a_page_of_noise_is_labelled_like_a_flood_fill(density):
    assert_like_flood_fill(np.random.default_rng(1).random((70, 90)) < density)


def test_a_mask_that_is_not_contiguous_is_labelled_too():
    assert_like_flood_fill((np.random.default_rng(2).random((40, 60)) < 0.4).T[::2, ::3])


def test_pieces_are_numbered_by_their_first_pixel_whatever_comes_later():
    mask = np.zeros((5, 9), bool)
    mask[1:3, 1:3] = mask[2:5, 6:8] = True
    (pieces,) = find_pieces(mask[None])
    assert pieces.area.tolist() == [4, 6]
    assert pieces.size.tolist() == [2, 3]
    assert pieces.touches_rim.tolist() == [False, True]


@settings(max_examples=100, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12))))
def test_masks_are_labelled_together_as_they_are_alone(masks):
    together = find_pieces(masks)
    assert len(together) == len(masks)
    for mask, pieces in zip(masks, together, strict=True):
        for ours, alone in zip(pieces, find_pieces(mask[None])[0], strict=True):
            np.testing.assert_array_equal(ours, alone)
