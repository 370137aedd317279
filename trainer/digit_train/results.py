"""What a finished run leaves in its folder: model, history, metrics, figures."""

import platform
from dataclasses import asdict, fields
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

import digit_infer
from digit_infer.files import write_json, written_whole
from digit_infer.report import confusion_matrix
from digit_train import figures
from digit_train.folder import CHECKPOINT, MODEL
from digit_train.model import weights_digest
from digit_train.train import Epoch, Run, Trained


def write_results(run: Run, trained: Trained) -> None:
    """Write everything into run.folder; the checkpoint goes last, and stays after Ctrl-C."""
    with written_whole(run.folder / MODEL) as temporary:
        trained.model.save(temporary)
    write_history(run.folder / "history.csv", trained.history)
    read = predict(trained.model, run.digits.x_test)
    write_metrics(run.folder / "metrics.json", run, trained, read)
    folder = run.folder / "figures"
    figures.draw_dataset(folder, run.digits)
    figures.draw_history(folder, trained.history)
    figures.draw_predictions(folder, run.digits, read, run.config.seed)
    figures.draw_confusion(folder, run.digits.y_test, read)
    if not trained.interrupted:
        (run.folder / CHECKPOINT).unlink(missing_ok=True)


def predict(model: keras.Sequential, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The digits read in (n, 28, 28), uint8: (n,), 0-9."""
    logits: NDArray[np.float32] = model.predict(images, batch_size=1000, verbose=0)
    return logits.argmax(1)


def write_history(path: Path, history: list[Epoch]) -> None:
    lines = [",".join(field.name for field in fields(Epoch))]
    lines += [",".join(f"{value:.6g}" for value in asdict(epoch).values()) for epoch in history]
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def write_metrics(path: Path, run: Run, trained: Trained, read: NDArray[np.int64]) -> None:
    confusion = confusion_matrix(run.digits.y_test, read)
    metrics = {
        "test_accuracy": trained.best.test_accuracy,
        "test_accuracy_per_class": [
            float(right / total) for right, total in zip(np.diag(confusion), confusion.sum(1), strict=True)
        ],
        "test_confusion": confusion.tolist(),
        "validation_accuracy": trained.best.val_accuracy,
        "best_epoch": trained.best.epoch,
        "epochs": len(trained.history),
        "interrupted": trained.interrupted,
        "seed": run.config.seed,
        "config": asdict(run.config),
        "data_sha256": run.digits.digest(),
        "init_sha256": run.init,
        "teachers_sha256": run.teachers(),
        "weights_sha256": weights_digest(trained.model),
        "widths": widths(trained.model),
        "parameters": trained.model.count_params(),
        "seconds": round(sum(epoch.seconds for epoch in trained.history), 1),
        "versions": {
            "digit-edge": digit_infer.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    write_json(path, metrics)


def widths(model: keras.Sequential) -> list[int]:
    """The values that go into the first Dense layer, and the units of each."""
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return [dense[0].kernel.shape[0], *(layer.units for layer in dense)]
