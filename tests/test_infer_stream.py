"""However inputs were found, they are taken in order, as many as asked for, and never too much of them at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digit_infer.found import Files, Found, Pictures
from digit_infer.stream import HEAVIEST, Stream

BLOCKS = [
    Files([f"{i}.png" for i in range(7)]),
    Found("a.png"),
    Pictures("a.npy", 3, np.zeros((9, 2, 2), np.uint8)),
    Found("a.zip/b.png", b"b"),
    Files(["z.png"]),
]
PATHS = [path for block in BLOCKS for path in block.paths()]


def test_the_pictures_of_an_array_keep_their_numbers_in_its_parts():
    assert BLOCKS[2].part(2, 4).paths() == ["a.npy[5]", "a.npy[6]"]


@given(st.lists(st.integers(1, 12)))
def test_what_is_taken_piece_by_piece_is_all_there_is(counts):
    stream, taken = Stream(iter(BLOCKS)), []
    for count in counts:
        batch = stream.take(count)
        assert len(batch) == len(batch.paths()) == min(count, len(PATHS) - len(taken))
        taken += batch.paths()
    assert taken + [found.path for found in stream.each()] == PATHS


@given(st.integers(0, len(PATHS)), st.integers(0, len(PATHS)))
def test_a_batch_is_cut_like_a_list(start, stop):
    batch = Stream(iter(BLOCKS)).take(len(PATHS))
    assert batch[start:stop].paths() == PATHS[start:stop]


@pytest.mark.parametrize(
    "make", [lambda size: Found("a", bytes(size)), lambda size: Pictures("a", 0, np.zeros((1, size, 1)))]
)
@pytest.mark.parametrize(("size", "together"), [(HEAVIEST // 4, 4), (4 * HEAVIEST, 1)])
def test_a_batch_of_heavy_inputs_ends_early(make, size, together):
    blocks = [make(size // make(1).weight) for _ in range(9)]
    assert len(Stream(iter(blocks)).take(9)) == together
