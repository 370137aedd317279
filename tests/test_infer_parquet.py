"""Rows as Parquet hold what CSV holds, and go on where they were interrupted."""

import os
import shutil

import pytest
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.sinks import csv_row

parquet = pytest.importorskip("digit_infer.parquet", reason="needs the extra [parquet]")


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def images(samples, tmp_path):
    """The samples of two classes, a corrupt picture, and one whose name is not UTF-8."""
    folder = tmp_path / "images"
    for digit in "38":
        shutil.copytree(samples / "digits" / digit, folder / digit)
    (folder / "broken.png").write_bytes(b"\x89PNG")
    shutil.copy(folder / "3" / next(iter(os.listdir(folder / "3"))), os.fsencode(folder) + b"/a\xff.png")
    return folder


def test_parquet_holds_the_rows_of_csv(images, out):
    assert infer(images, "-o", out / "rows.parquet", "--labels", "folders").exit_code == 3
    assert infer(images, "-o", out / "rows.csv", "--labels", "folders").exit_code == 3
    rows = list(parquet.ParquetFolder(out / "rows.parquet").kept_rows(out / "rows.parquet"))
    lines = (out / "rows.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert rows == [csv_row(line) for line in lines]
    assert len(rows) == 22


def test_an_existing_folder_is_refused_and_force_replaces_it(images, out):
    infer(images / "3", "-o", out / "rows.parquet")
    refused = infer(images / "8", "-o", out / "rows.parquet")
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert infer(images / "8", "-o", out / "rows.parquet", "--force").exit_code == 0
    rows = parquet.ParquetFolder(out / "rows.parquet").kept_rows(out / "rows.parquet")
    assert {row.digit for row in rows} == {8}
    assert sorted(path.name for path in out.iterdir()) == ["rows.parquet", "rows.parquet.run.json"]


@pytest.mark.parametrize("option", ["--force", "--resume"])
def test_a_folder_with_something_else_in_it_is_left_alone(option, images, out):
    infer(images / "3", "-o", out / "rows.parquet")
    (out / "rows.parquet/notes.txt").write_text("mine")
    before = sorted((path, path.is_file() and path.read_bytes()) for path in out.rglob("*"))
    result = infer(images / "8", "-o", out / "rows.parquet", option)
    assert (result.exit_code, "also holds 'notes.txt'" in result.stderr) == (1, True)
    assert sorted((path, path.is_file() and path.read_bytes()) for path in out.rglob("*")) == before


def test_force_over_an_interrupted_run_keeps_none_of_its_parts(images, out):
    infer(images / "3", "-o", out / "rows.parquet")
    (out / "rows.parquet").rename(out / "rows.parquet.partial")
    assert infer(images / "8", "-o", out / "rows.parquet", "--force").exit_code == 0
    rows = parquet.ParquetFolder(out / "rows.parquet").kept_rows(out / "rows.parquet")
    assert {row.digit for row in rows} == {8}


def test_whole_parts_are_kept_by_resume_and_the_rest_is_read(images, out, monkeypatch):
    monkeypatch.setattr(parquet, "PART", 5)
    infer(images, "-o", out / "whole.parquet", "--batch-size", "5")
    infer(images, "-o", out / "rows.parquet", "--batch-size", "5")
    (out / "rows.parquet").rename(out / "rows.parquet.partial")
    parts = sorted((out / "rows.parquet.partial").iterdir())
    assert len(parts) == 5
    kept = parts[0].stat().st_mtime_ns
    for part in parts[2:]:
        part.unlink()
    (out / "rows.parquet.partial" / "part-00002.writing").write_bytes(b"torn")
    assert infer(images, "-o", out / "rows.parquet", "--batch-size", "5", "--resume").exit_code == 3
    whole, resumed = (
        list(parquet.ParquetFolder(path).kept_rows(path)) for path in (out / "whole.parquet", out / "rows.parquet")
    )
    assert resumed == whole
    assert (out / "rows.parquet" / "part-00000.parquet").stat().st_mtime_ns == kept
    assert [path.suffix for path in (out / "rows.parquet").iterdir()] == [".parquet"] * 5


def test_errors_read_again_from_an_interrupted_run_leave_one_folder(images, out):
    infer(images, "-o", out / "rows.parquet")
    (out / "rows.parquet").rename(out / "rows.parquet.partial")
    shutil.copy(next((images / "8").iterdir()), images / "broken.png")
    assert infer(images, "-o", out / "rows.parquet", "--resume", "--retry-errors").exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["rows.parquet", "rows.parquet.run.json"]


def test_a_file_in_the_place_of_the_folder_is_left_alone(images, out):
    (out / "rows.parquet").write_text("precious")
    result = infer(images, "-o", out / "rows.parquet", "--force")
    assert (result.exit_code, result.stderr) == (1, f"Error: {out / 'rows.parquet'} is no folder; name another\n")
    assert (out / "rows.parquet").read_text() == "precious"


@pytest.mark.parametrize("options", [["--resume"], ["--resume", "--retry-errors"]], ids=" ".join)
def test_a_torn_part_is_one_line(options, images, out):
    infer(images, "-o", out / "rows.parquet")
    (out / "rows.parquet").rename(out / "rows.parquet.partial")
    (out / "rows.parquet.partial/part-00000.parquet").write_bytes(b"")
    result = infer(images, "-o", out / "rows.parquet", *options)
    line = f"Error: {out}/rows.parquet.partial is damaged, so nothing can be gone on with; --force starts over\n"
    assert (result.exit_code, result.stderr) == (1, line)


def test_a_part_has_its_name_when_the_disk_has_all_of_it(images, out, monkeypatch):
    synced = []

    def fsync(number):
        synced.append((os.readlink(f"/proc/self/fd/{number}"), os.stat(number).st_size))

    monkeypatch.setattr("os.fsync", fsync)
    infer(images, "-o", out / "rows.parquet")
    size = (out / "rows.parquet/part-00000.parquet").stat().st_size
    assert synced == [(f"{out}/rows.parquet.partial/part-00000.writing", size)]
