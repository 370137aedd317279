"""How all three commands end: one line for an error, exit 1; exit 130 for Ctrl-C."""

import io
import math
import sys
from typing import Any

import click

from digit_infer.errors import DigitError


class Command(click.Command):
    """A click command that turns the project's own errors, and what the system refuses, into messages."""

    def main(self, *args: Any, **extra: Any) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # of names that are not UTF-8
        try:
            return super().main(*args, **extra)
        except OSError as error:  # no more files or processes, no working folder, a full disk behind stdout
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{(error.strerror or str(error)).lower()}", err=True)
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


class Number(click.FloatRange):
    """A float within a range, and not NaN, which no comparison ever catches."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number
