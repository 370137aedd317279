"""--resume --retry-errors: what was an error is read again, what was read is left alone, and the order stays."""

import json
import os
import shutil
import signal

import pytest
from click.testing import CliRunner
from PIL import Image

from digit_infer import found
from digit_infer.cli import main

CORRUPT = {"b,1.png": b"\x89PNG", "e\n2.png": b"no picture", "h.png": b""}
GOOD = ["a.png", 'c"d.png', "f.png", "g.png"]


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def images(sample_files, tmp_path):
    """Four good pictures and three corrupt ones between and behind them."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, source in zip(GOOD, sample_files[::20], strict=False):
        shutil.copy(source, folder / name)
    for name, content in CORRUPT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(params=["rows.csv", "rows.jsonl"])
def rows(request, images, tmp_path):
    """The rows of a run over them, in a folder of their own."""
    path = tmp_path / "out" / request.param
    assert infer(images, "-o", path).exit_code == 3
    return path


@pytest.fixture
def mended(images, sample_files, tmp_path):
    """What the rows will be when the corrupt pictures are mended, which they are now, and nothing else can be read."""

    def mend(rows, names=CORRUPT):
        for name, source in zip(names, sample_files[5::20], strict=False):
            shutil.copy(source, images / name)
        infer(images, "-o", tmp_path / f"whole{rows.suffix}")
        for name in GOOD:
            (images / name).write_bytes(b"whoever reads this again, gets an error")
        return (tmp_path / f"whole{rows.suffix}").read_bytes()

    return mend


def again(images, rows, *more):
    return infer(images, "-o", rows, "--resume", "--retry-errors", *more)


def test_only_errors_are_read_again_and_the_order_stays(rows, images, mended):
    expected = mended(rows)
    result = again(images, rows)
    assert result.exit_code == 0
    assert rows.read_bytes() == expected
    assert "7 pictures: 7 ok, 0 rejected, 0 errors" in result.stderr
    assert json.loads(rows.with_name(f"{rows.name}.run.json").read_text())["counts"]["ok"] == 7
    assert sorted(path.name for path in rows.parent.iterdir()) == [rows.name, f"{rows.name}.run.json"]


def test_what_was_rejected_is_not_read_again(rows, images, mended):
    Image.new("L", (60, 60), 255).save(images / "blank.png")
    infer(images, "-o", rows, "--force")
    expected = mended(rows)
    assert b"blank" in expected
    (images / "blank.png").write_bytes(b"whoever reads this again, gets an error")
    assert again(images, rows).exit_code == 0
    assert rows.read_bytes() == expected


def test_what_is_an_error_still_stays_one(rows, images, mended):
    expected = mended(rows, ["e\n2.png"])
    assert again(images, rows).exit_code == 3
    assert rows.read_bytes() == expected


def test_without_errors_nothing_is_read_at_all(rows, images, mended):
    expected = mended(rows)
    again(images, rows)
    for name in CORRUPT:
        (images / name).write_bytes(b"no picture any more")
    assert again(images, rows).exit_code == 0
    assert rows.read_bytes() == expected


@pytest.mark.parametrize("kept", [1, 2, 3, 5])
def test_an_interrupted_run_is_brought_to_its_end_by_the_way(kept, rows, images, mended):
    lines = rows.read_bytes().splitlines(keepends=True)
    partial = rows.with_name(f"{rows.name}.partial")
    rows.rename(partial)
    with partial.open("r+b") as file:
        file.truncate(sum(map(len, lines[:kept])) + 9)
    for name in CORRUPT:
        shutil.copy(images / "a.png", images / name)
    infer(images, "-o", images.parent / f"whole{rows.suffix}")
    assert again(images, rows).exit_code == 0
    assert rows.read_bytes() == (images.parent / f"whole{rows.suffix}").read_bytes()
    assert sorted(path.name for path in rows.parent.iterdir()) == [rows.name, f"{rows.name}.run.json"]


def test_the_earlier_rows_stay_whole_where_the_second_run_is_interrupted(rows, images, mended, monkeypatch):
    expected, before, main_process = mended(rows), rows.read_bytes(), os.getpid()
    read = found.read_picture

    def interrupted(path):
        os.kill(main_process, signal.SIGINT)
        return read(path)

    monkeypatch.setattr(found, "read_picture", interrupted)
    assert again(images, rows, "--batch-size", 1, "--workers", 1).exit_code == 130
    assert rows.read_bytes() == before
    monkeypatch.undo()
    assert again(images, rows).exit_code == 0
    assert rows.read_bytes() == expected


CHANGES = {
    "the last removed": lambda images: (images / "h.png").unlink(),
    "the first removed": lambda images: (images / "a.png").unlink(),
    "one added before": lambda images: shutil.copy(images / "a.png", images / "aa.png"),
    "one renamed": lambda images: (images / "f.png").rename(images / "fa.png"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_inputs_that_have_changed_are_refused_and_the_rows_left_alone(change, rows, images):
    before = rows.read_bytes()
    change(images)
    result = again(images, rows)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the inputs have changed" in result.stderr
    assert rows.read_bytes() == before


def test_rows_of_another_model_are_refused(rows, images):
    before = rows.read_bytes()
    result = again(images, rows, "-m", "nano")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "another model" in result.stderr
    assert rows.read_bytes() == before


def test_names_that_are_not_utf8_are_escaped_but_once(rows, images, sample_files):
    odd = os.fsencode(images) + b"/a\xff.png"
    shutil.copy(sample_files[0], odd)
    infer(images, "-o", rows, "--force")
    before = rows.read_bytes()
    assert b"a\\udcff.png" in before
    assert again(images, rows).exit_code == 3
    assert rows.read_bytes() == before
