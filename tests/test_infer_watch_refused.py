"""--watch says in one line why it cannot begin or go on, and leaves the rows alone."""

import json

import pytest
from watching import NO_NOTIFICATION

from digit_infer.bundle import read_bundle


def refused(inbox, *options):
    """The line that it ends with."""
    inbox.start(*options)
    code, said = inbox.ended()
    assert code == 1
    return said.splitlines()[-1]


@pytest.fixture
def stopped(inbox, png):
    """An inbox with one picture that has its row, its watcher stopped; what the rows are."""
    (inbox.folder / "a.png").write_bytes(png)
    inbox.started()
    inbox.await_rows("a.png")
    inbox.stop()
    return inbox.rows.read_bytes()


def test_a_model_cut_off_during_copying_is_refused_and_the_rows_stay(stopped, inbox, tmp_path):
    content = read_bundle("nano").content
    for length in (0, 1000, len(content) // 2, len(content) - 5000, len(content) - 1):
        (tmp_path / "cut.tflite").write_bytes(content[:length])
        assert refused(inbox, "-m", "cut.tflite").startswith("Error: cut.tflite ")
        assert inbox.rows.read_bytes() == stopped


OTHERS = {
    "model": (["-m", "small"], "model_sha256"),
    "threshold": (["--min-confidence", "0.9"], "options"),
    "labels": (["--labels", "folders"], "options"),
    "one folder more": (["."], "inputs"),
}


@pytest.mark.parametrize(("options", "named"), OTHERS.values(), ids=OTHERS)
def test_rows_of_another_run_are_not_gone_on_with(options, named, stopped, inbox):
    assert f"another {named}: " in refused(inbox, *options)
    assert inbox.rows.read_bytes() == stopped


def test_rows_of_another_normaliser_are_not_gone_on_with(stopped, inbox):
    record = inbox.folder.parent / "rows.csv.run.json"
    earlier = json.loads(record.read_text())
    earlier["normaliser"]["version"] -= 1
    record.write_text(json.dumps(earlier))
    assert "another normaliser: version: " in refused(inbox)
    assert inbox.rows.read_bytes() == stopped


def test_force_replaces_the_rows_of_another_model(stopped, inbox):
    inbox.started("-m", "small", "--force")
    inbox.await_rows("a.png")
    inbox.stop()


def test_rows_as_parquet_are_refused(inbox):
    pytest.importorskip("pyarrow")
    assert refused(inbox, "-o", "rows.parquet") == "Error: rows.parquet: --watch writes .csv or .jsonl"


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


def test_the_lock_is_that_of_what_a_link_points_to(inbox, png, run_cli):
    (inbox.folder / "a.png").write_bytes(png)
    inbox.rows.symlink_to("real.csv")
    inbox.started()
    done = run_cli("inbox", "-o", "real.csv", "--force", cwd=inbox.folder.parent)
    assert b"another digit-infer is writing real.csv" in done.stderr


def test_rows_of_the_same_names_in_another_working_folder_are_not_gone_on_with(stopped, inbox, run_cli, tmp_path):
    (tmp_path / "elsewhere/inbox").mkdir(parents=True)
    done = run_cli("--watch", "inbox", "-o", str(inbox.rows), "-m", "nano", cwd=tmp_path / "elsewhere")
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"another working_folder" in done.stderr


def test_rows_of_an_interrupted_run_are_not_left_to_replace_its_own(inbox):
    (inbox.folder.parent / "rows.csv.partial").write_text("path,status\n")
    assert "rows.csv.partial is of an interrupted run; finish it with --resume" in refused(inbox)
    assert not inbox.rows.exists()


def test_a_disk_that_has_become_read_only_is_told_although_the_lock_stays(inbox, png, with_site):
    site = "import errno, os\nfrom pathlib import Path\n"
    site += "def fail(*_, **__): raise OSError(errno.EROFS, 'Read-only file system')\nos.fsync = Path.unlink = fail\n"
    (inbox.folder / "a.png").write_bytes(png)
    line = "Error: cannot write rows.csv: read-only file system; the rows so far are in rows.csv, "
    inbox.start(env=with_site(site))
    code, said = inbox.ended()
    assert (code, said.splitlines()[-1]) == (1, f"{line}the same command goes on with them")
