"""digit-infer: read pictures of handwritten digits into a table."""

from pathlib import Path

import click

from digit_infer import __version__
from digit_infer.command import Command, Number
from digit_infer.settings import RUNTIMES, SHIPPED, Options

DEFAULTS = Options()


@click.command(cls=Command, no_args_is_help=True)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-m", "--model", default=SHIPPED[0], show_default=True, help=f"{', '.join(SHIPPED)} or a .tflite file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="rows.csv, rows.jsonl or - for stdout.  [default: -]",
)
@click.option(
    "--labels", type=click.Choice(["folders"]), help="Pictures lie in folders named 0 to 9: report the accuracy."
)
@click.option("--against", metavar="FLOAT.tflite", help="Run this model over the same pictures and compare.")
@click.option(
    "--max-accuracy-drop", type=Number(), metavar="PP", help="With --against: exit 4 above this, in percentage points."
)
@click.option("--min-agreement", type=Number(), metavar="PCT", help="With --against: exit 4 below this, in percent.")
@click.option(
    "--min-confidence",
    type=Number(0, 1),
    default=DEFAULTS.min_confidence,
    help="Reject below this.  [default: the model's own]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=DEFAULTS.batch_size,
    show_default=True,
    help="Pictures per invocation.",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="Use this one.  [default: the first that works]",
)
@click.option(
    "--debug-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Draw each picture beside what the network saw, and contact sheets.",
)
@click.option("--force", is_flag=True, help="Replace the output file.")
@click.option("--quiet", is_flag=True, help="No summary.")
@click.option("--selftest", is_flag=True, help="Check the model's golden vectors on this machine, and stop.")
@click.option("--model-info", is_flag=True, help="Show what the model file says about itself, and stop.")
@click.version_option(__version__)
@click.pass_context
def main(
    ctx: click.Context,
    inputs: tuple[str, ...],
    model: str,
    output: Path | None,
    labels: str | None,
    against: str | None,
    max_accuracy_drop: float | None,
    min_agreement: float | None,
    min_confidence: float | None,
    batch_size: int,
    runtime: str | None,
    debug_dir: Path | None,
    force: bool,
    quiet: bool,
    selftest: bool,
    model_info: bool,
) -> None:
    """Read every picture in INPUT... (folders, files, globs) and print a row for each.

    \b
    digit-infer ./images
    digit-infer scans/*.jpg photos -m small -o rows.csv
    digit-infer test --labels folders --against float.tflite --min-agreement 99.9

    Exit codes: 0 every picture was read; 1 could not run; 2 wrong usage; 3 some rows are errors; 4 a gate was missed;
    130 interrupted.
    """
    gated = max_accuracy_drop is not None or min_agreement is not None
    if gated and not against:
        raise click.UsageError(
            "--max-accuracy-drop and --min-agreement compare with a model: add --against FLOAT.tflite"
        )
    if max_accuracy_drop is not None and not labels:
        raise click.UsageError("--max-accuracy-drop needs to know the truth: add --labels folders")
    if not (inputs or selftest or model_info):
        raise click.UsageError("nothing to read: name a folder or a picture")
    # the imports wait, so that --help does not
    from digit_infer.bundle import read_bundle
    from digit_infer.classifier import Classifier
    from digit_infer.classifier import selftest as run_selftest
    from digit_infer.debug import DebugFolder
    from digit_infer.engine import find_engine
    from digit_infer.files import write_json
    from digit_infer.parity import missed_gates, parity_table
    from digit_infer.pipeline import Picture, run
    from digit_infer.report import Tally, describe, run_record
    from digit_infer.row import Row
    from digit_infer.sinks import open_sink
    from digit_infer.sources import at_least_one, find_images

    def note(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    output = None if output == Path("-") else output
    bundle = read_bundle(model)
    if model_info:
        click.echo(describe(bundle))
        return
    if not bundle.contract:
        note(f"warning: {model} carries no contract; assuming uint8 28 x 28, light on dark, and digits in order")
    engine = find_engine(runtime)
    for line in engine.skipped:
        note(f"passed over {line}")
    classifier = Classifier(bundle, engine)
    if selftest:
        click.echo(run_selftest(classifier))
        return
    other = Classifier(read_bundle(against), engine) if against else None
    options = Options(batch_size, min_confidence, labels == "folders")
    tally = Tally()
    found = at_least_one(find_images(inputs, tally.skip))
    debug = DebugFolder(debug_dir) if debug_dir else None
    with open_sink(output, force) as write:

        def take(picture: Picture, row: Row) -> None:
            write(row)
            if debug:
                debug.add(picture, row)

        parity = run(found, classifier, take, options, tally, other)
    if debug:
        debug.write_sheet()
    if output:
        record = run_record(classifier, list(inputs), options, tally, other, parity)
        write_json(output.with_name(f"{output.name}.run.json"), record)
    note(tally.summary())
    if parity:
        click.echo(parity_table(parity, Path(str(against)).name, Path(model).name), err=True)
    if missed := missed_gates(parity, max_accuracy_drop, min_agreement):
        click.echo("\n".join(f"gate missed: {line}" for line in missed), err=True)
        ctx.exit(4)
    ctx.exit(3 if tally.statuses["error"] else 0)
