"""Whatever ends a run halfway, signal, kill or full disk: the rows so far are whole, and --resume brings the rest."""

import errno
import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import time

import pytest
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.errors import OutputError
from digit_infer.files import locked

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


@pytest.fixture
def started(start_cli, images, whole, out):
    """A run in the middle: its process, the file it is to write, and the file it writes now."""
    path = out / whole.name
    process = start_cli(str(images), "-o", str(path), *EFFORT, start_new_session=True)
    partial = path.with_name(f"{path.name}.partial")
    until = time.monotonic() + 30
    while time.monotonic() < until and not (partial.exists() and partial.read_bytes().count(b".png") > 4):
        time.sleep(0.001)
    yield process, path, partial
    process.kill()
    process.communicate()


def resume(run_cli, images, path):
    return run_cli(str(images), "-o", str(path), "--resume")


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed_is_brought_to_the_same_end(seed, started, images, whole, run_cli):
    process, path, partial = started
    time.sleep(random.Random(seed).random() / 15)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < partial.stat().st_size < whole.stat().st_size
    done = resume(run_cli, images, path)
    assert done.returncode == 3, done.stderr
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["alone", "with its workers"])
def test_a_signal_ends_the_run_with_whole_rows_and_a_word_on_how_to_go_on(
    number, send, started, images, whole, run_cli
):
    process, path, partial = started
    send(process.pid, number)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, b"")
    assert stderr.decode().splitlines()[-1] == "interrupted: --resume goes on"
    assert b"Traceback" not in stderr
    assert not path.exists()
    rows = partial.read_bytes()
    assert whole.read_bytes().startswith(rows)
    assert rows.endswith(b"\n")
    assert 0 < len(rows) < whole.stat().st_size
    record = json.loads(path.with_name(f"{path.name}.run.json").read_text())
    assert record["status"] == "interrupted"
    assert 0 < record["counts"]["pictures"] < 600
    done = resume(run_cli, images, path)
    assert done.returncode == 3, done.stderr
    assert path.read_bytes() == whole.read_bytes()
    assert json.loads(path.with_name(f"{path.name}.run.json").read_text())["status"] == "complete"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_run_that_waits_for_the_next_line_of_a_list(number, sample_files, start_cli, run_cli, out):
    process = start_cli("-", "-o", str(out / "rows.csv"), *EFFORT, stdin=subprocess.PIPE)
    listed = b"".join(os.fsencode(path) + b"\n" for path in sample_files[:30])
    process.stdin.write(listed)
    process.stdin.flush()
    until = time.monotonic() + 30
    while time.monotonic() < until and not (out / "rows.csv.partial").exists():
        time.sleep(0.01)
    time.sleep(1)  # now it has read what there is
    process.send_signal(number)
    process.wait(timeout=10)
    stderr = process.communicate()[1].decode()
    assert (process.returncode, stderr.splitlines()[-1]) == (130, "interrupted: --resume goes on")
    assert run_cli("-", "-o", str(out / "rows.csv"), "--resume", input=listed).returncode == 0
    assert (out / "rows.csv").read_text().count(",ok,") == 30


def test_a_run_may_be_interrupted_many_times(started, start_cli, images, whole, run_cli):
    process, path, partial = started
    sizes = [0]
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        sizes.append(partial.stat().st_size)
        process = start_cli(str(images), "-o", str(path), *EFFORT, "--resume")
        while process.poll() is None and partial.exists() and partial.stat().st_size == sizes[-1]:
            time.sleep(0.001)
    process.communicate(timeout=60)
    assert sizes == sorted(set(sizes))
    assert path.read_bytes() == whole.read_bytes()


def test_a_second_run_to_the_same_file_is_refused_and_the_first_goes_on(started, images, whole, run_cli):
    process, path, _ = started
    process.send_signal(signal.SIGSTOP)
    for options in ([], ["--force"], ["--resume"]):
        done = run_cli(str(images), "-o", str(path), *options)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
        assert b"another digit-infer is writing" in done.stderr
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=60)
    assert path.read_bytes() == whole.read_bytes()


def test_a_lock_that_was_removed_meanwhile_locks_nothing(tmp_path, monkeypatch):
    lock, real = tmp_path / ".rows.csv.lock", fcntl.lockf

    def late(file, operation):
        lock.unlink()
        lock.touch()  # by a third run, which holds the new one
        real(file, operation)

    monkeypatch.setattr("fcntl.lockf", late)
    with pytest.raises(OutputError, match="another digit-infer"), locked(tmp_path / "rows.csv"):
        pass


def test_where_a_file_system_has_no_locks_it_does_without(samples, out, monkeypatch):
    def no_lock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_lock)
    command = [str(samples / "digits/0"), "-o", str(out / "rows.csv")]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["rows.csv", "rows.csv.run.json"]


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
    assert resume(run_cli, images, path).returncode == 3
    assert path.read_bytes() == whole.read_bytes()


def test_a_disk_that_fails_at_the_end_is_one_line(monkeypatch, samples, out):
    def fail(number):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    result = CliRunner().invoke(main, [str(samples / "digits/0"), "-o", str(out / "rows.csv")])
    line = f"Error: cannot write {out}/rows.csv: input/output error; the rows so far are in {out}/rows.csv.partial, "
    assert (result.exit_code, result.stderr) == (1, f"{line}--resume goes on with them\n")
    assert sorted(path.name for path in out.iterdir()) == ["rows.csv.partial", "rows.csv.run.json"]


def test_a_reader_that_leaves_early_ends_the_run_without_a_traceback(images, start_cli):
    process = start_cli(str(images), *EFFORT)
    first = process.stdout.read(100)
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(timeout=30)
    process.stderr.close()
    assert process.returncode == 1
    assert first.startswith(b"path,status,digit")
    assert b"Traceback" not in stderr
    assert b"Exception ignored" not in stderr


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
