"""Whatever ends a run halfway, signal, kill or full disk: the rows so far are whole, and --resume brings the rest."""

import errno
import json
import os
import random
import resource
import signal
import subprocess
import time
from contextlib import suppress
from functools import partial

import pytest
from click.testing import CliRunner
from watching import until

from digit_infer.cli import main
from digit_infer.sources import find_images

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
EFFORT = ["--workers", "2", "--batch-size", "4"]


@pytest.fixture(scope="module")
def images(samples, tmp_path_factory):
    """Some hundred pictures of all kinds under names that CSV must quote, and a corrupt one among them."""
    folder = tmp_path_factory.mktemp("many") / "images"
    sources = sorted(path for path in samples.rglob("*") if path.suffix in (".png", ".jpg", ".webp", ".gif"))
    for i in range(6):
        (folder / str(i)).mkdir(parents=True)
        for source in sources:
            (folder / str(i) / f'"{source.parent.name}",\n{source.name}').symlink_to(source)
        (folder / str(i) / "corrupt.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory, run_cli):
    """The file of rows that a run gives from beginning to end."""
    path = tmp_path_factory.mktemp("whole") / "rows.csv"
    assert run_cli(str(images), "-o", str(path)).returncode == 3
    return path


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(scope="module")
def listed(images):
    """The names of the pictures, for stdin; whoever is given some of them waits for the rest."""
    return b"".join(os.fsencode(found.path) + b"\0" for found in find_images([str(images)]))


class Started:
    """A run in the middle, which cannot end before it is given the rest of the names."""

    def __init__(self, start, path, listed):
        self.start, self.path, self.listed = start, path, listed
        self.partial = path.with_name(f"{path.name}.partial")
        self.begin(0.4)

    def begin(self, share, *options):
        """Start with a share of the names, and wait for a row that was not there before."""
        before = self.size()
        options = "-", "-o", str(self.path), *EFFORT, *options
        self.process = self.start(*options, stdin=subprocess.PIPE, start_new_session=True)
        self.given = int(share * len(self.listed))
        self.process.stdin.write(self.listed[: self.given])
        self.process.stdin.flush()
        until(lambda: self.size() > before + 200)

    def size(self):
        with suppress(FileNotFoundError):
            return self.partial.stat().st_size
        return 0

    def ended(self):
        """What it said when it has ended by itself."""
        self.process.wait(timeout=30)  # first: to be without stdin would be the end of the names
        return self.process.communicate()

    def finish(self):
        self.process.communicate(self.listed[self.given :], timeout=60)

    def resume(self, run_cli):
        return run_cli("-", "-o", str(self.path), "--resume", input=self.listed)


@pytest.fixture
def started(start_cli, whole, listed, out):
    started = Started(start_cli, out / whole.name, listed)
    yield started
    started.process.kill()
    started.process.communicate()


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed_is_brought_to_the_same_end(seed, started, whole, run_cli):
    time.sleep(random.Random(seed).random() / 15)
    started.process.kill()
    started.process.communicate()
    assert started.process.returncode == -signal.SIGKILL
    assert 0 < started.size() < whole.stat().st_size
    done = started.resume(run_cli)
    assert done.returncode == 3, done.stderr
    assert started.path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["alone", "with its workers"])
def test_a_signal_ends_the_run_with_whole_rows_and_a_word_on_how_to_go_on(number, send, started, whole, run_cli):
    path, record = started.path, started.path.with_name(f"{started.path.name}.run.json")
    send(started.process.pid, number)
    stdout, stderr = started.ended()
    assert (started.process.returncode, stdout) == (130, b"")
    assert stderr.decode().splitlines()[-1] == "interrupted: --resume goes on"
    assert b"Traceback" not in stderr
    assert not path.exists()
    rows = started.partial.read_bytes()
    assert whole.read_bytes().startswith(rows)
    assert rows.endswith(b"\n")
    assert 0 < len(rows) < whole.stat().st_size
    told = json.loads(record.read_text())
    assert told["status"] == "interrupted"
    assert 0 < told["counts"]["pictures"] < started.listed.count(b"\0") / 2
    done = started.resume(run_cli)
    assert done.returncode == 3, done.stderr
    assert path.read_bytes() == whole.read_bytes()
    assert json.loads(record.read_text())["status"] == "complete"


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_signal_ends_a_run_that_waits_for_the_next_line_of_a_list(number, sample_files, start_cli, run_cli, out):
    process = start_cli("-", "-o", str(out / "rows.csv"), *EFFORT, stdin=subprocess.PIPE)
    listed = b"".join(os.fsencode(path) + b"\n" for path in sample_files[:30])
    process.stdin.write(listed)
    process.stdin.flush()
    partial = out / "rows.csv.partial"
    until(lambda: partial.exists() and partial.read_text().count(",ok,") == 30)  # it has read what there is
    process.send_signal(number)
    process.wait(timeout=10)
    stderr = process.communicate()[1].decode()
    assert (process.returncode, stderr.splitlines()[-1]) == (130, "interrupted: --resume goes on")
    assert run_cli("-", "-o", str(out / "rows.csv"), "--resume", input=listed).returncode == 0
    assert (out / "rows.csv").read_text().count(",ok,") == 30


