"""What a row says follows from what the network finds likely, and from the least confidence that is asked for."""

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner

from digit_infer.bundle import read_bundle, write_bundle
from digit_infer.cli import main
from digit_infer.pipeline import Read, Reader
from digit_infer.sinks import csv_text


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


LIKELY = {
    (0.6, 0.1): ("ok", ""),  # the threshold itself
    (0.59, 0.1): ("rejected", "low_confidence"),
    (0.4, 0.15): ("rejected", "low_confidence"),
    (0.3, 0.15): ("rejected", "not_a_digit"),
}


@pytest.mark.parametrize(("first_two", "expected"), LIKELY.items(), ids=str)
def test_torn_between_two_digits_it_is_one_of_them_and_spread_over_all_none(first_two, expected):
    probabilities = np.full((1, 10), (1 - sum(first_two)) / 8, np.float32)
    probabilities[0, :2] = first_two
    reader = Reader(None, float(np.float32(0.6)), lambda path: None, csv_text)
    read = Read(np.zeros((1, 28, 28), np.uint8), [""], {})
    (row,) = reader.make_rows(["a.png"], read, probabilities)
    assert (row.status, row.reason) == expected


def test_the_margin_is_how_far_the_second_digit_is_behind(samples):
    for row in csv.DictReader(io.StringIO(infer(samples / "harder").stdout)):
        margin = float(row["confidence"]) - float(row["second_confidence"])
        assert float(row["margin"]) == pytest.approx(margin, abs=2e-4)


def test_a_least_confidence_of_0_is_none_of_the_models_own(samples, tmp_path):
    bundle = read_bundle("nano")
    flatbuffer = bundle.content[: bundle.contract["flatbuffer"]["bytes"]]
    strict = bundle.contract | {"reject": {"min_confidence": 1.0}}
    golden = bundle.golden_input, bundle.golden_output
    (tmp_path / "strict.tflite").write_bytes(write_bundle(flatbuffer, strict, golden))
    run = samples / "digits", "-m", tmp_path / "strict.tflite"
    assert ",rejected," in infer(*run).stdout
    assert ",rejected," not in infer(*run, "--min-confidence", "0").stdout
