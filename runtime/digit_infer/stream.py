"""The inputs as they are found, taken a batch at a time."""

import math
from collections.abc import Iterator
from itertools import chain

import numpy as np

from digit_infer.decode import Levels
from digit_infer.found import Block, Found, Outcome, Pictures

HEAVIEST = 2**24  # bytes that the inputs of a batch hold together, unless a single one holds more
AT_ONCE = 1000  # inputs that are taken together to look at each


class Batch:
    """Some inputs in a row."""

    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        return sum(block.size for block in self.blocks)

    def __getitem__(self, chosen: slice) -> "Batch":
        start, stop, _ = chosen.indices(len(self))
        stream = Stream(iter(self.blocks))
        stream.take(start, math.inf)
        return stream.take(stop - start, math.inf)

    def paths(self) -> list[str]:
        return [path for block in self.blocks for path in block.paths()]

    def array(self) -> Levels | None:
        """The pictures, (n, 28, 28), uint8, where all come from arrays of such: faster than their outcomes."""
        arrays = [block.levels for block in self.blocks if isinstance(block, Pictures) and block.of_mnists_size()]
        return np.concatenate(arrays) if arrays and len(arrays) == len(self.blocks) else None

    def outcomes(self) -> Iterator[Outcome]:
        return chain.from_iterable(block.outcomes() for block in self.blocks)

    def each(self) -> Iterator[Found]:
        return chain.from_iterable(block.each() for block in self.blocks)


class Stream:
    """Inputs that come as blocks and are taken as they are wanted."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self.blocks = blocks
        self.rest: Block | None = None  # of a block that was taken in part

    def take(self, count: int, heaviest: float = HEAVIEST, wait: bool = True) -> Batch:
        """The next ones: fewer than asked for where they are heavy or have to be waited for.

        Empty where there are no more, or without `wait` none as yet.
        """
        taken: list[Block] = []
        weight = 0
        while count > 0 and weight < heaviest:
            block, self.rest = self.rest or next(self.blocks, None), None
            if block is None:
                break
            if not block.size:  # the next one has to be waited for
                if taken or not wait:
                    self.rest = block
                    break
                continue
            if block.size > count:
                block, self.rest = block.part(0, count), block.part(count, block.size)
            taken.append(block)
            count -= block.size
            weight += block.weight
        return Batch(taken)

    def each(self, count: int | None = None) -> Iterator[Found]:
        """The next ones, or all, one by one."""
        while batch := self.take(AT_ONCE if count is None else min(AT_ONCE, count)):
            yield from batch.each()
            count = None if count is None else count - len(batch)