def test_under_nohup_a_terminal_that_is_gone_is_no_reason_to_stop(start_cli, whole, listed, out):
    started = Started(
        partial(start_cli, preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)), out / whole.name, listed
    )
    os.killpg(started.process.pid, signal.SIGHUP)
    started.finish()
    assert started.path.read_bytes() == whole.read_bytes()


def test_a_run_may_be_interrupted_many_times(started, whole):
    for share in (0.5, 0.6, 0.7):
        started.process.send_signal(signal.SIGINT)
        started.ended()
        assert started.process.returncode == 130
        started.begin(share, "--resume")
    started.finish()
    assert started.path.read_bytes() == whole.read_bytes()


def test_a_second_run_to_the_same_file_is_refused_and_the_first_goes_on(started, images, whole, run_cli):
    started.process.send_signal(signal.SIGSTOP)
    for options in ([], ["--force"], ["--resume"]):
        done = run_cli(str(images), "-o", str(started.path), *options)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
        assert b"another digit-infer is writing" in done.stderr
    started.process.send_signal(signal.SIGCONT)
    started.finish()
    assert started.path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("limit", [9_000, 9_500, 10_111])
def test_a_full_disk_is_one_line_and_the_rows_so_far_are_whole(limit, images, whole, out, run_cli):
    def fill_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    path, partial = out / whole.name, out / f"{whole.name}.partial"
    done = run_cli(str(images), "-o", str(path), *EFFORT, preexec_fn=fill_disk)
    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"Error: cannot write {path}: ")
    assert f"the rows so far are in {partial}, --resume" in line
    rows = partial.read_bytes()
    assert whole.read_bytes().startswith(rows)
    assert rows.endswith(b"\n")
    assert rows.count(b".png") > 10
    assert not path.exists()
    assert run_cli(str(images), "-o", str(path), "--resume").returncode == 3
    assert path.read_bytes() == whole.read_bytes()


def test_a_disk_that_fails_at_the_end_is_one_line(monkeypatch, samples, out):
    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    result = CliRunner().invoke(main, [str(samples / "digits/0"), "-o", str(out / "rows.csv")])
    line = f"Error: cannot write {out}/rows.csv: input/output error; the rows so far are in {out}/rows.csv.partial, "
    assert (result.exit_code, result.stderr) == (1, f"{line}--resume goes on with them\n")
    assert sorted(path.name for path in out.iterdir()) == ["rows.csv.partial", "rows.csv.run.json"]


@pytest.mark.parametrize("heard", [b"", b"path,"], ids=["at once", "on the way"])
def test_a_reader_that_leaves_early_ends_the_run_without_a_word(heard, images, start_cli):
    with start_cli(*[str(images)] * 3, *EFFORT, "--quiet") as process:  # more than its pipe holds
        assert process.stdout.read(len(heard)) == heard
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("copies", [1, 20], ids=["at the end", "on the way"])
def test_a_full_disk_behind_stdout_is_one_line(copies, samples, run_cli):
    with open("/dev/full", "wb") as full:
        done = run_cli(*[str(samples / "digits" / "0")] * copies, "--quiet", stdout=full)
    assert (done.returncode, done.stderr) == (1, b"Error: cannot write to stdout: no space left on device\n")


def test_a_closed_stdout_is_one_line(samples, run_cli):
    done = run_cli(str(samples / "digits" / "0"), "--quiet", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (1, b"Error: cannot write to stdout: bad file descriptor\n")


def test_with_all_streams_closed_the_file_is_written_all_the_same(samples, out, run_cli):
    done = run_cli(str(samples / "digits" / "0"), "-o", str(out / "rows.csv"), preexec_fn=lambda: os.closerange(0, 3))
    assert done.returncode == 0
    assert (out / "rows.csv").read_text().count(",ok,0,") == 10
