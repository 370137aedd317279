"""What --watch rests on: when a picture is completely written, and who tells that one has come."""

import errno
import os
import time
from types import SimpleNamespace

import pytest

from digit_infer import bell, watch
from digit_infer.found import Found
from digit_infer.report import Tally


def test_where_the_kernel_does_not_know_a_picture_is_read_once_it_changes_no_more(tmp_path, png, monkeypatch):
    def no_lease(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("fcntl.fcntl", no_lease)
    path, waiting = tmp_path / "a.png", watch.Waiting()
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    def complete():
        return list(waiting.complete(iter([Found(str(path))])))

    path.write_bytes(png[:50])
    assert not complete()
    now += watch.SETTLED
    path.write_bytes(png)
    assert not complete()
    now += watch.SETTLED / 2
    assert not complete()
    now += watch.SETTLED
    assert complete()


def test_an_empty_picture_may_be_about_to_be_opened_again(tmp_path):
    (tmp_path / "a.png").touch()
    assert watch.state_of_file(str(tmp_path / "a.png")) not in (True, False)


def test_an_empty_picture_that_is_open_for_writing_is_waited_for_however_long(tmp_path):
    with (tmp_path / "a.png").open("wb"):
        assert watch.state_of_file(str(tmp_path / "a.png")) is False


def test_without_watches_left_it_polls(tmp_path, monkeypatch):
    inotify_simple = pytest.importorskip("inotify_simple")

    def none_left(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", none_left)
    with bell.Bell([str(tmp_path)]) as rung:
        assert str(rung) == "every 0.25 s (inotify: no space left on device)"
        rung.wait(soon=False)


def test_when_the_kernel_has_lost_count_folders_made_meanwhile_are_watched_too(tmp_path):
    inotify_simple = pytest.importorskip("inotify_simple")
    with bell.Bell([str(tmp_path)]) as rung:
        (tmp_path / "unheard").mkdir()
        rung.inotify.read(timeout=0)
        (tmp_path / "unheard/a.png").touch()
        assert not list(rung.inotify.read(timeout=0))
        overflow = [inotify_simple.Event(-1, inotify_simple.flags.Q_OVERFLOW, 0, "")]
        real, rung.inotify.read = rung.inotify.read, lambda timeout: overflow
        rung.wait(soon=False)
        (tmp_path / "unheard/b.png").touch()
        assert list(real(timeout=0))


@pytest.fixture
def passed_over(tmp_path):
    """What tells of files that are no pictures, for rows in out.csv, and the lines that it has written."""
    lines = []
    job = SimpleNamespace(output=SimpleNamespace(path=tmp_path / "out.csv"), tally=Tally())
    return watch.PassedOver(job, lines.append), lines


def test_what_is_no_picture_is_told_once_when_it_is_completely_written(passed_over, tmp_path, monkeypatch):
    over, lines = passed_over
    states = iter([False, (1, 2), (1, 3), (1, 3), True])
    monkeypatch.setattr(watch, "state_of_file", lambda path: next(states))
    monkeypatch.setattr(watch, "SETTLED", 0)
    (tmp_path / "a.pdf").touch()
    said = []
    for _ in range(6):
        over.tell([str(tmp_path / "a.pdf")])
        said.append(len(lines))
    assert said == [0, 1, 1, 1, 1, 1]
    assert lines == [f"passed over {tmp_path}/a.pdf: not a picture"]


def test_the_watchers_own_files_hidden_ones_copies_and_pipes_are_left_alone(passed_over, tmp_path, time_limit):
    over, lines = passed_over
    os.mkfifo(tmp_path / "pipe")
    for name in ("out.csv", "out.csv.run.json", ".hidden", "a.png.part"):
        (tmp_path / name).write_text("something")
    with time_limit(5):
        over.tell([str(path) for path in tmp_path.iterdir()])
    assert lines == []
    (tmp_path / "out.csv2").write_text("something")
    over.tell([str(tmp_path / "out.csv2")])
    assert len(lines) == 1


def test_a_file_system_of_another_machine_is_told_by_its_kind(monkeypatch):
    monkeypatch.setattr(bell, "file_system", lambda path: "nfs4" if path == "/mnt/camera" else "ext4")
    assert "/mnt/camera is on another machine" in str(bell.Bell(["/mnt/camera"]))


def test_the_kind_of_a_file_system_is_read_from_the_kernel():
    assert bell.file_system("/proc") == "proc"
