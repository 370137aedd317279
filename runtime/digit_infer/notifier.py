"""Wait until something happens in folders: told by the kernel where it can, by time passing elsewhere."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from digit_infer.errors import InputError

POLL = 0.25  # seconds between two looks where nothing tells of changes
SAFETY = 30  # seconds between two looks where the kernel tells, should it ever keep something to itself
REMOTE = ("9p", "afs", "cifs", "fuse", "nfs", "smb", "vboxsf", "virtiofs")  # others change these unheard


class Notifier:
    """Waits until a picture is closed or moved into one of the folders or their sub-folders."""

    def __init__(self, folders: list[str]) -> None:
        self.folders, self.inotify, self.why_not = folders, None, ""
        if remote := [folder for folder in folders if file_system(folder).startswith(REMOTE)]:
            self.why_not = f"{remote[0]} is on another machine"
            return
        try:
            from inotify_simple import INotify

            self.inotify = INotify()
            self.add_folders()
        except ImportError:
            self.why_not = "pip install 'digit-edge[watch]' to be told by the kernel"
        except OSError as error:
            self.give_up(error)

    def __enter__(self) -> "Notifier":
        return self

    def __exit__(self, *_: object) -> None:
        if self.inotify:
            self.inotify.close()

    def __str__(self) -> str:
        return f"every {POLL} s ({self.why_not})" if self.why_not else "as the kernel tells"

    def give_up(self, error: OSError) -> None:
        """Go on by polling, as where a Pi has no watches left (fs.inotify.max_user_watches)."""
        if self.inotify:
            self.inotify.close()
        self.inotify, self.why_not = None, f"inotify: {(error.strerror or str(error)).lower()}"

    def add_folders(self) -> None:
        """Watch all folders that are there; watching one again changes nothing."""
        from inotify_simple import flags

        mask = flags.CLOSE_WRITE | flags.MOVED_TO | flags.CREATE | flags.ONLYDIR
        for top in self.folders:
            self.add_folder(top, mask | flags.MOVE_SELF)
            for folder, subfolders, _ in os.walk(top):
                subfolders[:] = [name for name in subfolders if not name.startswith(".")]
                for name in subfolders:  # before it is listed, or a folder made in it meanwhile would have no watch
                    self.add_folder(os.path.join(folder, name), mask | flags.DONT_FOLLOW)

    def add_folder(self, folder: str, mask: int) -> None:
        assert self.inotify
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # removed meanwhile, a link, or closed
            self.inotify.add_watch(folder, mask)

    def wait(self, soon: bool) -> None:
        """Until it is time to look; `soon` where a file is waited for that nothing will tell of."""
        if self.inotify is None:
            time.sleep(POLL)
            return
        from inotify_simple import flags

        events: list[Any] = self.inotify.read(timeout=int(1000 * (POLL if soon else SAFETY)))
        if any(event.mask & flags.UNMOUNT for event in events):
            raise InputError("a folder that is watched was unmounted; mount it and start again")
        if gone := any(event.mask & (flags.MOVE_SELF | flags.IGNORED) for event in events):
            time.sleep(POLL)  # the folder may be made anew, as by who moves a full one away
        if gone or not events or any(event.mask & (flags.ISDIR | flags.Q_OVERFLOW) for event in events):
            try:
                self.add_folders()
            except OSError as error:
                self.give_up(error)


def file_system(path: str) -> str:
    """What kind of file system a path lies on, as /proc/self/mountinfo names it; '' where that cannot be read."""
    device = os.stat(path).st_dev
    name = f" {os.major(device)}:{os.minor(device)} "
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(" - ")[2].split()[0] for line in lines if name in line), "")
