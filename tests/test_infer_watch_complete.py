"""--watch knows when a picture is completely written, and tells of what is no picture when that is."""

import errno
import os
import time
from types import SimpleNamespace

import pytest

from digit_infer import watch
from digit_infer.found import Found
from digit_infer.report import Tally


@pytest.fixture
def no_lease(monkeypatch):
    """A file system whose kernel does not tell whether a file is open for writing."""

    def refused(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("fcntl.fcntl", refused)


def test_where_the_kernel_does_not_know_a_picture_is_read_once_it_changes_no_more(tmp_path, png, no_lease, monkeypatch):
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


def test_where_the_kernel_does_not_know_what_is_written_in_place_is_another_state(tmp_path, png, no_lease):
    path = tmp_path / "a.png"
    path.write_bytes(bytes(len(png)))
    os.utime(path, ns=(1, 1))
    before = watch.state_of_file(str(path))
    path.write_bytes(png)
    assert watch.state_of_file(str(path)) != before


def test_looking_at_a_picture_leaves_nothing_open(tmp_path, png):
    (tmp_path / "a.png").write_bytes(png)
    before = os.listdir("/proc/self/fd")
    assert watch.state_of_file(str(tmp_path / "a.png")) is True
    assert os.listdir("/proc/self/fd") == before


def test_a_broken_link_and_a_picture_closed_to_us_are_to_have_their_row(tmp_path, monkeypatch):
    (tmp_path / "a.png").symlink_to("nowhere")
    assert watch.state_of_file(str(tmp_path / "a.png")) is True

    def closed(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", closed)
    assert watch.state_of_file(str(tmp_path / "b.png")) is True


@pytest.mark.parametrize("name", ["a.png.part", "a.PNG.PART", "a.png.filepart", "a.tmp", "a.temp", "a.png~"])
def test_a_copy_under_way_is_waited_for(name, tmp_path, png):
    (tmp_path / name).write_bytes(png)
    assert not list(watch.Waiting().complete([Found(str(tmp_path / name))]))


def test_an_empty_picture_may_be_about_to_be_opened_again(tmp_path):
    (tmp_path / "a.png").touch()
    assert watch.state_of_file(str(tmp_path / "a.png")) not in (True, False)


def test_an_empty_picture_that_is_open_for_writing_is_waited_for_however_long(tmp_path):
    with (tmp_path / "a.png").open("wb"):
        assert watch.state_of_file(str(tmp_path / "a.png")) is False


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


def test_a_name_that_is_passed_over_does_not_drive_the_terminal(passed_over, tmp_path):
    over, lines = passed_over
    (tmp_path / "a\x1b[2J.pdf").write_text("something")
    over.tell([str(tmp_path / "a\x1b[2J.pdf")])
    assert lines == [f"passed over {tmp_path}/a\\x1b[2J.pdf: not a picture"]


def test_the_watchers_own_files_hidden_ones_copies_and_pipes_are_left_alone(
    passed_over, tmp_path, time_limit, monkeypatch
):
    over, lines = passed_over
    monkeypatch.setattr(watch, "SETTLED", 0)
    os.mkfifo(tmp_path / "pipe")
    for name in ("out.csv", "out.csv.run.json", ".hidden", "a.png.part"):
        (tmp_path / name).write_text("something")
    with time_limit(5):
        over.tell([str(path) for path in tmp_path.iterdir()])
    assert lines == []
    (tmp_path / "out.csv2").write_text("something")
    over.tell([str(tmp_path / "out.csv2")])
    assert len(lines) == 1
