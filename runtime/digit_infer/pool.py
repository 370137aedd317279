"""Worker processes that answer batches in order and survive what kills one of them."""

import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from digit_infer.process import Process


class Sliceable(Protocol):
    """Items that can be counted and parted."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice, /) -> Any: ...


Items = TypeVar("Items", bound=Sliceable)
Answer = TypeVar("Answer")
Key = tuple[int, ...]  # of a batch: its number, then, where it had to be halved, which half, which half of that …

FIRST_BATCH = 8
TARGET_SECONDS = 0.1  # that a batch should take: long beside handing it over, short beside the run
HANDED_OUT = 2  # tasks that a worker has: the next one is there when one is done
AHEAD = 4  # batches per worker that may wait for an earlier one's answer
ATTEMPTS = 2  # of a single item before it is given up: it may not be its fault


@dataclass(frozen=True)
class Task(Generic[Items]):
    """A batch on its way."""

    key: Key
    items: Items
    attempt: int = 1


class Worker(Generic[Items, Answer]):
    """A process and the tasks that it has: it works on the first."""

    def __init__(self, work: Callable[[Items], Answer], others: list[Process]) -> None:
        self.process = Process(work, others)
        self.tasks: deque[Task[Items]] = deque()
        self.since = 0.0  # when it began with the first

    def start(self, task: Task[Items]) -> None:
        if not self.tasks:
            self.since = time.perf_counter()
        self.tasks.append(task)
        self.process.send(task.items)

    def finish(self) -> tuple[Task[Items], Answer | None]:
        """The first task and its answer, None where the worker has died. Raises what `work` raised."""
        task = self.tasks.popleft()
        try:
            return task, self.process.receive()
        except EOFError:  # before its answer, or in the middle of it
            return task, None


class Pool(Generic[Items, Answer]):
    """Answers to batches of items, in their order, from `count` processes.

    `work` answers a batch in a worker; `give_up` makes the answer for a batch of one item that kills whoever works on
    it, from that and the signal or exit code. A batch whose worker dies is halved until the item that did it is found.
    """

    def __init__(
        self,
        work: Callable[[Items], Answer],
        give_up: Callable[[Items, int], Answer],
        count: int,
        largest_batch: int,
    ) -> None:
        self.work, self.give_up, self.count, self.largest_batch = work, give_up, count, largest_batch
        self.batch_size = min(FIRST_BATCH, largest_batch)
        self.workers: list[Worker[Items, Answer]] = []
        self.begun, self.exhausted = 0, False
        self.again: list[Task[Items]] = []  # halves of a batch that killed its worker
        self.answers: dict[Key, Answer | None] = {}  # of the batches begun; None while one is worked on

    def map(self, take: Callable[[int, bool], Items]) -> Iterator[Answer]:
        """Answer all that `take`, asked for so many items, gives, until it gives none.

        It is told whether to wait for them: not while there are answers to come.
        """
        try:
            while True:
                self.hand_out(take)
                if not self.answers:
                    return
                # while the workers are busy
                while self.answers and (answer := self.answers[first := min(self.answers)]) is not None:
                    del self.answers[first]
                    yield answer
                if self.answers:  # else so many were waiting that no task was handed out
                    self.wait_for_answers()
        finally:
            for worker in self.workers:
                worker.process.end()

    def hand_out(self, take: Callable[[int, bool], Items]) -> None:
        """Give every worker as many tasks as it may have."""
        while sum(len(worker.tasks) for worker in self.workers) < HANDED_OUT * self.count:
            if not (task := self.next_task(take)):
                return
            self.least_busy_worker().start(task)

    def next_task(self, take: Callable[[int, bool], Items]) -> Task[Items] | None:
        if self.again:
            return self.again.pop()
        if self.exhausted or len(self.answers) >= AHEAD * self.count:
            return None
        wait = not self.answers
        items = take(self.batch_size, wait)
        if not items:
            self.exhausted = wait
            return None
        key = (self.begun,)
        self.begun += 1
        self.answers[key] = None
        return Task(key, items)

    def least_busy_worker(self) -> Worker[Items, Answer]:
        least = min(self.workers, key=lambda worker: len(worker.tasks), default=None)
        if least and (not least.tasks or len(self.workers) == self.count):
            return least
        worker = Worker(self.work, [other.process for other in self.workers])
        self.workers.append(worker)
        return worker

    def wait_for_answers(self) -> None:
        busy = [worker for worker in self.workers if worker.tasks]
        waiting = select.poll()
        for worker in busy:
            waiting.register(worker.process.receives, select.POLLIN)
            if worker.process.unsent:
                waiting.register(worker.process.sends, select.POLLOUT)
        ready = {pipe for pipe, _ in waiting.poll()}
        for worker in busy:
            worker.process.push()
            if worker.process.receives not in ready:
                continue
            task, answer = worker.finish()
            if answer is None:
                self.workers.remove(worker)
                self.again += reversed(worker.tasks)
                self.halve(task, worker.process.end())
                continue
            self.answers[task.key] = answer
            now = time.perf_counter()
            pace, worker.since = (now - worker.since) / len(task.items), now
            self.batch_size = min(self.largest_batch, max(1, min(2 * self.batch_size, int(TARGET_SECONDS / pace))))

    def halve(self, task: Task[Items], exit_code: int) -> None:
        if len(task.items) > 1:
            del self.answers[task.key]
            middle = len(task.items) // 2
            halves = Task((*task.key, 0), task.items[:middle]), Task((*task.key, 1), task.items[middle:])
            self.answers |= {half.key: None for half in halves}
            self.again += reversed(halves)
        elif task.attempt < ATTEMPTS:
            self.again.append(replace(task, attempt=task.attempt + 1))
        else:
            self.answers[task.key] = self.give_up(task.items, exit_code)
