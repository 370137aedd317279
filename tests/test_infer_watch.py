"""--watch gives every picture that is completely written its row, once, whatever happens to it in between."""

import json
import os
import resource
import shutil
import signal
import time

import pytest
from watching import NO_NOTIFICATION, until

from digit_infer import watch

# with a file system that gives no leases, so that time has to tell when a picture is complete
CLOCK_THAT_JUMPS_BACK = """
import errno, fcntl, itertools, time
real, jumps = time.time, itertools.count()
time.time = lambda: real() - 3600 * next(jumps)
def refused(*_): raise OSError(errno.EINVAL, "Invalid argument")
fcntl.fcntl = refused
"""


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
    source = inbox.folder.parent / "source.png"
    shutil.copy(samples / "digits/1/00002.png", source)
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
    assert inbox.process.stderr.readline() == b"passed over inbox/notes.txt: not a picture\n"  # said after the rows
    code, said = inbox.stop()
    assert (code, said.count("\n")) == (0, 1)
    assert "25 pictures: 24 ok, 0 rejected, 1 errors; 1 other files skipped" in said
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


def test_an_empty_picture_has_its_row_and_another_empty_file_its_line_soon(inbox, time_limit):
    inbox.started()
    (inbox.folder / "a.png").touch()
    inbox.await_rows("a.png")
    (inbox.folder / "notes.txt").touch()
    with time_limit(10):
        assert inbox.process.stderr.readline() == b"passed over inbox/notes.txt: not a picture\n"


def test_the_record_tells_whether_it_watches_and_what_it_has_read(inbox, png):
    record = inbox.folder.parent / "rows.csv.run.json"
    (inbox.folder / "a.png").write_bytes(png)
    inbox.started()
    inbox.await_rows("a.png")
    assert json.loads(record.read_text())["status"] == "watching"
    inbox.stop()
    stopped = json.loads(record.read_text())
    assert (stopped["status"], stopped["counts"]["pictures"]) == ("stopped", 1)


def test_there_are_never_rows_without_a_record_to_go_on_by(inbox, with_site):
    killed = "import os, signal\nfrom digit_infer.sinks import RowFile\n"
    killed += "RowFile.open = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
    inbox.start(env=with_site(killed))
    assert inbox.ended()[0] == -signal.SIGKILL
    assert (inbox.folder.parent / "rows.csv.run.json").exists()


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
    environment = with_site(CLOCK_THAT_JUMPS_BACK)
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
        inbox.started() if number % 2 else inbox.start()
        for path in sample_files[25 * number : 25 * number + 25]:
            inbox.rename_in(path, path.name)
            time.sleep(0.02)
        inbox.stop(signal.SIGKILL)
    inbox.started()
    until(lambda: len(inbox.names()) == 100)
    inbox.stop()
    assert sorted(inbox.names()) == sorted(path.name for path in sample_files)


@pytest.mark.parametrize("rows", ["rows.csv", "rows.jsonl"])
def test_a_name_that_is_not_utf8_is_read_once_however_often_it_is_started(rows, inbox, png):
    inbox.rows = inbox.folder.parent / rows
    (inbox.folder / os.fsdecode(b"a\xff.png")).write_bytes(png)
    for start in range(2):
        assert f"{start} pictures have their row" in inbox.started("-o", rows)
        until(lambda: b".png" in inbox.rows.read_bytes())
        time.sleep(0.3)
        inbox.stop()
    assert inbox.rows.read_bytes().count(b".png") == 1


def test_a_picture_in_two_of_the_folders_has_one_row(inbox, png):
    (inbox.folder / "sub").mkdir()
    (inbox.folder / "sub/a.png").write_bytes(png)
    inbox.started("inbox/sub")
    inbox.await_rows("sub/a.png")
    inbox.stop()
    assert inbox.names() == ["sub/a.png"]
