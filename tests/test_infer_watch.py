"""--watch gives every picture that is completely written its row, once, whatever happens to it in between."""

import csv
import os
import resource
import shutil
import signal
import time

import pytest

from digit_infer import watch
from digit_infer.bundle import read_bundle

NOISE_IN_THE_CLOCK = """
import random, time
real = time.time
time.time = lambda: real() - random.choice((0, 60, 86400, 3e8))
"""
NO_NOTIFICATION = "import sys\nsys.modules['inotify_simple'] = None\n"


def until(condition, seconds=30):
    """Wait for a condition; fails where it does not come."""
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


@pytest.fixture
def inbox(tmp_path, start_cli):
    inbox = Inbox(tmp_path, start_cli)
    yield inbox
    if inbox.process and inbox.process.poll() is None:
        inbox.process.kill()
        inbox.process.communicate()


@pytest.fixture
def with_site(tmp_path):
    """with_site(source) is an environment in which Python runs this at its start."""

    def make(source):
        (tmp_path / "site").mkdir()
        (tmp_path / "site/sitecustomize.py").write_text(source)
        runtime = os.path.dirname(os.path.dirname(watch.__file__))
        return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), runtime])}

    return make


@pytest.fixture(params=["told by the kernel", "polling"])
def environment(request, with_site):
    """As it is, and without the library that the kernel's notification comes through."""
    if request.param == "polling":
        return with_site(NO_NOTIFICATION)
    pytest.importorskip("inotify_simple")
    return {}


def test_the_word_that_somebody_opens_a_leased_picture_does_not_end_it(inbox, sample_files):
    inbox.started()
    inbox.rename_in(sample_files[0], "a.png")
    inbox.await_rows("a.png")
    inbox.process.send_signal(signal.SIGIO)
    inbox.rename_in(sample_files[1], "b.png")
    inbox.await_rows("a.png", "b.png")


def test_what_comes_has_the_rows_of_a_batch_run_whichever_way_it_comes(inbox, samples, environment, run_cli):
    shutil.copytree(samples / "digits/0", inbox.folder / "before")
    said = inbox.started(env=environment)
    assert ("every 0.25 s" in said) == bool(environment)
    source = samples / "digits/1/00002.png"
    inbox.rename_in(source, "renamed.png")
    shutil.copy(source, inbox.folder / "closed.png")
    os.link(source, inbox.folder / "linked.png")
    (inbox.folder / "notes.txt").write_text("no picture")
    (inbox.folder / "new/deep").mkdir(parents=True)
    shutil.copy(source, inbox.folder / "new/deep/late.png")
    (inbox.folder / "broken.png").write_bytes(source.read_bytes()[:150])
    shutil.copytree(samples / "digits/2", inbox.folder.parent / "moved")
    (inbox.folder.parent / "moved").rename(inbox.folder / "moved")
    inbox.await_rows("renamed.png", "closed.png", "linked.png", "new/deep/late.png", "broken.png", "moved/00119.png")
    code, said = inbox.stop()
    assert (code, said.count("\n")) == (0, 1)
    assert "25 pictures: 24 ok, 0 rejected, 1 errors" in said
    run_cli("inbox", "-o", "batch.csv", "-m", "nano", cwd=inbox.folder.parent)
    batch, watched = ((inbox.folder.parent / name).read_text().splitlines() for name in ("batch.csv", "rows.csv"))
    assert batch[0] == watched[0]
    assert sorted(batch) == sorted(watched)


def test_a_picture_that_is_being_written_has_no_row_until_it_is_closed(inbox, png, environment):
    inbox.started(env=environment)
    with (inbox.folder / "slow.png").open("wb", buffering=0) as file:
        file.write(png[:100])
        shutil.copy(inbox.folder / "slow.png", inbox.folder / "other.png")
        inbox.await_rows("other.png")
        time.sleep(2 * watch.SETTLED)
        assert inbox.names() == ["other.png"]
        file.write(png[100:])
    inbox.await_rows("slow.png")
    assert b"inbox/slow.png,ok," in inbox.rows.read_bytes()


