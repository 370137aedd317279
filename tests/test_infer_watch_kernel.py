"""The kernel tells of what comes into the folders that are watched; where it cannot, they are looked at often."""

import errno
import time

import pytest
from watching import until

from digit_infer import notifier
from digit_infer.errors import InputError

inotify_simple = pytest.importorskip("inotify_simple", reason="needs the extra [watch]")


def no_watch_left(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_watches_left_it_polls(tmp_path, monkeypatch):
    monkeypatch.setattr(inotify_simple.INotify, "add_watch", no_watch_left)
    with notifier.Notifier([str(tmp_path)]) as watched:
        assert str(watched) == "every 0.25 s (inotify: no space left on device)"
        watched.wait(soon=False)


def test_without_a_watch_left_for_a_new_folder_it_polls_from_then_on(tmp_path, monkeypatch):
    with notifier.Notifier([str(tmp_path)]) as watched:
        monkeypatch.setattr(inotify_simple.INotify, "add_watch", no_watch_left)
        (tmp_path / "new").mkdir()
        watched.wait(soon=False)
        assert str(watched) == "every 0.25 s (inotify: no space left on device)"
        watched.wait(soon=False)


@pytest.mark.parametrize(
    "told",
    [[inotify_simple.Event(-1, inotify_simple.flags.Q_OVERFLOW, 0, "")], []],
    ids=["the kernel has lost count", "nothing was told for long"],
)
def test_folders_made_unheard_are_watched_too(told, tmp_path, monkeypatch):
    with notifier.Notifier([str(tmp_path)]) as watched:
        (tmp_path / "unheard").mkdir()
        real = watched.inotify.read
        real(timeout=0)
        (tmp_path / "unheard/a.png").touch()
        assert not real(timeout=0)
        monkeypatch.setattr(watched.inotify, "read", lambda timeout: told)
        watched.wait(soon=False)
        (tmp_path / "unheard/b.png").touch()
        assert real(timeout=0)


def test_a_folder_made_just_before_its_parent_is_watched_is_watched_too(tmp_path, monkeypatch):
    real = inotify_simple.INotify.add_watch

    def late(self, folder, mask):
        if str(folder).endswith("new"):
            (tmp_path / "new/deep").mkdir(exist_ok=True)  # by who makes them both
        return real(self, folder, mask)

    monkeypatch.setattr(inotify_simple.INotify, "add_watch", late)
    with notifier.Notifier([str(tmp_path)]) as watched:
        (tmp_path / "new").mkdir()
        watched.wait(soon=False)
        (tmp_path / "new/deep/a.png").touch()
        assert watched.inotify.read(timeout=0)


def test_it_looks_again_soon_where_a_file_is_waited_for_that_nothing_tells_of(tmp_path, monkeypatch):
    asked = []
    with notifier.Notifier([str(tmp_path)]) as watched:
        monkeypatch.setattr(watched.inotify, "read", lambda timeout: asked.append(timeout) or [])
        watched.wait(soon=False)
        watched.wait(soon=True)
    assert asked == [1000 * notifier.SAFETY, 1000 * notifier.POLL]


def test_a_folder_that_is_unmounted_ends_it(tmp_path, monkeypatch):
    unmounted = inotify_simple.Event(1, inotify_simple.flags.UNMOUNT, 0, "")
    with notifier.Notifier([str(tmp_path)]) as watched:
        monkeypatch.setattr(watched.inotify, "read", lambda timeout: [unmounted])
        with pytest.raises(InputError, match="unmounted"):
            watched.wait(soon=False)


@pytest.mark.parametrize("come", ["closed", "renamed", "in a new folder"])
def test_the_kernel_tells_of_each_way_that_a_picture_comes(come, inbox, png):
    inbox.started()
    place = inbox.folder / "new" if come == "in a new folder" else inbox.folder
    place.mkdir(exist_ok=True)
    time.sleep(0.5)  # it has looked
    if come == "renamed":
        (inbox.folder.parent / "arriving").write_bytes(png)
        (inbox.folder.parent / "arriving").rename(place / "a.png")
    else:
        with (place / "a.png").open("wb", buffering=0) as file:
            file.write(png[:50])
            time.sleep(0.5)
            file.write(png[50:])
    until(lambda: len(inbox.names()) == 1)  # sooner than it looks by itself


@pytest.mark.parametrize("leave", ["moved away", "removed"])
def test_a_folder_that_is_made_anew_is_watched_as_before(leave, inbox, png):
    inbox.started()
    time.sleep(0.5)  # it has looked
    if leave == "removed":
        inbox.folder.rmdir()
    else:
        inbox.folder.rename(inbox.folder.with_name("full"))
    inbox.folder.mkdir()
    time.sleep(0.5)  # and has again
    (inbox.folder / "a.png").write_bytes(png)
    until(lambda: inbox.names() == ["a.png"])  # sooner than it looks by itself


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs", "9p"])
def test_a_file_system_of_another_machine_is_watched_its_kind(kind, monkeypatch):
    monkeypatch.setattr(notifier, "file_system", lambda path: kind if path == "/mnt/camera" else "ext4")
    assert "/mnt/camera is on another machine" in str(notifier.Notifier(["/mnt/camera"]))


def test_the_kind_of_a_file_system_is_read_from_the_kernel():
    assert notifier.file_system("/proc") == "proc"
