"""Worker processes answer every item once and in order, whatever becomes of the workers."""

import faulthandler
import os
import select
import signal
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digit_infer.pool import Pool, Task, Worker


def segfault():
    faulthandler.disable()  # pytest's, which would print where
    os.kill(os.getpid(), signal.SIGSEGV)


DEATHS = {
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
    "exit 3": (lambda: os._exit(3), 3),
    "exit 0": (lambda: os._exit(0), 0),
    "SIGSEGV": (segfault, -signal.SIGSEGV),
}


def answers(work_on, items, workers=2, batch_size=4):
    """What the pool makes of items, each answered by `work_on(item)`, in one list; (item, exit code) where given up."""
    stream = iter(items)
    pool = Pool(
        lambda batch: [work_on(item) for item in batch],
        lambda batch, exit_code: [(item, exit_code) for item in batch],
        workers,
        batch_size,
    )
    return [answer for batch in pool.map(lambda count, wait: list(islice(stream, count))) for answer in batch]


def squared_in_odd_time(item):
    time.sleep(item * 7919 % 5 / 1000)
    return item * item


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(1, 4), st.integers(1, 70))
@example(60, 1, 1)
@example(60, 4, 1)
@example(0, 3, 1)
def test_every_item_is_answered_once_and_in_order(count, workers, batch_size):
    assert answers(squared_in_odd_time, range(count), workers, batch_size) == [i * i for i in range(count)]


def test_a_slow_first_item_holds_up_no_more_than_its_place(tmp_path, time_limit):
    def work_on(item):
        while item == 0 and not (tmp_path / "5").exists():
            time.sleep(0.001)
        (tmp_path / str(item)).touch()
        return item

    with time_limit(20):
        assert answers(work_on, range(30), batch_size=1) == list(range(30))


def test_items_and_answers_larger_than_a_pipe_get_past_each_other(time_limit):
    items = [bytes([item]) * 2**20 for item in range(24)]
    with time_limit(20):
        assert answers(lambda item: item, items) == items


def test_no_batch_is_larger_than_asked_for():
    def work(batch):
        return [len(batch)] * len(batch)

    stream = iter(range(500))
    pool = Pool(work, lambda batch, exit_code: [], 2, 20)
    sizes = [size for batch in pool.map(lambda count, wait: list(islice(stream, count))) for size in batch]
    assert len(sizes) == 500
    assert 8 < max(sizes) <= 20  # and they grow


def test_items_that_take_their_time_are_not_put_into_large_batches():
    def work(batch):
        time.sleep(0.03 * len(batch))
        return len(batch)

    stream = iter(range(60))
    sizes = list(Pool(work, lambda batch, exit_code: 0, 2, 500).map(lambda count, wait: list(islice(stream, count))))
    assert sum(sizes) == 60
    assert max(sizes) == 8  # those at the beginning


def test_what_is_not_asked_for_is_not_taken_far_ahead():
    taken = []

    def take(count, wait):
        taken.extend(range(len(taken), len(taken) + count))
        return taken[-count:]

    stream = Pool(lambda batch: len(batch), lambda batch, exit_code: 0, 2, 3).map(take)
    given_out = sum(next(stream) for _ in range(5))
    stream.close()
    assert given_out <= len(taken) <= given_out + 3 * (4 * 2 + 2)


def test_items_are_waited_for_only_where_all_answers_are_out():
    given, answered = [], []

    def take(count, wait):
        if wait:
            assert answered == given
            given.append(len(given))
        return given[-1:] if wait and len(given) < 5 else []

    stream = Pool(lambda batch: batch[0], lambda batch, exit_code: -1, 2, 4).map(take)
    while (answer := next(stream, None)) is not None:
        answered.append(answer)
    assert answered == [0, 1, 2, 3]


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    "killers",
    [{0}, {19}, {9}, {8, 9, 10}, {0, 7, 8, 19}, set(range(20))],
    ids=["first", "last", "middle", "three of a batch", "here and there", "all"],
)
def test_exactly_the_items_that_kill_are_given_up(killers, workers, death):
    die, exit_code = death

    def work_on(item):
        if item in killers:
            die()
        return item

    expected = [(item, exit_code) if item in killers else item for item in range(20)]
    assert answers(work_on, range(20), workers, 8) == expected


