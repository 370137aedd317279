"""Keras' own way to read a folder: python benchmarks/peers/keras_folder.py FOLDER ROWS.csv MODEL.keras.

A model that is missing is made, with the widths of `base` and random weights.
"""

import csv
import sys
from pathlib import Path

import keras


def main(folder: Path, rows: Path, model_path: Path) -> None:
    if not model_path.exists():
        from digit_train.config import PRESETS
        from digit_train.model import build

        build(PRESETS["base"]).save(model_path)
    model = keras.models.load_model(model_path)
    dataset = keras.utils.image_dataset_from_directory(
        folder, labels=None, color_mode="grayscale", batch_size=256, image_size=(28, 28), shuffle=False, verbose=False
    )
    paths = iter(dataset.file_paths)
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "digit", "logit"])
        for pictures in dataset:
            logits = model.predict_on_batch(pictures[..., 0])
            digits = logits.argmax(1)
            writer.writerows(
                [next(paths), digit, f"{logit:.4f}"]
                for digit, logit in zip(digits.tolist(), logits.max(1).tolist(), strict=True)
            )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
