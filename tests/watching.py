"""An inbox and the watcher that reads it, for the tests of both."""

import csv
import os
import shutil
import signal
import time

NO_NOTIFICATION = "import sys\nsys.modules['inotify_simple'] = None\n"


def until(condition, seconds=10):
    """Wait for a condition; fails where it does not come, or only when a watcher looks by itself after 30 s."""
    late = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < late, "still not so"
        time.sleep(0.01)


class Inbox:
    """A folder, the rows of the pictures in it, and the watcher, which can be stopped and started again."""

    def __init__(self, folder, start):
        self.folder, self.rows, self.start_cli = folder / "inbox", folder / "rows.csv", start
        self.folder.mkdir()
        self.process = None

    def start(self, *options, **popen):
        command = ["--watch", "inbox", "-o", "rows.csv", "-m", "nano", "--workers", "1", *options]
        self.process = self.start_cli(*command, cwd=self.folder.parent, start_new_session=True, **popen)
        return self.process

    def started(self, *options, **popen):
        """Start, and wait until it watches; the line that says so."""
        self.start(*options, **popen)
        line = self.process.stderr.readline().decode()
        assert "watching inbox" in line, line + self.process.stderr.read().decode()
        return line

    def stop(self, number=signal.SIGTERM):
        """The exit code and what it said."""
        os.killpg(self.process.pid, number)
        return self.ended()

    def ended(self):
        _, stderr = self.process.communicate(timeout=30)
        return self.process.returncode, stderr.decode()

    def names(self):
        """Of the pictures that have a row, in the order of the rows."""
        with self.rows.open(newline="") as file:
            return [row["path"].removeprefix("inbox/") for row in csv.DictReader(file)]

    def await_rows(self, *names):
        until(lambda: set(self.names()) >= set(names))

    def rename_in(self, path, name):
        shutil.copy(path, self.folder.parent / "arriving")
        (self.folder.parent / "arriving").rename(self.folder / name)
