"""DigitReader gives a program the rows that the command gives a person."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from digit_infer.cli import main
from digit_infer.errors import InputError, ModelError
from digit_infer.reader import DigitReader
from digit_infer.sinks import csv_row


@pytest.fixture(scope="module")
def reader():
    return DigitReader("nano")


def test_the_rows_are_those_of_the_command(samples, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    inputs = [str(samples), str(tmp_path / "*.png")]
    CliRunner().invoke(main, [*inputs, "-o", str(tmp_path / "rows.csv")])
    rows = list(DigitReader().read_all(*inputs))
    assert rows == [csv_row(line) for line in (tmp_path / "rows.csv").read_text().splitlines()[1:]]
    assert rows[-1].status == "error"
    assert len(rows) == 131


def test_a_picture_may_be_a_path_a_files_content_or_levels(reader, sample_files):
    path = sample_files[42]
    row = reader.read(path)
    assert (row.path, row.status, row.digit) == (str(path), "ok", 4)
    levels = np.asarray(Image.open(path))
    content = path.read_bytes()
    of_levels = levels, levels / 255, levels[..., None], np.stack(3 * [255 - levels], -1), levels.astype(np.int64)
    for held in (content, bytearray(content), memoryview(content), *of_levels):
        assert reader.read(held)._replace(path=str(path)) == row


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_a_mask_is_read_as_in_an_array_of_them(kind, reader, sample_files, tmp_path):
    masks = np.stack([np.asarray(Image.open(path)) > 127 for path in sample_files[::10]]).astype(kind)
    np.save(tmp_path / "masks.npy", masks)
    rows = list(reader.read_all(tmp_path / "masks.npy"))
    assert [row.digit for row in rows] == list(range(10))
    assert [reader.read(mask) for mask in masks] == [row._replace(path="") for row in rows]


@pytest.mark.parametrize("other", [None, 5, [[1]], Image.new("L", (28, 28))], ids=type)
def test_what_is_no_picture_is_refused(other, reader):
    with pytest.raises(TypeError):
        reader.read(other)


@pytest.mark.parametrize("dtype", [complex, "U1", object, [("level", "u1")]], ids=str)
def test_what_holds_no_numbers_is_refused(dtype, reader):
    with pytest.raises(TypeError, match="a picture is of numbers"):
        reader.read(np.zeros((28, 28), dtype))


def test_a_list_of_paths_is_no_path(reader, sample_files):
    with pytest.raises(TypeError):
        list(reader.read_all(sample_files))


@pytest.mark.parametrize(("name", "value"), [("min_confidence", 90), ("min_confidence", np.nan), ("runtime", "foo")])
def test_values_that_mean_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        DigitReader("nano", **{name: value})


def test_readers_in_threads_leave_stderr_and_warnings_as_they_are(samples, tmp_path):
    stderr, filters = os.readlink("/proc/self/fd/2"), list(warnings.filters)

    def read(_):
        return [row.status for row in DigitReader("nano").read_all(samples / "harder")]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, range(12)))
    assert results == 12 * [30 * ["ok"]]
    assert os.readlink("/proc/self/fd/2") == stderr
    assert warnings.filters == filters


def test_what_cannot_be_read_is_a_row(reader, tmp_path):
    assert (reader.read(b"").status, reader.read(b"").reason) == ("error", "an empty file")
    assert reader.read(tmp_path / "none.png").reason == "no such file or directory"
    assert reader.read(np.full((50, 50), 200, np.uint8)).reason == "blank"


@pytest.mark.parametrize("shape", [(784,), (28, 28, 2), (2, 28, 28, 1), (0, 28)], ids=str)
def test_levels_of_another_shape_are_refused(reader, shape):
    with pytest.raises(ValueError, match="a picture is"):
        reader.read(np.zeros(shape))


def test_what_is_not_there_is_refused(reader):
    with pytest.raises(InputError, match=r"nowhere: no such file"):
        list(reader.read_all("nowhere"))
    with pytest.raises(ModelError, match="cannot read model nowhere"):
        DigitReader("nowhere")


def test_the_least_confidence_is_the_models_own_or_the_one_given(samples, sample_files):
    rows = list(DigitReader(min_confidence=0.995).read_all(samples / "digits"))
    assert {row.reason for row in rows if row.confidence < 0.995} == {"low_confidence"}
    assert all(row.status == "ok" for row in rows if row.confidence >= 0.995)
    assert all(row.status == "ok" for row in DigitReader(min_confidence=0).read_all(*sample_files))
