"""What --watch rests on: when a picture is completely written, and who tells that one has come."""

import errno
import time

import pytest

from digit_infer import bell, watch
from digit_infer.found import Found


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


def test_a_file_system_of_another_machine_is_told_by_its_kind(monkeypatch):
    monkeypatch.setattr(bell, "file_system", lambda path: "nfs4" if path == "/mnt/camera" else "ext4")
    assert "/mnt/camera is on another machine" in str(bell.Bell(["/mnt/camera"]))


def test_the_kind_of_a_file_system_is_read_from_the_kernel():
    assert bell.file_system("/proc") == "proc"
