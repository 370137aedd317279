"""digit-export as a user runs it."""

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from digit_export.cli import main
from digit_export.export import logits, softmax
from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.cli import main as infer
from digit_infer.engine import find_engine
from digit_train.cli import main as train
from digit_train.config import PRESETS
from digit_train.data import load, split
from digit_train.model import load_model
from digit_train.outliers import draw_outliers


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = ["--preset", "nano", "--epochs", "30", "--batch-size", "20", "--data", str(tiny), "--out", str(folder)]
    result = CliRunner().invoke(train, arguments)
    assert result.exit_code == 0, result.output
    return folder / "model.keras"


@pytest.mark.parametrize(("stream", "code"), [("stdout", 1), ("stderr", 0)])
def test_a_model_is_written_where_nothing_can_be_said(stream, code, trained, tiny, tmp_path):
    output = tmp_path / "digits.tflite"
    command = [sys.executable, "-m", "digit_export", str(trained), "-o", str(output), "--data", str(tiny)]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, **{stream: full})
    assert done.returncode == code
    assert len(read_bundle(str(output)).golden_input) == 20


@pytest.fixture
def export(trained, tiny, tmp_path):
    def run(*arguments, model=trained, output=tmp_path / "digits.tflite"):
        arguments = [model, "-o", output, "--data", tiny, *arguments]
        return CliRunner().invoke(main, [str(argument) for argument in arguments]), output

    return run


def test_the_file_holds_contract_labels_and_golden_vectors(export, trained):
    result, output = export()
    assert result.exit_code == 0, result.output
    assert "warning" not in result.stderr
    bundle = read_bundle(str(output))
    metrics = json.loads(trained.with_name("metrics.json").read_text())
    assert bundle.labels == tuple("0123456789")
    assert bundle.golden_input.shape == (20, 28, 28)
    assert bundle.golden_output.shape == (20, 10)
    assert bundle.contract["training"] == metrics
    assert bundle.contract["weights_sha256"] == metrics["weights_sha256"]
    assert bundle.contract["quantization"] == "int8"
    with zipfile.ZipFile(output) as archive:
        assert archive.testzip() is None
    selftest = CliRunner().invoke(infer, ["-m", str(output), "--selftest"])
    assert selftest.exit_code == 0
    assert "20 golden vectors" in selftest.output


def test_metrics_of_other_weights_are_not_taken_for_this_model(export, trained, tmp_path):
    (tmp_path / "model.keras").write_bytes(trained.read_bytes())
    metrics = json.loads(trained.with_name("metrics.json").read_text())
    (tmp_path / "metrics.json").write_text(json.dumps(metrics | {"weights_sha256": "other"}))
    result, output = export(model=tmp_path / "model.keras")
    assert "no metrics.json of these weights" in result.stderr
    assert read_bundle(str(output)).contract["training"] == {}


def test_metrics_of_another_program_are_left_alone(export, trained, tmp_path):
    (tmp_path / "model.keras").write_bytes(trained.read_bytes())
    (tmp_path / "metrics.json").write_text('{"accuracy": 0.97}')
    result, _ = export(model=tmp_path / "model.keras")
    assert result.exit_code == 0
    assert "no metrics.json of these weights" in result.stderr


def test_a_training_that_has_not_ended_is_told_of(export, trained, tmp_path):
    for name in ("model.keras", "metrics.json"):
        (tmp_path / name).write_bytes(trained.with_name(name).read_bytes())
    (tmp_path / "checkpoint.npz").touch()
    result, _ = export(model=tmp_path / "model.keras")
    assert result.exit_code == 0
    assert f"warning: the training in {tmp_path} has not ended" in result.stderr


@pytest.mark.parametrize("damage", ["", "[]", "data_sha256", "validation", "outliers"])
def test_damaged_metrics_are_one_line(damage, export, trained, tmp_path):
    (tmp_path / "model.keras").write_bytes(trained.read_bytes())
    metrics = trained.with_name("metrics.json").read_text()
    (tmp_path / "metrics.json").write_text(metrics.replace(damage, "other") if damage.isidentifier() else damage)
    result, output = export(model=tmp_path / "model.keras")
    assert result.exit_code == 1
    assert "metrics.json is damaged" in result.stderr
    assert not output.exists()


