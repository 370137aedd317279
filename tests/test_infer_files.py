"""A file is written whole or not at all, and by one process at a time."""

import errno
import fcntl
import json

import pytest
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.errors import OutputError
from digit_infer.files import locked, written_whole
from digit_infer.sinks import RowFile


def test_what_fails_halfway_leaves_nothing_but_the_earlier_file(tmp_path):
    (tmp_path / "a.json").write_text("earlier")
    with pytest.raises(KeyError), written_whole(tmp_path / "a.json") as temporary:
        raise KeyError(temporary.write_text("half"))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "earlier")]


@pytest.mark.parametrize("made_anew", [True, False], ids=["and made anew", "and not made anew"])
def test_a_lock_that_was_removed_meanwhile_locks_nothing(made_anew, tmp_path, monkeypatch):
    lock, real = tmp_path / ".rows.csv.lock", fcntl.lockf

    def late(file, operation):
        lock.unlink()
        if made_anew:  # by a third run, which holds the new one
            lock.touch()
        real(file, operation)

    monkeypatch.setattr("fcntl.lockf", late)
    with pytest.raises(OutputError, match="another digit-infer"), locked(tmp_path / "rows.csv"):
        pass


def test_where_a_file_system_has_no_locks_it_does_without(samples, tmp_path, monkeypatch):
    def no_lock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", no_lock)
    command = [str(samples / "digits/0"), "-o", str(tmp_path / "rows.csv")]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.csv.run.json"]


def test_a_link_to_rows_that_another_run_writes_is_refused(samples, tmp_path, run_cli):
    (tmp_path / "link.csv").symlink_to("rows.csv")
    with locked(tmp_path / "rows.csv"):
        done = run_cli(str(samples / "digits/0"), "-o", str(tmp_path / "link.csv"))
    assert (done.returncode, b"another digit-infer is writing" in done.stderr) == (1, True)


def test_there_are_never_rows_without_a_record_to_go_on_by(samples, tmp_path, monkeypatch):
    def killed(self, keep=0):
        raise SystemExit(137)

    monkeypatch.setattr(RowFile, "open", killed)
    CliRunner().invoke(main, [str(samples / "digits/0"), "-o", str(tmp_path / "rows.csv")])
    assert json.loads((tmp_path / "rows.csv.run.json").read_text())["status"] == "running"
