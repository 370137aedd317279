"""From MNIST to a shipped model: python benchmarks/release.py base. The same command goes on where it was interrupted.

Trains a convolutional teacher, then the network from its answers, nano a second time with 4-bit weights and a third
time with these fixed, and exports it to runs/<name>-<seed>/<name>.tflite. Teacher and lessons are made once for all
networks and seeds.
"""

import subprocess
import sys
from pathlib import Path

import click

from digit_infer.settings import SHIPPED
from digit_train.folder import CHECKPOINT

FOUR_BIT = ("nano",)


@click.command()
@click.argument("name", type=click.Choice(SHIPPED))
@click.option("--seed", default=0, show_default=True)
@click.option("--runs", type=click.Path(path_type=Path), default="runs", show_default=True)
def main(name: str, seed: int, runs: Path) -> None:
    folder, exact, rounded = (runs / f"{name}-{seed}{stage}" for stage in ("", "-float", "-rounded"))
    train(runs / "teacher", "--preset", "teacher", "--recipe", "release")
    options = ["--preset", name, "--recipe", "release", "--seed", str(seed)]
    options += ["--teacher", f"{runs}/teacher/model.keras", "--lessons", f"{runs}/lessons"]
    if name in FOUR_BIT:
        train(exact, *options)
        options += ["--four-bit", "--init"]
        train(rounded, *options, f"{exact}/model.keras", "--learning-rate", "5e-4", "--epochs", "800")
        options += [f"{rounded}/model.keras", "--keep-hidden", "--learning-rate", "3e-3", "--epochs", "80"]
    train(folder, *options)
    start("digit_export", f"{folder}/model.keras", "-o", f"{folder}/{name}.tflite", "--force")


def train(folder: Path, *options: str) -> None:
    """Train into `folder`, or go on there; nothing where it has been done."""
    if (folder / CHECKPOINT).exists():
        options += ("--resume",)
    elif (folder / "model.keras").exists():
        return
    start("digit_train", *options, "--out", str(folder))


def start(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
