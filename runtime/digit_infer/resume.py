"""Go on with an interrupted run: its rows are kept where they are of the same model, options and inputs."""

import json
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from digit_infer.errors import OutputError
from digit_infer.files import write_json, writing
from digit_infer.found import Found
from digit_infer.report import Tally
from digit_infer.row import Row
from digit_infer.settings import Output
from digit_infer.sinks import RowFile, name_in_row
from digit_infer.stream import Stream


def start_or_resume(
    rows: RowFile, record: Path, about: dict[str, Any], found: Stream, tally: Tally, output: Output
) -> Stream | None:
    """Open the file of rows and return the inputs that still need one, None where the file is complete; rows that are
    kept are counted in `tally`.

    Raises OutputError where rows would be lost, or are not the first ones of this very run.
    """
    with writing(rows.output):
        held = next((path for path in (rows.partial, rows.output) if path.exists()), None)
    if output.resume and held:
        status = check_same_run(record, about)
        if output.retry_errors:
            return without_good_rows(rows, held, found)
        kept = skip_rows(rows.kept_rows(held), found, tally)
        if held == rows.partial:
            rows.open(keep=kept)
            return found
        if status != "complete":  # perhaps of another run, whose rows were to be replaced
            raise OutputError(
                f"{record} tells of a run that did not end; repeat that as it was, or --force to start over"
            )
        for one in found.each(1):
            raise OutputError(f"{held} is complete, and {one.path!a} is not in it; --force starts over")
        return None
    if held and not output.force:
        way_out = "--resume goes on with it, --force starts over" if held == rows.partial else "--force replaces it"
        raise OutputError(f"{held} exists; {way_out}")
    write_json(record, about | {"status": "running"})  # first: rows without a record could not be gone on with
    rows.open()
    return found


def skip_rows(kept: Iterator[Row], found: Stream, tally: Tally) -> int:
    """Take the inputs from `found` that have a row already; how many."""
    keep = 0
    while part := list(islice(kept, 1000)):
        for row, one in zip_longest(part, found.each(len(part))):
            check_same_input(row, one)
        keep += len(part)
        tally.add(Tally.of(part))
    return keep


def without_good_rows(rows: RowFile, held: Path, found: Stream) -> Stream:
    """The inputs, those with a good row together with it; a file is begun that will replace the one held."""
    kept = rows.kept_rows(held)
    rows.partial = rows.target.with_name(f"{rows.target.name}.retry")
    rows.open()

    def pairs() -> Iterator[Found]:
        for one in found.each():
            if row := next(kept, None):
                check_same_input(row, one)
            yield one._replace(done=row) if row and row.status != "error" else one
        if row := next(kept, None):
            check_same_input(row, None)

    return Stream(pairs())


def check_same_input(row: Row, found: Found | None) -> None:
    now = found.path if found else "nothing"
    if row.path not in (now, name_in_row(now)):
        raise OutputError(f"the inputs have changed: {row.path!a} was read where {now!a} is now; --force starts over")


def check_same_run(record: Path, about: dict[str, Any]) -> str | None:
    """The status of the earlier run. Raises OutputError where the run record tells of another one than this."""
    try:
        earlier = dict(json.loads(record.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise OutputError(f"{record} cannot be read, so nothing can be gone on with; --force starts over") from error
    for name, value in json.loads(json.dumps(about)).items():
        if earlier.get(name) != value:
            other = difference(name, earlier.get(name), value)
            raise OutputError(f"the earlier run had another {other}; use the same, or --force to start over")
    return earlier.get("status")


def difference(name: str, then: object, now: object) -> str:
    """The first setting that differs, with both its values."""
    if isinstance(then, dict) and isinstance(now, dict):
        pairs = {inner: (then.get(inner, "unknown"), now.get(inner, "unknown")) for inner in then | now}
        inner, (one, other) = next((inner, pair) for inner, pair in pairs.items() if pair[0] != pair[1])
        return difference(f"{name}: {inner}", one, other)
    return f"{name}: {json.dumps(then)}, not {json.dumps(now)}"
