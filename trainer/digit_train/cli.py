"""digit-train: train a digit network, resumable and repeatable."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from digit_infer import __version__
from digit_infer.command import Command, Number, say
from digit_train.backend import prepare_keras, prepare_matplotlib
from digit_train.config import PRESETS, RECIPES

if TYPE_CHECKING:
    from digit_train.train import Epoch, Run


@click.command(cls=Command)
@click.option(
    "--preset", type=click.Choice(list(PRESETS)), default="small", show_default=True, help="Network and its settings."
)
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="quick",
    show_default=True,
    help="quick takes minutes; release, as for the shipped models, up to an hour.",
)
@click.option(
    "--data",
    default="mnist",
    show_default=True,
    help="mnist, a folder with sub-folders 0 to 9, or an .npz, light on dark.",
)
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most.  [default: the preset's]")
@click.option(
    "--patience",
    type=click.IntRange(0),
    help="Epochs without improvement before stopping; 0 keeps the last weights.  [default: the preset's]",
)
@click.option("--batch-size", type=click.IntRange(2), help="[default: the preset's, fewer for few pictures]")
@click.option(
    "--learning-rate",
    type=Number(0, math.inf, min_open=True, max_open=True),
    help="Learning rate at its peak.  [default: the preset's]",
)
@click.option("--dropout", type=Number(0, 1, max_open=True), help="[default: the preset's]")
@click.option("--augment/--no-augment", default=None, help="Distort the training pictures.  [default: augment]")
@click.option(
    "--styles",
    type=click.IntRange(0),
    help="Number of drawn pictures to add, in styles that MNIST lacks.  [default: the preset's]",
)
@click.option(
    "--outliers",
    type=click.IntRange(0),
    help="Number of drawn pictures without a digit, to learn to tell from digits.  [default: the preset's]",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="[default: 0]")
@click.option(
    "--init",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="MODEL.keras",
    help="Start from these weights.",
)
@click.option(
    "--four-bit",
    is_flag=True,
    default=None,
    help="Fit the hidden layers' weights into 4 bits, which halves the file; best from a trained model, with --init.",
)
@click.option(
    "--keep-hidden",
    is_flag=True,
    default=None,
    help="Train only biases and the last layer, keeping the hidden layers' weights of --init; best after --four-bit.",
)
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="MODEL.keras",
    help="Also learn from this model's answers; given several times, from their mean.",
)
@click.option(
    "--lessons",
    "lessons_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder that keeps distorted pictures and teachers' answers for other runs too: gigabytes.  "
    "[default: OUT/lessons with --teacher]",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run.")
@click.option("--force", is_flag=True, help="Start over in a folder that holds a run.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="[default: runs/PRESET]")
@click.version_option(__version__)
@click.pass_context
def main(
    ctx: click.Context,
    /,
    preset: str,
    recipe: str,
    data: str,
    init: Path | None,
    teachers: tuple[Path, ...],
    lessons_folder: Path | None,
    resume: bool,
    force: bool,
    out: Path | None,
    **overrides: float | None,
) -> None:
    """Train a network and write model.keras, history.csv, metrics.json and figures.

    \b
    digit-train --preset small
    digit-train --preset base --epochs 240 --out runs/release
    digit-train --preset base --epochs 240 --out runs/release --resume

    Ctrl-C keeps the best model so far and exits with 130.
    """
    folder = out or Path("runs") / preset
    prepare_keras()
    prepare_matplotlib()
    from digit_train.data import load
    from digit_train.folder import CHECKPOINT, check_free, occupied
    from digit_train.results import write_results
    from digit_train.train import Run, train

    if resume and force:
        raise click.UsageError("--resume goes on with the run that is there and --force replaces it; give one of them")
    config = replace(RECIPES[recipe][preset], **{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    if config.keep_hidden and not init:
        raise click.UsageError("--keep-hidden needs --init, the model whose hidden layers are kept")
    if config.four_bit and config.conv:
        raise click.UsageError("--four-bit is for networks of Dense layers, not for --preset teacher")
    with occupied(folder):
        if not force:
            check_free(folder, resume)
        digits = load(data, say)
        if overrides["batch_size"] is None:
            config = config.suited_to(len(digits.x_train))
        run = Run(config, digits, folder, init, teachers, lessons_folder)
        if resume:
            run.restore_checkpoint()
            click.echo(f"going on after epoch {len(run.history)}", err=True)
        else:
            (folder / CHECKPOINT).unlink(missing_ok=True)  # with --force, before it could be gone on with
        trained = train(run, show_epoch)
        write_results(run, trained)
    best = trained.best
    click.echo(f"{folder}: best epoch {best.epoch}, validation {best.val_accuracy:.2%}, test {best.test_accuracy:.2%}")
    if trained.interrupted:
        click.echo("interrupted: the best model so far is kept, --resume goes on", err=True)
        ctx.exit(130)


def show_epoch(run: "Run", epoch: "Epoch") -> None:
    left = round(run.seconds_left())
    say(
        f"epoch {epoch.epoch:>3}/{run.config.epochs}"
        f"  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:.2%}"
        f"  validation loss {epoch.val_loss:.4f} accuracy {epoch.val_accuracy:.2%}"
        f"  {epoch.seconds:.1f} s, left {left // 60}:{left % 60:02}"
    )
