"""The watched inbox on the Pi's userlands: its kernel's notification, its locks and its signals."""

import os
import shutil
import signal
import time

import pytest

pytestmark = pytest.mark.pi


def watch(pi):
    """A watcher, which says how it is told of what comes."""
    process = pi.start(["digit-infer", "--watch", "inbox", "-o", "inbox.csv", "-m", "nano"], start_new_session=True)
    line = process.stderr.readline().decode()
    assert "watching inbox as the kernel tells" in line, line + process.stderr.read().decode()
    return process


def await_rows(pi, count):
    late = time.monotonic() + 60
    while (pi.work / "inbox.csv").read_bytes().count(b"\n") != count + 1:
        assert time.monotonic() < late
        time.sleep(0.05)


def test_a_watcher_that_is_killed_goes_on_and_gives_every_picture_its_one_row(pi, sample_files):
    (pi.work / "inbox").mkdir()
    process = watch(pi)
    for path in sample_files[:10]:
        shutil.copy(path, pi.work / "inbox")
    await_rows(pi, 10)
    with (pi.work / "inbox/slow.png").open("wb", buffering=0) as file:
        file.write(sample_files[0].read_bytes()[:100])
        for path in sample_files[10:15]:
            shutil.copy(path, pi.work / "arriving")
            (pi.work / "arriving").rename(pi.work / "inbox" / path.name)
        await_rows(pi, 15)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for path in sample_files[15:20]:
            shutil.copy(path, pi.work / "inbox")
        process = watch(pi)
        await_rows(pi, 20)
        file.write(sample_files[0].read_bytes()[100:])
    await_rows(pi, 21)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"21 pictures: 21 ok, 0 rejected, 0 errors" in said
