"""Kill digit-infer again and again and resume it: python benchmarks/soak.py [--files 100000] [--kills 10] [--folder F].

One in a hundred of the pictures is broken, in ten ways. Exits with 1 where the rows of the run that was killed are not,
byte for byte, those of one that was not.
"""

import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
from PIL import Image

from digit_infer.row import Row
from digit_infer.sinks import csv_row
from digit_train.mnist import load_mnist

DIGIT_INFER = str(Path(sys.executable).with_name("digit-infer"))
IN_A_FOLDER = 10_000
DONE = (0, 3)  # exit codes: every picture was read, some rows are errors


@click.command()
@click.option("--files", default=100_000, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the pictures lie or are made; else temporary.")
@click.option("--seed", default=0, show_default=True, help="Of the moments to kill at.")
def main(files: int, kills: int, folder: Path | None, seed: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        pictures, work = (folder or Path(temporary)) / f"soak-{files}", Path(temporary)
        make_folder(pictures, files)
        whole, killed = work / "whole.csv", work / "killed.csv"
        seconds = run(pictures, whole)
        first = min(run(pictures / "000" / "0000000.png", work / "one.csv") for _ in range(2))
        done = run_killed(pictures, killed, kills, first, seconds, random.Random(seed))
        print(f"{files:,} files in {seconds:.1f} s; killed {done} times, then finished\n")
        rows = [csv_row(line) for line in whole.read_text().splitlines()[1:]]
        print(corruption_table(rows))
        faults = compare(whole, killed, rows, files)
    print("\n" + "\n".join(faults or ["no difference"]))
    sys.exit(bool(faults))


def make_folder(folder: Path, files: int) -> None:
    """MNIST as PNG files, in sub-folders, one in a hundred broken; the name says how. What is whole stays as it is."""
    if folder.exists():
        return
    digits, half = load_mnist()["x_train"], folder.with_name(f"{folder.name}.half")
    for number in range(files):
        parent = half / f"{number // IN_A_FOLDER:03}"
        parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(digits[number % len(digits)])
        if number % 100 == 50:
            name, make = list(WAYS.items())[number // 100 % len(WAYS)]
            (parent / f"{number:07} {name}.png").write_bytes(make(image))
        else:
            image.save(parent / f"{number:07}.png")
    half.rename(folder)


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(image: Image.Image) -> bytes:
    """A PNG that says it is 50,000 x 50,000 and is not."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def with_a_flipped_bit(image: Image.Image) -> bytes:
    """A bit of the pixels flipped, as by a bad disk: the checksum tells, and often nothing else."""
    content = bytearray(saved(image))
    content[len(content) * 2 // 3] ^= 1
    return bytes(content)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


WAYS: dict[str, Callable[[Image.Image], bytes]] = {
    "cut PNG": lambda image: cut(saved(image)),
    "no bytes": lambda image: b"",
    "zip archive": lambda image: b"PK\x03\x04" + bytes(100),
    "50000 x 50000": bomb,
    "bad checksum": with_a_flipped_bit,
    "text": lambda image: b"This is not a picture.\n",
    "1 x 1": lambda image: saved(image.resize((1, 1))),
    "transparent": lambda image: saved(Image.new("RGBA", image.size, (0, 0, 0, 0))),
    "NaN in TIFF": lambda image: saved(Image.fromarray(np.full((28, 28), np.nan, np.float32)), "TIFF"),
    "cut JPEG": lambda image: cut(saved(image.resize((280, 280)), "JPEG")),
}


def start(pictures: Path, output: Path, *options: str) -> subprocess.Popen[str]:
    command = [DIGIT_INFER, str(pictures), "-o", str(output), "--quiet", *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def run(pictures: Path, output: Path) -> float:
    """Run to the end; how many seconds that took."""
    since = time.perf_counter()
    finish(start(pictures, output, "--force"))
    return time.perf_counter() - since


def finish(process: subprocess.Popen[str], timeout: float | None = None) -> None:
    """Raises subprocess.TimeoutExpired; exits with what digit-infer complains of."""
    _, complaint = process.communicate(timeout=timeout)
    if process.returncode not in DONE:
        sys.exit(f"digit-infer ended with {process.returncode}: {complaint}")


def run_killed(pictures: Path, output: Path, kills: int, first: float, seconds: float, moments: random.Random) -> int:
    """Run with `kills` interruptions by SIGKILL and then to the end; how many of them met a run that was not over.

    A run of a single picture takes `first` seconds, all of them `seconds`: the moments are spread so that each run
    starts up, or is about to, and then gets some of its share of the work done.
    """
    longest = first + 1.5 * (seconds - first) / (kills + 1)
    for kill in range(kills):
        process = start(pictures, output, "--resume")
        try:
            finish(process, moments.uniform(0.5 * first, longest))
            return kill
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        if output.exists():  # it was killed with all rows written
            return kill + 1
    finish(start(pictures, output, "--resume"))
    return kills


def corruption_table(rows: list[Row]) -> str:
    """What came out for each way of being broken, as Markdown; pictures that are whole come first."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        outcomes[Path(row.path).stem.partition(" ")[2]][f"{row.status} {row.reason}".strip()] += 1
    lines = ["| files | status and reason |", "| --- | --- |"]
    for way in ("", *WAYS):
        came_out = ", ".join(f"{outcome}: {count:,}" for outcome, count in outcomes[way].most_common())
        lines.append(f"| {way or 'whole'} | {came_out} |")
    return "\n".join(lines)


def compare(whole: Path, killed: Path, rows: list[Row], files: int) -> list[str]:
    """What is not as it should be, a line each."""
    faults = []
    if len(rows) != files:
        faults.append(f"{len(rows)} rows for {files} files")
    if doubled := [path for path, count in Counter(row.path for row in rows).items() if count > 1]:
        faults.append(f"{len(doubled)} paths are doubled, such as {doubled[0]}")
    if whole.read_bytes() != killed.read_bytes():
        faults.append("the run that was killed wrote other bytes")
    counts = [json.loads(path.with_name(f"{path.name}.run.json").read_text()).get("counts") for path in (whole, killed)]
    if counts[0] != counts[1]:
        faults.append(f"the records count differently: {counts[0]} and {counts[1]}")
    return faults


if __name__ == "__main__":
    main()
