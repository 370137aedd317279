"""How all three commands end: one line for an error, exit 1; exit 130 for Ctrl-C."""

import errno
import io
import math
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from digit_infer.errors import DigitError


class Command(click.Command):
    """A click command that turns the project's own errors, and what the system refuses, into messages."""

    def run(self, name: str) -> NoReturn:
        """Be the whole process, and end it at once: taking Python, numpy and TFLite apart first would take 9 ms."""
        open_what_is_closed()
        try:
            self.main(prog_name=name)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        try:
            sys.stdout.flush()
        except OSError as error:
            if error.errno != errno.EPIPE and code != 1:  # whoever reads has had enough, or it has been said
                print(f"Error: cannot write to stdout: {(error.strerror or str(error)).lower()}", file=sys.stderr)
            code = 1
        with suppress(OSError):  # of a full disk behind it, where the results are what matters
            sys.stderr.flush()
        os._exit(code)

    def main(self, *args: Any, **extra: Any) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # of names that are not UTF-8
        try:
            return super().main(*args, **extra)
        except OSError as error:  # no more files or processes, no working folder, a full disk behind stdout
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{(error.strerror or str(error)).lower()}", err=True)
            sys.exit(1)
        except MemoryError:
            click.echo("Error: not enough memory; a smaller --batch-size needs less", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DigitError as error:
            raise click.ClickException(str(error)) from error
        except ImportError as error:  # of Pillow on a Pi, where a library of the system is missing
            raise click.ClickException(f"{error}: digit-infer --doctor says how to fix it") from error
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(130)


def open_what_is_closed() -> None:
    """Keep the number of a standard stream that was closed (`>&-`) from files to come; rows can still not go there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY), number)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))


def say(line: str) -> None:
    """Print on stderr; a full disk behind it, or nobody who listens, does not end what is done."""
    with suppress(OSError):
        click.echo(line, err=True)


class Number(click.FloatRange):
    """A float within a range, and not NaN, which no comparison ever catches."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number
