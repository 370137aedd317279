"""digit-train as a user runs it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from digit_train.cli import main
from digit_train.train import Run

FIGURES = ["accuracy", "confusion", "dataset", "predictions", "test_loss", "train_loss"]
SHORT = ["--preset", "nano", "--epochs", "3", "--batch-size", "50"]


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    result = run(*SHORT, "--data", tiny, "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


def test_a_run_leaves_model_history_metrics_and_figures_and_nothing_else(trained):
    folder, _ = trained
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    figures = [f"figures/{name}.png" for name in FIGURES]
    assert left == sorted([*figures, "history.csv", "metrics.json", "model.keras"])


def test_progress_shows_loss_accuracy_and_time_left(trained):
    lines = trained[1].stderr.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"epoch   {number}/3  train loss ")
        assert "validation loss" in line
        assert ", left 0:" in line


def test_metrics_agree_with_history_and_model(trained):
    import keras

    from digit_train.model import weights_digest

    folder, _ = trained
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    best = history[metrics["best_epoch"] - 1]
    assert metrics["epochs"] == len(history) == 3
    assert float(best["test_accuracy"]) == pytest.approx(metrics["test_accuracy"])
    assert np.mean(metrics["test_accuracy_per_class"]) == pytest.approx(metrics["test_accuracy"])  # ten of each
    assert metrics["weights_sha256"] == weights_digest(keras.models.load_model(folder / "model.keras"))
    assert metrics["versions"].keys() == {"digit-edge", "python", "numpy", "tensorflow", "keras"}


def test_how_keras_is_configured_for_other_work_changes_no_weight(trained, tiny, tmp_path, foreign_keras):
    command = [sys.executable, "-m", "digit_train", *SHORT, "--data", str(tiny), "--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=foreign_keras, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (trained[0], tmp_path / "run"))
    assert first["weights_sha256"] == second["weights_sha256"]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn(name, trained):
    pixels = np.asarray(Image.open(trained[0] / "figures" / f"{name}.png").convert("L"))
    assert min(pixels.shape) >= 500
    assert (pixels < 128).mean() > 0.002
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert rim.min() == 255, "something is cut off at the rim"


def test_a_finished_run_is_not_replaced_unless_forced(trained, tiny):
    folder, _ = trained
    before = (folder / "model.keras").read_bytes()
    for options in ([], ["--resume"]):
        refused = run(*SHORT, "--data", tiny, "--out", folder, *options)
        assert refused.exit_code == 1
        assert "holds a finished run: name another --out, or --force starts over" in refused.stderr
    assert (folder / "model.keras").read_bytes() == before
    assert run(*SHORT, "--data", tiny, "--out", folder, "--seed", 1, "--force").exit_code == 0
    assert json.loads((folder / "metrics.json").read_text())["seed"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "nowhere"], 1, "not 'mnist', a folder or an .npz file"),
        (["--preset", "huge"], 2, "'huge' is not one of"),
        (["--dropout", "1"], 2, "0<=x<1"),
        (["--learning-rate", "nan"], 2, "is not a number"),
        (["--learning-rate", "inf"], 2, "0<x<inf"),
        (["--preset", "teacher", "--four-bit"], 2, "--four-bit is for networks of Dense layers"),
        (["--resume"], 1, "start without --resume"),
        (["--keep-hidden"], 2, "--keep-hidden needs --init"),
        (["--resume", "--force"], 2, "give one of them"),
        (["--batch-size", "1"], 2, "x>=2"),
        (["--init", "."], 2, "'.' is a directory"),
        (["--teacher", "."], 2, "'.' is a directory"),
    ],
    ids=[
        *("unknown data", "unknown preset", "dropout of 1", "rate of nan", "infinite rate", "convolutions in 4 bits"),
        *("nothing to resume", "nothing to keep", "resumed and replaced", "batches of one"),
        *("folder to start from", "folder of a teacher"),
    ],
)
def test_wrong_input_is_one_line(arguments, code, words, tiny, tmp_path):
    data = [] if "--data" in arguments else ["--data", tiny]
    result = run(*SHORT, *data, "--out", tmp_path / "run", *arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def start(tiny, folder, *arguments):
    command = [sys.executable, "-m", "digit_train", "--preset", "nano", "--epochs", "12"]
    command += ["--batch-size", "4", "--dropout", "0.2", "--data", str(tiny), "--out", str(folder), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_epochs(process, count):
    for line in process.stderr:
        if line.startswith(f"epoch {count:>3}"):
            return


def test_killed_and_resumed_ends_with_the_same_weights(tiny, tmp_path):
    whole = start(tiny, tmp_path / "whole")
    whole.communicate()
    process = start(tiny, tmp_path / "killed")
    wait_for_epochs(process, 3)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed" / "model.keras").exists()
    resumed = start(tiny, tmp_path / "killed", "--resume")
    assert "going on after epoch" in resumed.communicate()[1]
    first, second = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "killed"))
    assert first["weights_sha256"] == second["weights_sha256"]


def test_a_second_training_in_the_same_folder_is_refused_and_the_first_goes_on(tiny, tmp_path):
    process = start(tiny, tmp_path / "run")
    wait_for_epochs(process, 1)
    process.send_signal(signal.SIGSTOP)
    for options in ([], ["--resume"], ["--force"]):
        refused = run(*SHORT, "--data", tiny, "--out", tmp_path / "run", *options)
        assert refused.exit_code == 1
        assert refused.stderr.startswith("Error: another digit-train is writing")
        assert refused.stderr.endswith("name another --out\n")
    process.send_signal(signal.SIGCONT)
    process.communicate()
    assert process.returncode == 0
    assert [path.name for path in (tmp_path / "run").glob(".*")] == []


def test_a_checkpoint_that_a_killed_run_had_not_written_whole_goes_with_the_next(tiny, tmp_path):
    (tmp_path / ".checkpoint.123.part.npz").write_bytes(b"torn")
    assert run(*SHORT, "--data", tiny, "--out", tmp_path).exit_code == 0
    assert not list(tmp_path.glob(".*"))


def test_force_leaves_nothing_to_resume_of_the_run_before_once_arguments_and_data_are_good(tiny, tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint.npz"
    checkpoint.write_bytes(b"of the run before")
    assert run(*SHORT, "--data", "nowhere", "--out", tmp_path, "--force").exit_code == 1
    assert checkpoint.exists()
    monkeypatch.setattr(Run, "run_epoch", lambda run: os.kill(os.getpid(), signal.SIGINT))  # before the first ends
    assert run(*SHORT, "--data", tiny, "--out", tmp_path, "--force").exit_code == 130
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_noticed_before_training(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "run_epoch", None)
    (tmp_path / "file").touch()
    refused = run(*SHORT, "--data", tiny, "--out", tmp_path / "file/run")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: cannot write {tmp_path}/file/run")


def test_ctrl_c_keeps_the_best_model_and_the_run_can_be_resumed(tiny, tmp_path):
    long = "--epochs", "100"  # enough that a busy machine sends the signal before the end
    process = start(tiny, tmp_path / "run", *long)
    wait_for_epochs(process, 2)
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert "the best model so far is kept" in process.communicate()[1]
    assert process.returncode == 130
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["interrupted"]
    assert (tmp_path / "run" / "model.keras").exists()
    resumed = start(tiny, tmp_path / "run", *long, "--resume")
    resumed.communicate()
    assert resumed.returncode == 0
    assert not json.loads((tmp_path / "run" / "metrics.json").read_text())["interrupted"]


@pytest.mark.parametrize("stderr", ["full", "closed"])
def test_training_goes_on_where_nothing_can_be_said(stderr, tiny, tmp_path):
    command = [sys.executable, "-m", "digit_train", *SHORT, "--data", str(tiny), "--out", str(tmp_path / "run")]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stderr=full, preexec_fn=(lambda: os.close(2)) if stderr == "closed" else None)
    assert done.returncode == 0
    assert (tmp_path / "run/model.keras").exists()


def test_what_matplotlib_is_configured_for_does_not_matter(tiny, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    command = [sys.executable, "-m", "digit_train", *SHORT, "--data", str(tiny), "--out", str(tmp_path / "run")]
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "MPLBACKEND": "module://not.installed"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/figures/predictions.png").exists()


def test_of_few_pictures_batches_are_small_unless_asked_for(tiny, tmp_path):
    for options, size in (([], 32), (["--batch-size", "50"], 50)):
        folder = tmp_path / str(size)
        command = ["--preset", "nano", "--epochs", "1", "--data", str(tiny), "--out", str(folder), *options]
        assert CliRunner().invoke(main, command).exit_code == 0
        assert json.loads((folder / "metrics.json").read_text())["config"]["batch_size"] == size
