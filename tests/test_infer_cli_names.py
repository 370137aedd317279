"""File names are hostile input: each comes out of every format as it went in, and drives no terminal."""

import csv
import io
import json
import os
import pty
import shutil
from contextlib import suppress

import pytest

from digit_infer.row import Row
from digit_infer.sinks import KINDS, csv_text, jsonl_text, table_text

ODD = {
    "comma": "a,b.png",
    "quotes": "a\"b'c.png",
    "newline": "a\nb.png",
    "carriage return": "a\rb.png",
    "both": "a\r\nb.png",
    "spaces": " a .png",
    "formula": "=1+1.png",
    "umlaut": "zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf.png",
    "escape": "a\x1b[31mb.png",
    "line separator": "a\u2028b.png",
}
NOT_UTF8 = b"a\xff\xfe.png"


@pytest.fixture
def folder(sample_files, tmp_path):
    """A folder of its own with one picture for each odd name."""
    (tmp_path / "in").mkdir()
    for name in ODD.values():
        shutil.copy(sample_files[0], tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_csv_row_gives_the_name_back(name):
    (row,) = csv.reader(io.StringIO(csv_text([Row(name, "ok", 7)]), newline=""))
    assert row[:3] == [name, "ok", "7"]


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_json_line_gives_the_name_back(name):
    (line,) = jsonl_text([Row(name, "ok", 7)]).split("\n")[:-1]
    assert json.loads(line)["path"] == name


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_a_record_becomes_its_row_again_in_whatever_company(name, suffix):
    row = Row(name, "rejected", 7, 0.5, 0.25, 1, 0.25, "low_confidence", 0)
    others = [Row("a.png", "error", reason="not an image"), Row("b\r.png", "ok", 1)]
    kind = KINDS[suffix]
    text = kind.text([others[0], row, others[1]])
    record = text.removeprefix(kind.text([others[0]])).removesuffix(kind.text([others[1]]))
    assert kind.row(record) == row


def test_every_odd_name_gets_its_row_in_a_file(folder, tmp_path, run_cli):
    done = run_cli(str(folder), "-o", str(tmp_path / "rows.csv"))
    assert done.returncode == 0
    with (tmp_path / "rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(folder / name) for name in sorted(ODD.values())]
    assert {row["digit"] for row in rows} == {"0"}


@pytest.fixture
def not_utf8(sample_files, tmp_path):
    """A folder whose one picture has a name that is not UTF-8, and that picture's path as bytes."""
    path = os.fsencode(tmp_path) + b"/in/" + NOT_UTF8
    (tmp_path / "in").mkdir()
    shutil.copy(os.fsencode(sample_files[0]), path)
    return tmp_path / "in", path


def test_a_name_that_is_not_utf8_comes_back_from_json(not_utf8, tmp_path, run_cli):
    folder, path = not_utf8
    done = run_cli(str(folder), "-o", str(tmp_path / "rows.jsonl"))
    assert done.returncode == 0
    (line,) = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert os.fsencode(json.loads(line)["path"]) == path


def test_a_name_that_is_not_utf8_is_escaped_in_csv_and_in_the_run_record(not_utf8, tmp_path, run_cli):
    _, path = not_utf8
    done = run_cli(path, "-o", str(tmp_path / "rows.csv"))
    assert done.returncode == 0
    assert "a\\udcff\\udcfe.png,ok,0" in (tmp_path / "rows.csv").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "rows.csv.run.json").read_text(encoding="utf-8"))
    assert os.fsencode(record["inputs"][0]) == path


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "utf-8:surrogateescape"])
def test_a_name_that_is_not_utf8_gets_its_row_on_stdout_in_any_locale(encoding, not_utf8, run_cli):
    folder, _ = not_utf8
    done = run_cli(str(folder), env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert done.stdout.count(b"\n") == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_rows_for_other_programs_are_utf8_in_any_locale(encoding, sample_files, tmp_path, run_cli):
    shutil.copy(sample_files[0], tmp_path / "caf\xe9 \u2603.png")
    for kind in ("csv", "jsonl"):
        done = run_cli("caf\xe9 \u2603.png", "--format", kind, cwd=tmp_path, env={"PYTHONIOENCODING": encoding})
        assert "caf\xe9 \u2603.png" in done.stdout.decode()


def read_terminal(leader):
    """All that was written to the other end, which is closed; the kernel brings it over piece by piece."""
    content = b""
    with suppress(OSError):  # EIO: the end
        while part := os.read(leader, 100_000):
            content += part
    return content


def test_a_terminal_gets_a_table_without_control_characters(folder, run_cli):
    leader, follower = pty.openpty()
    done = run_cli(str(folder), stdout=follower)
    os.close(follower)
    shown = read_terminal(leader).decode().replace("\r\n", "\n")
    os.close(leader)
    assert done.returncode == 0
    assert shown.splitlines()[0].split() == ["digit", "confidence", "status", "path"]
    assert len(shown.split("\n")) == len(ODD) + 2
    assert all(line.isprintable() for line in shown.split("\n"))


def test_the_table_says_why_a_row_is_not_ok():
    rows = [
        Row("a.png", "ok", 7, 0.994, expected=7),
        Row("b.png", "ok", 1, 0.5, expected=7),
        Row("c\x9b\u202e.png", "rejected", reason="blank"),
    ]
    assert table_text(rows).splitlines() == [
        "    7      99.4 %  ok        a.png",
        "    1      50.0 %  ok        b.png  (expected 7)",
        "    -           -  rejected  c\\x9b\\u202e.png  (blank)",
    ]


def test_names_in_the_parity_table_are_escaped_too(sample_files, worse_model, run_cli, tmp_path):
    for i, path in enumerate(sample_files[::3]):
        shutil.copy(path, tmp_path / f"{i}\x1b[2J\x07\n\x9b.png")
    done = run_cli(str(tmp_path), "-m", str(worse_model), "--against", "base", "-o", str(tmp_path / "rows.csv"))
    lines = done.stderr.decode().split("\n")
    assert any(".png: base " in line for line in lines)
    assert all(line.isprintable() for line in lines)
