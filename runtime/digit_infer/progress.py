"""A bar with rate and time left."""

import time
from typing import Any

from tqdm import tqdm

from digit_infer.sources import expand, find_blocks, is_archive

SECONDS = 1.0  # that counting the pictures beforehand may take; without the count there is no time left


def progress_bar(inputs: list[str], done: int) -> "tqdm[Any]":
    """A bar for a run over these inputs, of which so many are done."""
    bar: tqdm[Any] = tqdm(total=count_pictures(inputs), initial=done, unit=" pictures", dynamic_ncols=True)
    return bar


def count_pictures(inputs: list[str]) -> int | None:
    """How many there are, None where that takes too long or cannot be told without reading."""
    if any(path == "-" or is_archive(path) for given in inputs for path in expand(given)):
        return None
    total, until = 0, time.monotonic() + SECONDS
    for block in find_blocks(inputs):
        total += block.size
        if time.monotonic() > until:
            return None
    return total
