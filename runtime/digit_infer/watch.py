"""Watch folders: every picture that is completely written gets its row, once, however often the watcher is restarted.

What lies in the folders and what stands in the file of rows decides, never an event: the kernel's notification, or time
passing, only says when to look. So nothing is lost that came before, between two looks or in too great a hurry.
"""

import errno
import fcntl
import os
import signal
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from digit_infer.errors import InputError, OutputError
from digit_infer.files import locked, write_json
from digit_infer.found import Found
from digit_infer.job import Job
from digit_infer.notifier import Notifier
from digit_infer.report import Tally
from digit_infer.resume import check_same_run
from digit_infer.row import printable
from digit_infer.sinks import RowFile, file_of_rows, name_in_row
from digit_infer.sources import find_images
from digit_infer.stream import Stream

SETTLED = 0.5  # seconds without a change, where nothing tells whether a file is still being written
DECIDES_ROWS = "model_sha256", "normaliser", "inputs", "working_folder", "options"
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", ".temp", "~")  # names until a copy is complete


def watch(job: Job, note: Callable[[str], None]) -> None:
    """Write rows until SIGINT or SIGTERM. Raises InputError where a folder is gone, OutputError for a full disk."""
    for folder in job.inputs:
        if not os.path.isdir(folder):
            raise InputError(f"{folder} is not a folder; --watch takes folders")
    assert job.output.path
    rows = file_of_rows(job.output.path)
    if rows.is_folder:
        raise OutputError(f"{rows.output}: --watch writes .csv or .jsonl")
    rows.partial, rows.way_on = rows.output, "the same command goes on with them"
    record = rows.output.with_name(f"{rows.output.name}.run.json")
    about = job.about()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with locked(rows.target):
        seen = open_rows(job, rows, record, about | {"status": "watching"})
        try:
            with Notifier(job.inputs) as notifier:
                note(f"watching {', '.join(job.inputs)} {notifier}; {len(seen):,} pictures have their row")
                look_again_and_again(job, rows, seen, notifier, PassedOver(job, note))
        except KeyboardInterrupt:
            pass
        finally:
            rows.close()
        write_json(record, about | {"status": "stopped"} | job.tally.record())


def open_rows(job: Job, rows: RowFile, record: Path, about: dict[str, object]) -> set[str]:
    """Go on with the file of rows, or begin it; the paths that have their row."""
    seen: set[str] = set()
    if rows.interrupted.exists():  # gone on with later, it would replace the rows of the watcher
        raise OutputError(f"{rows.interrupted} is of an interrupted run; finish it with --resume, or remove it")
    if rows.output.exists() and rows.output.stat().st_size and not job.output.force:
        check_same_run(record, {name: about[name] for name in DECIDES_ROWS})
        kept = rows.kept_rows(rows.output)
        while part := list(islice(kept, 1000)):
            seen.update(name_in_row(row.path) for row in part)
            job.tally.add(Tally.of(part))
    write_json(record, about)  # first: rows without a record could not be gone on with
    rows.open(keep=job.tally.pictures)
    return seen


def look_again_and_again(
    job: Job, rows: RowFile, seen: set[str], notifier: Notifier, passed_over: "PassedOver"
) -> None:
    """Read what has come, and wait for more."""
    # the kernel sends it to who holds a lease when another opens the file; it would end the process
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    waiting = Waiting()
    while True:
        others: list[str] = []
        found_now = ((name_in_row(found.path), found) for found in find_images(job.inputs, others.append))
        unread = {name: found for name, found in found_now if name not in seen}  # once, where folders overlap
        if new := list(waiting.complete(unread.values())):
            if job.write_rows(Stream(iter(new)), rows.kind.text, rows.write):
                return
            rows.sync()
            seen.update(name_in_row(found.path) for found in new)
        passed_over.tell(others)
        notifier.wait(soon=bool(waiting.since or passed_over.waiting.since))


class PassedOver:
    """Says once of each file that it is no picture: who sent it would wait for its row."""

    def __init__(self, job: Job, note: Callable[[str], None]) -> None:
        self.job, self.note = job, note
        assert job.output.path
        self.ours = os.path.realpath(job.output.path)
        self.waiting, self.told = Waiting(), set[str]()

    def tell(self, paths: list[str]) -> None:
        """Of those that are completely written."""
        for found in self.waiting.complete(Found(path) for path in paths if self.is_new(path)):
            self.told.add(found.path)
            self.job.tally.skip(found.path)
            self.note(f"passed over {printable(found.path)}: not a picture")

    def is_new(self, path: str) -> bool:
        """Whether it is neither told of, hidden or no file, nor the rows or what stands beside them."""
        if path in self.told or os.path.basename(path).startswith(".") or not os.path.isfile(path):
            return False
        return not f"{os.path.realpath(path)}.".startswith(f"{self.ours}.")


class Waiting:
    """Tells which pictures are completely written: at once where the kernel knows, else when they change no more."""

    def __init__(self) -> None:
        self.since: dict[str, tuple[object, float]] = {}  # state of a file, and since when it is that

    def complete(self, candidates: Iterable[Found]) -> Iterator[Found]:
        """Those of the candidates that can be read; the others are remembered."""
        before, self.since = self.since, {}
        for found in candidates:
            if found.path.lower().endswith(UNFINISHED):
                continue
            state = state_of_file(found.path)
            if state is True:
                yield found
            elif state is not False:
                known, since = before.get(found.path, (None, 0.0))
                # by a clock that nobody sets back
                since = since if known == state else time.monotonic()
                if time.monotonic() - since >= SETTLED:
                    yield found
                else:
                    self.since[found.path] = state, since


def state_of_file(path: str) -> object:
    """True for a file that nobody has open for writing, False for one that somebody has, or is gone; where the file
    system or the file's owner does not let us know, and of an empty one, its size and times.

    The kernel gives a lease (fcntl(2), F_SETLEASE) on a file only while no process can write to it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return os.path.islink(path)  # a broken link is to have its row
    except OSError:
        return True  # its row says why
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            return False
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        if about.st_size:  # else perhaps made now, to be opened again and written
            return True
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return False
    finally:
        os.close(descriptor)
    return about.st_ino, about.st_size, about.st_mtime_ns
