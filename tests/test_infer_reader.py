"""DigitReader gives a program the rows that the command gives a person."""

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
    for held in (path.read_bytes(), levels, levels / 255, levels[..., None], np.stack(3 * [255 - levels], -1)):
        assert reader.read(held)._replace(path=str(path)) == row


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