def test_metrics_that_cannot_be_read_are_one_line(export, trained, tmp_path):
    (tmp_path / "model.keras").write_bytes(trained.read_bytes())
    (tmp_path / "metrics.json").mkdir()
    result, output = export(model=tmp_path / "model.keras")
    assert result.exit_code == 1
    assert "metrics.json: Is a directory; remove it to export without it" in result.stderr
    assert not output.exists()


def test_the_parity_report_is_printed_and_written_and_is_of_this_file_and_the_keras_model(export, trained, digits):
    result, output = export()
    report = json.loads(output.with_name("digits.tflite.parity.json").read_text())
    assert report["pictures"] == 100
    change = report["candidate_accuracy"] - report["reference_accuracy"]
    assert report["accuracy_change"] == pytest.approx(change)
    assert f"{100 * report['candidate_accuracy']:.3f} %" in result.stdout
    assert len(report["flips"]) == pytest.approx(100 * (1 - report["agreement"]))
    bundle = read_bundle(str(output))
    exact = softmax(logits(load_model(trained), digits.x_test, none=False) / bundle.contract["temperature"])
    difference = np.abs(Classifier(bundle, find_engine()).classify(digits.x_test) - exact).max()
    assert report["largest_difference"] == pytest.approx(difference) != 0
    assert report["reference_accuracy"] == pytest.approx(np.mean(exact.argmax(1) == digits.y_test))


def test_an_export_in_another_process_with_keras_configured_otherwise_is_the_same_bytes(
    export, trained, tiny, tmp_path, foreign_keras
):
    _, output = export()
    again = tmp_path / "again.tflite"
    command = [sys.executable, "-m", "digit_export", str(trained), "-o", str(again), "--data", str(tiny)]
    subprocess.run(command, check=True, capture_output=True, env=foreign_keras)
    assert again.read_bytes() == output.read_bytes()


@pytest.mark.parametrize(
    "gate", [("--max-accuracy-drop", "-100"), ("--min-agreement", "100.1")], ids=["drop", "agreement"]
)
def test_a_missed_gate_exits_4_and_leaves_no_model(gate, export):
    _, output = export()
    assert output.exists()
    result, output = export(*gate, "--force")
    assert result.exit_code == 4
    assert "gate missed" in result.stderr
    assert not output.exists()
    assert output.with_name("digits.tflite.parity.json").exists()


def test_a_missed_gate_leaves_no_model_behind_a_link_either(export, tmp_path):
    _, output = export()
    (tmp_path / "link.tflite").symlink_to(output)
    result, _ = export("--min-agreement", "100.1", "--force", output=tmp_path / "link.tflite")
    assert result.exit_code == 4
    assert not output.exists()


def test_a_name_that_is_not_utf8_is_no_reason_to_fail(trained, tiny, tmp_path):
    command = [
        sys.executable,
        "-m",
        "digit_export",
        trained,
        "--data",
        tiny,
        "-o",
        os.fsencode(tmp_path) + b"/\xff.tflite",
    ]
    done = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"}, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"\\udcff.tflite: " in done.stdout


def test_gates_that_are_met_let_the_model_through(export):
    result, output = export("--max-accuracy-drop", "100", "--min-agreement", "0", "--quantize", "float16")
    assert result.exit_code == 0
    assert output.exists()


def test_an_existing_file_is_kept_unless_forced(export):
    _, output = export()
    output.write_bytes(b"mine")
    result, _ = export()
    assert result.exit_code == 1
    assert "--force replaces it" in result.stderr
    assert output.read_bytes() == b"mine"


def test_the_model_itself_is_never_replaced(export, trained):
    before = trained.read_bytes()
    result, _ = export("--force", output=trained)
    assert result.exit_code == 2
    assert "-o names the model itself" in result.stderr
    assert trained.read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["--min-agreement", "100.1"]], ids=["exported", "gate missed"])