def test_killers_at_random_places_are_given_up_while_others_take_their_time():
    killers = {3, 4, 17, 30, 31, 32, 33, 50, 77, 99}

    def work_on(item):
        if item in killers:
            os._exit(1)
        return squared_in_odd_time(item)

    expected = [(item, 1) if item in killers else item * item for item in range(100)]
    assert answers(work_on, range(100), 4, 16) == expected


@pytest.mark.parametrize("batch_size", [1, 8])
def test_an_item_whose_worker_died_but_once_is_answered(batch_size, tmp_path):
    def work_on(item):
        marker = tmp_path / str(item)
        if item % 3 == 0 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert answers(work_on, range(24), batch_size=batch_size) == list(range(24))
    assert len(list(tmp_path.iterdir())) == 8


def test_what_work_raises_is_raised_here_after_the_answers_before_it(tmp_path):
    def work_on(item):
        if item == 11:
            raise LookupError("item 11")
        return item

    with pytest.raises(LookupError, match="item 11"):
        answers(work_on, range(20))


def test_no_worker_is_left_behind_by_a_pool_that_is_given_up_halfway():
    stream = Pool(lambda batch: os.getpid(), lambda batch, exit_code: 0, 2, 1).map(lambda count, wait: [0] * count)
    workers = {next(stream) for _ in range(20)}
    stream.close()
    assert workers
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_pool_that_is_given_up_waits_for_nobody(time_limit):
    stream = iter([[0], [60]])
    pool = Pool(lambda batch: time.sleep(batch[0]) or 0, lambda batch, exit_code: 0, 2, 1)
    answers = pool.map(lambda count, wait: next(stream, []))
    assert next(answers) == 0
    with time_limit(10):
        answers.close()


def test_an_interrupt_is_for_the_parent_alone():
    worker = Worker(lambda batch: batch, [])
    for number in range(2):
        task = Task((number,), [number])
        worker.start(task)
        assert worker.finish() == (task, [number])
        os.kill(worker.process.pid, signal.SIGINT)
    worker.process.end()


def killed_while_stopped(worker):
    """Stop a worker now and kill it a little later, while the other end waits for it to read or to write."""
    os.kill(worker.process.pid, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (worker.process.pid, signal.SIGKILL)).start()


def test_a_worker_that_dies_while_it_is_handed_its_task_has_no_answer():
    worker = Worker(lambda batch: batch, [])
    killed_while_stopped(worker)
    task = Task((0,), [bytes(2**20)] * 10)  # more than the pipe holds
    worker.start(task)
    assert worker.finish() == (task, None)
    assert worker.process.end() == -signal.SIGKILL


def test_a_worker_that_dies_in_the_middle_of_its_answer_has_none(tmp_path):
    worker = Worker(lambda batch: bytes(2**24), [])
    task = Task((0,), [0])
    worker.start(task)
    assert select.select([worker.process.receives], [], [], 10)[0]
    killed_while_stopped(worker)
    assert worker.finish() == (task, None)
    worker.process.end()


PARENT = """
import os, time
from digit_infer.pool import Pool

def work(batch):
    time.sleep(0.05)
    return os.getpid()

for pid in Pool(work, lambda batch, exit_code: 0, 3, 1).map(lambda count, wait: [0] * count):
    print(pid, flush=True)
"""


def test_workers_end_when_their_parent_is_killed(time_limit):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    workers = {int(parent.stdout.readline()) for _ in range(12)}
    assert len(workers) == 3
    parent.kill()
    with time_limit(10):
        parent.stdout.read()  # ends when nobody has the other end any more
    parent.communicate()
    with time_limit(10):
        while any(is_alive(pid) for pid in workers):
            time.sleep(0.01)


def is_alive(pid):
    """Whether a process runs still; one that nobody has waited for is dead all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