def test_a_restart_reads_what_came_meanwhile_and_nothing_twice(inbox, sample_files):
    for number, stop in enumerate([signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM]):
        for path in sample_files[10 * number : 10 * number + 5]:
            shutil.copy(path, inbox.folder)
        said = inbox.started()
        assert f"{10 * number} pictures have their row" in said
        arrived = sample_files[10 * number + 5 : 10 * number + 10]
        for path in arrived:
            inbox.rename_in(path, path.name)
        inbox.await_rows(*(path.name for path in arrived))
        until(lambda number=number: len(inbox.names()) == 10 * number + 10)
        assert inbox.stop(stop)[0] == (0 if stop != signal.SIGKILL else -9)
    assert sorted(inbox.names()) == sorted(path.name for path in sample_files[:40])


def test_a_power_cut_in_the_middle_of_a_row_costs_that_row_alone_which_is_made_again(inbox, sample_files):
    for path in sample_files[:5]:
        shutil.copy(path, inbox.folder)
    inbox.started()
    until(lambda: len(inbox.names()) == 5)
    inbox.stop()
    whole = inbox.rows.read_bytes()
    for torn in (b"", whole[:20], whole[:-1], whole[:-30], whole[: len(whole) // 2] + bytes(4000)):
        inbox.rows.write_bytes(torn)
        inbox.started()
        until(lambda: inbox.rows.read_bytes() == whole)
        assert inbox.stop()[0] == 0


def test_a_full_disk_ends_it_with_a_line_and_whole_rows_and_it_goes_on_later(inbox, sample_files):
    for path in sample_files[:60]:
        shutil.copy(path, inbox.folder)

    def full_after_2000_bytes():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    inbox.start("--batch-size", "8", preexec_fn=full_after_2000_bytes)
    code, said = inbox.ended()
    assert code == 1
    assert said.splitlines()[-1] == (
        "Error: cannot write rows.csv: no space left on device; the rows so far are in rows.csv, "
        "the same command goes on with them"
    )
    assert inbox.rows.read_bytes().endswith(b"\n")
    assert 0 < len(inbox.names()) < 60
    inbox.started()
    until(lambda: len(inbox.names()) == 60)
    inbox.stop()
    assert sorted(inbox.names()) == sorted(path.name for path in sample_files[:60])


CHANGES = {
    "saved by renaming": lambda path: (
        path.with_name("saved").write_bytes(path.read_bytes()) and path.with_name("saved").rename(path)
    ),
    "removed": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_writes_no_row_into_a_file_that_another_program_has_changed(change, inbox, sample_files):
    inbox.rename_in(sample_files[0], "a.png")
    inbox.started()
    inbox.await_rows("a.png")
    change(inbox.rows)
    inbox.rename_in(sample_files[1], "b.png")
    code, said = inbox.ended()
    line = "Error: rows.csv was replaced or changed by another program; start again"
    assert (code, said.splitlines()[-1]) == (1, line)
    inbox.started()
    until(lambda: inbox.rows.read_bytes().count(b"\n") == 3)
    assert inbox.names() == ["a.png", "b.png"]
    inbox.stop()


def test_a_clock_that_jumps_back_changes_nothing(inbox, sample_files, with_site):
    environment = with_site(NOISE_IN_THE_CLOCK)
    inbox.started(env=environment)
    for number, path in enumerate(sample_files[:20]):
        shutil.copy(path, inbox.folder)
        os.utime(inbox.folder / path.name, (number * 3e8, number * 3e8))  # from 1970 to 2150
    until(lambda: len(inbox.names()) == 20)
    inbox.stop()
    inbox.started(env=environment)
    inbox.rename_in(sample_files[20], "last.png")
    inbox.await_rows("last.png")
    inbox.stop()
    assert len(inbox.names()) == len(set(inbox.names())) == 21


def test_names_of_copies_under_way_are_passed_over_until_they_are_renamed(inbox, png):
    inbox.started()
    for name in ("a.png.part", "b.jpg.crdownload", "c.tmp", ".d.png.x7Yz"):
        (inbox.folder / name).write_bytes(png)
    (inbox.folder / "a.png.part").rename(inbox.folder / "a.png")
    inbox.await_rows("a.png")
    time.sleep(0.3)
    assert inbox.names() == ["a.png"]
    inbox.stop()


def test_killed_again_and_again_while_pictures_come_it_loses_and_doubles_none(inbox, sample_files):
    for number in range(4):
        inbox.start()
        for path in sample_files[25 * number : 25 * number + 25]:
            inbox.rename_in(path, path.name)
            time.sleep(0.02)
        inbox.stop(signal.SIGKILL)
    inbox.started()
    until(lambda: len(inbox.names()) == 100)
    inbox.stop()
    assert sorted(inbox.names()) == sorted(path.name for path in sample_files)


def refused(inbox, *options):
    """The line that it ends with."""
    inbox.start(*options)
    code, said = inbox.ended()
    assert code == 1
    return said.splitlines()[-1]


def test_a_model_cut_off_during_copying_is_refused_and_the_rows_stay(inbox, png, tmp_path):
    (inbox.folder / "a.png").write_bytes(png)
    inbox.started()
    inbox.await_rows("a.png")
    inbox.stop()
    before, content = inbox.rows.read_bytes(), read_bundle("nano").content
    for length in (0, 1000, len(content) // 2, len(content) - 5000, len(content) - 1):
        (tmp_path / "cut.tflite").write_bytes(content[:length])
        assert refused(inbox, "-m", "cut.tflite").startswith("Error: cut.tflite ")
        assert inbox.rows.read_bytes() == before


def test_rows_of_another_model_are_not_gone_on_with(inbox, png):
    (inbox.folder / "a.png").write_bytes(png)
    inbox.started()
    inbox.await_rows("a.png")
    inbox.stop()
    before = inbox.rows.read_bytes()
    assert "another model_sha256" in refused(inbox, "-m", "small")
    assert inbox.rows.read_bytes() == before
    inbox.started("-m", "small", "--force")
    inbox.await_rows("a.png")
    inbox.stop()


def test_what_is_no_folder_is_refused(inbox, png, tmp_path):
    inbox.folder.rmdir()
    inbox.folder.write_bytes(png)
    assert refused(inbox) == "Error: inbox is not a folder; --watch takes folders"


def test_a_folder_that_is_removed_ends_it_with_a_line(inbox, png, with_site):
    inbox.started(env=with_site(NO_NOTIFICATION))
    inbox.folder.rmdir()
    code, said = inbox.ended()
    assert (code, said) == (1, "Error: inbox: no such file or folder\n")


@pytest.mark.parametrize(
    "arguments",
    [["a"], ["a", "-o", "-"], ["a", "-o", "rows.csv", "--resume"], ["a", "-o", "rows.csv", "--against", "base"]],
    ids=" ".join,
)
def test_what_cannot_be_watched_is_a_usage_error(arguments, run_cli, tmp_path):
    done = run_cli("--watch", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert b"--watch" in done.stderr


def test_neither_a_second_watcher_nor_a_run_writes_into_its_rows(inbox, png, run_cli):
    inbox.started()
    for options in (["--watch"], ["--force"]):
        (inbox.folder / "a.png").write_bytes(png)
        done = run_cli("inbox", "-o", "rows.csv", *options, cwd=inbox.folder.parent)
        line = "Error: another digit-infer is writing rows.csv; wait for it, or name another -o"
        assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (1, line)
    inbox.await_rows("a.png")
    inbox.stop()
    assert sorted(path.name for path in inbox.folder.parent.iterdir()) == ["inbox", "rows.csv", "rows.csv.run.json"]
