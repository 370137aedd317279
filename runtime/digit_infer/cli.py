"""digit-infer: read pictures of handwritten digits into a table."""

import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from digit_infer import __version__
from digit_infer.command import Command, Number, say
from digit_infer.settings import FORMATS, RUNTIMES, SHIPPED, Effort, Options, Output

if TYPE_CHECKING:
    from digit_infer.job import Job

UNRESUMED = "against", "debug_dir", "report"  # what does not go with --resume, since it tells of all pictures
UNWATCHED = *UNRESUMED, "summary", "resume"  # and with --watch


def none_for_stdout(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    return None if path == "-" else path


@click.command(cls=Command, no_args_is_help=True)
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-m", "--model", default=SHIPPED[0], show_default=True, help=f"{', '.join(SHIPPED)} or a .tflite file.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    callback=none_for_stdout,
    help="rows.csv, .jsonl, .parquet (a folder), or - for stdout.  [default: -]",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="How rows are printed on stdout.  [default: table on a terminal, else csv]",
)
@click.option(
    "--labels",
    metavar="folders|FILE.csv",
    help="Report the accuracy: pictures lie in folders named 0 to 9, or a table has columns path and label.",
)
@click.option("--against", metavar="FLOAT.tflite", help="Run this model over the same pictures and compare.")
@click.option(
    "--max-accuracy-drop",
    type=Number(-100),
    metavar="PP",
    help="With --against: exit 4 above this, in percentage points.",
)
@click.option("--min-agreement", type=Number(0), metavar="PCT", help="With --against: exit 4 below this, in percent.")
@click.option("--min-confidence", type=Number(0, 1), help="Reject below this confidence.  [default: the model's own]")
@click.option("--workers", type=click.IntRange(1), help="Number of processes.  [default: one per usable core]")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=Effort.batch_size,
    show_default=True,
    help="Pictures per invocation, at most.",
)
@click.option("--runtime", type=click.Choice(RUNTIMES), help="TFLite runtime to use.  [default: the first that works]")
@click.option(
    "--debug-dir",
    type=click.Path(),
    metavar="DIR",
    help="Draw each picture beside what the network saw, and contact sheets.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False),
    metavar="FILE.html",
    help="A page with the counts and the pictures to look at: misread, rejected, least sure.",
)
@click.option(
    "--summary",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The counts, or what --benchmark measured, as JSON.",
)
@click.option(
    "--watch", is_flag=True, help="Keep reading what comes into the folders, until stopped; can be restarted."
)
@click.option(
    "--resume", is_flag=True, help="Continue an interrupted run, keeping its rows; start one where there is none."
)
@click.option("--retry-errors", is_flag=True, help="With --resume: also read again what was an error.")
@click.option("--force", is_flag=True, help="Replace the output file.")
@click.option("--quiet", is_flag=True, help="Print neither summary nor progress.")
@click.option("--selftest", is_flag=True, help="Check the model's golden vectors on this machine, and stop.")
@click.option(
    "--doctor", is_flag=True, help="Show what this machine has, lacks and how to fix it, and stop: exit 0 or 1."
)
@click.option("--benchmark", is_flag=True, help="Time each step on this machine, with INPUT or own pictures, and stop.")
@click.option("--model-info", is_flag=True, help="Show what the model file says about itself, and stop.")
@click.version_option(__version__)
@click.pass_context
def main(
    ctx: click.Context,
    inputs: tuple[str, ...],
    model: str,
    output: str | None,
    format: str | None,
    labels: str | None,
    against: str | None,
    max_accuracy_drop: float | None,
    min_agreement: float | None,
    min_confidence: float | None,
    workers: int | None,
    batch_size: int,
    runtime: str | None,
    debug_dir: str | None,
    report: str | None,
    summary: str | None,
    watch: bool,
    resume: bool,
    retry_errors: bool,
    force: bool,
    quiet: bool,
    selftest: bool,
    doctor: bool,
    benchmark: bool,
    model_info: bool,
) -> None:
    """Read every picture in INPUT... and print a row for each.

    INPUT is a folder, a picture, a glob, a .zip or .tar, an array (.npy, .npz, IDX), or - for a list of paths on stdin.

    \b
    digit-infer ./images
    digit-infer scans/*.jpg photos -m small -o rows.csv
    digit-infer test --labels folders --against float.tflite --min-agreement 99.9

    Exit codes: 0 every picture was read; 1 could not run; 2 wrong usage; 3 some rows are errors; 4 a gate was missed;
    130 interrupted.
    """
    if fault := usage_fault(ctx.params):
        raise click.UsageError(fault)
    # one that ignores it, as some do who start others, would never learn how a process of its own ended
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # before numpy is loaded, which would start a thread for each core; the imports wait, so that --help does not
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if doctor:
        from digit_infer.doctor import examine

        diagnosis = examine(model, runtime)
        click.echo(str(diagnosis))
        ctx.exit(1 if diagnosis.fault else 0)
    if model_info:
        from digit_infer.bundle import read_bundle
        from digit_infer.report import describe

        click.echo(describe(read_bundle(model)))
        return
    from digit_infer.engine import find_engine

    engine = find_engine(runtime)  # perhaps in a process that loads numpy; this one need not hold it at the same time
    from pathlib import Path

    from digit_infer.bundle import read_bundle
    from digit_infer.classifier import Classifier
    from digit_infer.classifier import selftest as run_selftest
    from digit_infer.job import Job

    def path_of(given: str | None) -> Path | None:
        return None if given is None else Path(given)

    def note(line: str) -> None:
        if not quiet:
            say(line)

    bundle = read_bundle(model)
    if not bundle.contract:
        note(f"warning: {model} carries no contract; assuming uint8 28 x 28, light on dark, and digits in order")
    for line in engine.skipped:
        note(f"passed over {line}")
    if summary:
        from digit_infer.files import check_is_summary

        check_is_summary(Path(summary))
    if benchmark:
        from digit_infer.benchmark import benchmark as run_benchmark
        from digit_infer.files import write_json

        measured = run_benchmark(list(inputs), bundle, engine)
        click.echo(measured.table())
        if summary:
            write_json(Path(summary), asdict(measured))
        return
    classifier = Classifier(bundle, engine)
    if selftest:
        click.echo(run_selftest(classifier))
        return
    other = Classifier(read_bundle(against), engine) if against else None
    # a table on a terminal shows its own progress
    progress = not quiet and sys.stderr.isatty() and (output is not None or not sys.stdout.isatty())
    job = Job(
        list(inputs),
        classifier,
        Options(min_confidence, labels),
        Output(path_of(output), format, resume, retry_errors, force, progress, path_of(debug_dir), path_of(report)),
        Effort(workers, batch_size),
        other,
    )
    if watch:
        from digit_infer.watch import watch as run_watch

        run_watch(job, note)
        note(job.tally.summary())
        return
    interrupted = job.run()
    note(job.tally.summary())
    if labels and not job.tally.expected:
        hint = "none lies in a folder named 0 to 9" if labels == "folders" else f"{labels} gives none of them one"
        note(f"warning: no picture has a label: {hint}")
    if summary:
        job.write_summary(Path(summary))
    job.write_report(interrupted)
    conclude(ctx, job, interrupted)