def test_what_is_no_regular_file_is_neither_replaced_nor_deleted(arguments, export, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    result, output = export("--force", *arguments, output=tmp_path / "pipe")
    assert (result.exit_code, result.stderr) == (1, f"Error: {output} is no regular file; name another -o\n")
    assert output.is_fifo()


def test_no_report_is_left_where_the_model_cannot_be_written(export, tmp_path):
    (tmp_path / f".digits.{os.getpid()}.part.tflite").mkdir()  # in the way of what is written first
    result, output = export()
    assert result.exit_code == 1
    assert "cannot write" in result.stderr
    assert not output.with_name("digits.tflite.parity.json").exists()


def test_what_is_no_keras_model_is_one_line(export, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"nothing")
    result, output = export(model=tmp_path / "model.keras")
    assert result.exit_code == 1
    assert "is not a Keras model" in result.stderr
    assert "Traceback" not in result.stderr
    assert not output.exists()


@pytest.mark.parametrize("scaled", [False, True])
def test_a_network_that_does_not_scale_grey_levels_is_exported_with_a_warning(scaled, export, tmp_path):
    front = [keras.Input((28, 28)), *[keras.layers.Rescaling(1 / 255)] * scaled, keras.layers.Flatten()]
    keras.Sequential([*front, keras.layers.Dense(8, "relu"), keras.layers.Dense(10)]).save(tmp_path / "model.keras")
    result, output = export(model=tmp_path / "model.keras")
    assert result.exit_code == 0
    assert output.exists()
    assert ("takes grey levels from 0 to 255 as they are" in result.stderr) is not scaled


def test_neither_calibration_nor_temperature_sees_the_test_set(export, trained, digits, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, digits.x_test.shape, np.uint8) // 2 + 1
    other = replace(digits, x_test=noise, y_test=np.roll(digits.y_test, 1))
    np.savez(tmp_path / "other.npz", **asdict(other))
    (tmp_path / "model.keras").write_bytes(trained.read_bytes())
    metrics = json.loads(trained.with_name("metrics.json").read_text())
    (tmp_path / "metrics.json").write_text(json.dumps(metrics | {"data_sha256": other.digest()}))
    _, first = export()
    _, second = export("--data", tmp_path / "other.npz", model=tmp_path / "model.keras", output=tmp_path / "2.tflite")
    contracts = [read_bundle(str(path)).contract for path in (first, second)]
    assert contracts[0]["flatbuffer"] == contracts[1]["flatbuffer"]
    assert contracts[0]["temperature"] == contracts[1]["temperature"]


def test_other_data_than_the_model_was_trained_on_is_refused(export, digits, tmp_path):
    np.savez(tmp_path / "other.npz", **asdict(replace(digits, y_test=np.roll(digits.y_test, 1))))
    result, output = export("--data", tmp_path / "other.npz")
    assert result.exit_code == 1
    assert "was trained on other data: give the same --data" in result.stderr
    assert not output.exists()


def test_the_model_file_stays_a_plain_tflite_file(export):
    _, output = export()
    content = output.read_bytes()
    assert content[4:8] == b"TFL3"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt", "digit.json", "golden_input.npy", "golden_output.npy"]


def test_a_network_trained_with_outliers_gets_a_least_confidence_that_its_own_digits_reach(tiny, tmp_path):
    run, output = tmp_path / "run", tmp_path / "outliers.tflite"
    options = ["--preset", "nano", "--epochs", "40", "--batch-size", "20", "--outliers", "300", "--no-augment"]
    assert CliRunner().invoke(train, [*options, "--data", str(tiny), "--out", str(run)]).exit_code == 0
    assert CliRunner().invoke(main, [str(run / "model.keras"), "-o", str(output), "--data", str(tiny)]).exit_code == 0
    bundle = read_bundle(str(output))
    assert bundle.labels == (*"0123456789", "none")
    assert bundle.golden_output.shape == (20, 11)
    digits = load(str(tiny))
    _, held = split(digits.y_train, PRESETS["nano"].validation)
    classifier = Classifier(bundle, find_engine())
    probabilities = classifier.classify(digits.x_train[held])
    right = probabilities.argmax(1) == digits.y_train[held]
    assert 0 < bundle.min_confidence <= probabilities.max(1)[right].min() + 1e-4
    outliers = draw_outliers(200, digits.x_test, digits.y_test, seed=9)
    read = classifier.classify(outliers)
    assert np.median(read.sum(1)) < np.median(probabilities.sum(1)) - 0.2
    exact = softmax(logits(load_model(run / "model.keras"), outliers, none=True) / bundle.contract["temperature"])
    assert np.abs(read - exact).mean() < 0.01


def test_a_network_that_never_saw_outliers_rejects_nothing(export):
    _, output = export()
    assert read_bundle(str(output)).min_confidence == 0
