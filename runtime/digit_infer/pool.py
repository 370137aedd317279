"""Worker processes that answer batches in order and survive what kills one of them."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar


class Sliceable(Protocol):
    """Items that can be counted and parted."""

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: slice, /) -> Any: ...


Items = TypeVar("Items", bound=Sliceable)
Answer = TypeVar("Answer")
Key = tuple[int, ...]  # of a batch: its number, then, where it had to be halved, which half, which half of that …

CONTEXT = multiprocessing.get_context("fork")  # workers share the parent's libraries and model, in time and memory
FIRST_BATCH = 8
TARGET_SECONDS = 0.1  # that a batch should take: long beside handing it over, short beside the run
AHEAD = 4  # batches per worker that may wait for an earlier one's answer
ATTEMPTS = 2  # of a single item before it is given up: it may not be its fault


@dataclass(frozen=True)
class Task(Generic[Items]):
    """A batch on its way."""

    key: Key
    items: Items
    attempt: int = 1


class Worker(Generic[Items, Answer]):
    """A process and the task it works on."""

    def __init__(self, work: Callable[[Items], Answer], others: list[Connection]) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        # what a worker inherits of the parent's ends it closes, or it would not notice when the parent is gone
        inherited = [self.connection, *others]
        self.process = CONTEXT.Process(target=serve, args=(theirs, work, inherited), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task[Items] | None = None
        self.since = 0.0

    def start(self, task: Task[Items]) -> None:
        self.task, self.since = task, time.perf_counter()
        with suppress(BrokenPipeError):  # it is dead, which `finish` will notice
            self.connection.send(task.items)

    def finish(self) -> tuple[Task[Items], Answer | None]:
        """The task and its answer, None where the worker has died. Raises what `work` raised."""
        assert self.task
        task, self.task = self.task, None
        try:
            answer, error = self.connection.recv()
        except (EOFError, OSError):  # before its answer, or in the middle of it
            return task, None
        if error:
            raise error
        return task, answer

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def serve(connection: Connection, work: Callable[[Items], Answer], inherited: list[Connection]) -> None:
    """A worker's life: it ends when its parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    with suppress(EOFError, OSError):
        while True:
            batch = connection.recv()
            try:
                reply: tuple[Answer | None, Exception | None] = work(batch), None
            except Exception as error:
                reply = None, error
            connection.send(reply)


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
        self.ready: Task[Items] | None = None
        self.again: list[Task[Items]] = []  # halves of a batch that killed its worker
        self.answers: dict[Key, Answer | None] = {}  # of the batches begun; None while one is worked on

    def map(self, take: Callable[[int], Items]) -> Iterator[Answer]:
        """Answer all that `take`, asked for so many items, gives, until it gives none."""
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
                worker.end()

    def hand_out(self, take: Callable[[int], Items]) -> None:
        """Give every idle worker a task, and have the next one ready."""
        while sum(worker.task is not None for worker in self.workers) < self.count:
            if not (task := self.ready or self.next_task(take)):
                return
            self.idle_worker().start(task)
            self.ready = None
        self.ready = self.ready or self.next_task(take)

    def next_task(self, take: Callable[[int], Items]) -> Task[Items] | None:
        if self.again:
            return self.again.pop()
        if self.exhausted or len(self.answers) >= AHEAD * self.count:
            return None
        items = take(self.batch_size)
        if not items:
            self.exhausted = True
            return None
        key = (self.begun,)
        self.begun += 1
        self.answers[key] = None
        return Task(key, items)

    def idle_worker(self) -> Worker[Items, Answer]:
        for worker in self.workers:
            if worker.task is None:
                return worker
        worker = Worker(self.work, [other.connection for other in self.workers])
        self.workers.append(worker)
        return worker

    def wait_for_answers(self) -> None:
        busy = {worker.connection: worker for worker in self.workers if worker.task}
        ready = wait(list(busy))
        for worker in [busy[connection] for connection in busy if connection in ready]:
            task, answer = worker.finish()
            if answer is None:
                worker.end()
                self.workers.remove(worker)
                self.halve(task, worker.process.exitcode or 0)
                continue
            self.answers[task.key] = answer
            pace = (time.perf_counter() - worker.since) / len(task.items)
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