def usage_fault(given: dict[str, Any]) -> str:
    """Which of the options given do not go together, or ''."""
    if empty := [name for name, value in given.items() if value == ""]:  # as of a variable of the shell that is not set
        return f"--{empty[0].replace('_', '-')} is empty; give it a value or leave it out"
    if "" in given["inputs"]:
        return "an INPUT is empty; give it a value or leave it out"
    gated = given["max_accuracy_drop"] is not None or given["min_agreement"] is not None
    if gated and not given["against"]:
        return "--max-accuracy-drop and --min-agreement compare with a model: add --against FLOAT.tflite"
    if given["max_accuracy_drop"] is not None and not given["labels"]:
        return "--max-accuracy-drop needs to know the truth: add --labels"
    if given["format"] and given["output"]:
        return "--format is of rows on stdout; those in a file follow from its name, rows.csv or rows.jsonl"
    for option, without in (("resume", UNRESUMED), ("watch", UNWATCHED)):
        if given[option] and not given["output"]:
            return f"--{option} goes on with a file of rows: add -o rows.csv"
        if given[option] and (others := given_of(without, given)):
            return f"--{option} goes without {others}"
    for option, example in (("summary", "summary.json"), ("report", "page.html")):
        if given[option] == "-":
            return f"--{option} needs the name of a file, such as {example}"
        if given[option] and os.path.realpath(given[option]) in places(given, option):
            return f"--{option} would replace a file that is read or written; give it a name of its own"
    if given["output"] and given["labels"] and os.path.realpath(given["output"]) == os.path.realpath(given["labels"]):
        return "-o would replace the table of --labels; give it a name of its own"
    if given["retry_errors"] and not given["resume"]:
        return "--retry-errors goes with --resume"
    if given["resume"] and given["force"]:
        return "--resume keeps the rows that are there and --force replaces them; give one of them"
    if not any(given[option] for option in ("inputs", "selftest", "doctor", "benchmark", "model_info")):
        return "nothing to read: name a folder or a picture"
    return ""


def given_of(options: tuple[str, ...], given: dict[str, Any]) -> str:
    """Those of some options that were given, as words; '' for none."""
    return " and ".join(f"--{option.replace('_', '-')}" for option in options if given[option])


def places(given: dict[str, Any], own: str) -> list[str]:
    """Where the files lie that are read or written, apart from that of the option `own`."""
    names = "model", "against", "labels", "output", "summary", "report"
    paths = [*given["inputs"], *(given[name] for name in names if name != own)]
    paths += [f"{given['output']}{ending}" for ending in (".run.json", ".partial")] if given["output"] else []
    return [os.path.realpath(path) for path in paths if path]


def conclude(ctx: click.Context, job: "Job", interrupted: bool) -> NoReturn:
    """Say how a run can be gone on with and how two models compare, and exit with what came of it."""
    given = ctx.params
    if interrupted:
        line = "interrupted"
        if given["output"] and not given["against"]:
            others = given_of(UNRESUMED, given)
            line += f": --resume{' --retry-errors' * given['retry_errors']} goes on{others and f', without {others}'}"
        say(line)
        ctx.exit(130)
    if given["against"]:
        from digit_infer.parity import missed_gates

        if table := job.parity_table():
            click.echo(table, err=True)
        if missed := missed_gates(job.pairs.parity, given["max_accuracy_drop"], given["min_agreement"]):
            click.echo("\n".join(f"gate missed: {line}" for line in missed), err=True)
            ctx.exit(4)
    ctx.exit(3 if job.tally.statuses["error"] else 0)
