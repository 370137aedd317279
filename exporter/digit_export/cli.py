"""digit-export: turn a trained network into one checked TFLite file."""

from dataclasses import asdict
from pathlib import Path

import click

from digit_export.settings import QUANTIZATIONS, Quantization
from digit_infer import __version__
from digit_infer.command import Command, Number
from digit_train.backend import prepare_keras


@click.command(cls=Command, no_args_is_help=True)
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="MODEL.keras")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="digits.tflite",
    show_default=True,
    help="The model file.",
)
@click.option(
    "--quantize",
    type=click.Choice(QUANTIZATIONS),
    default=QUANTIZATIONS[0],
    show_default=True,
    help="int8 is the smallest and fastest and runs everywhere.",
)
@click.option("--data", default="mnist", show_default=True, help="What it was trained on: mnist, a folder or an .npz.")
@click.option("--max-accuracy-drop", type=Number(-100), metavar="PP", help="Exit 4 above this, in percentage points.")
@click.option("--min-agreement", type=Number(0), metavar="PCT", help="Exit 4 below this, in percent.")
@click.option("--force", is_flag=True, help="Replace the output file.")
@click.version_option(__version__)
@click.pass_context
def main(
    ctx: click.Context,
    model: Path,
    output: Path,
    quantize: Quantization,
    data: str,
    max_accuracy_drop: float | None,
    min_agreement: float | None,
    force: bool,
) -> None:
    """Convert MODEL.keras to TFLite and compare both over the test set.

    \b
    digit-export runs/base/model.keras -o digits.tflite --max-accuracy-drop 0.05 --min-agreement 99.9

    Beside the .tflite stands its parity report, as <output>.parity.json. Exit codes: 0 exported; 1 could not run;
    2 wrong usage; 4 a gate was missed, and no .tflite is left.
    """
    prepare_keras()
    from digit_export.export import export
    from digit_infer.engine import find_engine
    from digit_infer.errors import OutputError
    from digit_infer.files import write_json, written_whole
    from digit_infer.parity import missed_gates, parity_table
    from digit_train.data import load
    from digit_train.folder import CHECKPOINT

    if output.exists() and output.samefile(model):
        raise click.UsageError("-o names the model itself: give the .tflite another name")
    if output.exists() and not output.is_file():
        raise OutputError(f"{output} is no regular file; name another -o")
    if output.exists() and not force:
        raise OutputError(f"{output} exists; --force replaces it")
    if model.with_name(CHECKPOINT).exists():
        click.echo(f"warning: the training in {model.parent} has not ended; digit-train --resume goes on", err=True)
    exported = export(model, load(data), find_engine(), quantize)
    if not exported.calibrated:
        click.echo(
            f"warning: no metrics.json of these weights beside {model}: exported without temperature, least confidence "
            "and the probability that it is no digit; if digit-train made it, export it in the folder that it wrote",
            err=True,
        )
    if not exported.scaled:
        click.echo(
            f"warning: {model} takes grey levels from 0 to 255 as they are; if it was trained on 0 to 1, begin it with "
            "keras.layers.Rescaling(1 / 255) and export it again",
            err=True,
        )
    report = output.with_name(f"{output.name}.parity.json")
    if missed := missed_gates(exported.parity, max_accuracy_drop, min_agreement):
        write_json(report, asdict(exported.parity))
        output.resolve().unlink(missing_ok=True)
    else:
        with written_whole(output) as temporary:
            temporary.write_bytes(exported.content)
            write_json(report, asdict(exported.parity))
    click.echo(parity_table(exported.parity, "float", quantize))
    if missed:
        click.echo("\n".join(f"gate missed: {line}" for line in missed), err=True)
        ctx.exit(4)
    click.echo(f"{output}: {len(exported.content):,} bytes")
