"""What each ingredient of the release recipe is worth: python benchmarks/ingredients.py [--epochs N] [TEACHER...].

Trains a network with one ingredient changed at a time and prints accuracy and loss on the validation slice. There two
seeds differ by as much as two recipes; on distorted copies of its pictures, gently or as mildly as training ends with,
they do not.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from digit_infer.settings import SHIPPED
from digit_train.augment import distort
from digit_train.config import MILD, RELEASE, Distortion
from digit_train.data import load, split
from digit_train.train import Run, train

COPIES = 10
GENTLE = replace(MILD, share=1.0, rotation=4.0, scale=0.04, shear=3.0, shift=0.4, elastic_alpha=9.0)


@click.command()
@click.argument("teachers", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--preset", type=click.Choice(SHIPPED), default="small", show_default=True)
@click.option("--lessons", type=click.Path(path_type=Path), default="runs/lessons", show_default=True)
@click.option("--epochs", default=100, show_default=True)
@click.option("--seeds", default=1, show_default=True)
@click.option("--only", multiple=True, help="Rows to measure.")
def main(
    teachers: tuple[Path, ...], preset: str, lessons: Path, epochs: int, seeds: int, only: tuple[str, ...]
) -> None:
    recipe = replace(RELEASE[preset], epochs=epochs)
    outliers = recipe.outliers
    rows = {
        "the recipe": recipe,
        "the quick recipe's distortion": replace(recipe, distortion=Distortion()),
        "mild distortion throughout": replace(recipe, distortion=MILD),
        "strong distortion throughout": replace(recipe, settling=0),
        "no distortion": replace(recipe, augment=False),
        "no elastic distortion": replace(recipe, distortion=replace(recipe.distortion, elastic_alpha=0.0)),
        "strokes as they are": replace(recipe, distortion=replace(recipe.distortion, thinner=0.0, thicker=0.0)),
        "half the epochs": replace(recipe, epochs=epochs // 2),
        "weights not averaged": replace(recipe, averaging=0.0),
        "float32 throughout": replace(recipe, precision="float32"),
        "batches of 128": replace(recipe, batch_size=128, averaging=0.9995),
        "dropout 0.1": replace(recipe, dropout=0.1),
        "no drawn styles": replace(recipe, styles=0),
        f"{'no ' * bool(outliers)}drawn outliers": replace(recipe, outliers=0 if outliers else 40000),
    }
    taught = {
        "lessons without teacher": replace(recipe, distillation=0.0),
        "lessons": recipe,
        "ten lessons in turn": replace(recipe, lessons=10),
        "teachers' answers alone": replace(recipe, distillation=1.0),
        **{f"temperature {t:g}": replace(recipe, temperature=t) for t in (1.0, 2.0, 3.0) if t != recipe.temperature},
    }
    digits = load("mnist")
    held_back = split(digits.y_train, recipe.validation)[1]
    pictures, labels = digits.x_train[held_back], np.tile(digits.y_train[held_back], COPIES)
    gentle, mild = (copies(pictures, distortion) for distortion in (GENTLE, MILD))
    print("| recipe | the slice | gentle copies | mild copies |\n| --- | ---: | ---: | ---: |")
    for name, config in (rows | (taught if teachers else {})).items():
        if only and name not in only:
            continue
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                from_lessons = (teachers, lessons) if name in taught else ()
                run = Run(replace(config, seed=seed), digits, Path(folder), None, *from_lessons)
                best = train(run, lambda run, epoch: None).best
            measured = [(best.val_loss, best.val_accuracy), run.evaluate(gentle, labels), run.evaluate(mild, labels)]
            print(f"| {name} |", *(f"{accuracy:.2%}, {loss:.4f} |" for loss, accuracy in measured), flush=True)


def copies(images: NDArray[np.uint8], distortion: Distortion) -> NDArray[np.uint8]:
    """All of (n, 28, 28) several times over, each distorted by itself: (COPIES * n, 28, 28)."""
    parts = [images[start : start + 1000] for start in range(0, len(images), 1000)] * COPIES
    return np.concatenate([distort(part, tf.constant([number, 0]), distortion) for number, part in enumerate(parts)])


if __name__ == "__main__":
    main()
