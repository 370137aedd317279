"""Do to digit-infer what can happen to it and print what comes of it: python -m benchmarks.faults [--mutations 1000].

Exits with 1 where a run ends in a crash or a traceback, or an input has no row or two.
"""

import csv
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from benchmarks.soak import DIGIT_INFER, DONE, WAYS, saved
from PIL import Image

from digit_infer.bundle import read_bundle
from digit_infer.settings import SHIPPED
from digit_train.mnist import load_mnist

BLANK = saved(Image.new("L", (28, 28)))
GOOD = 200  # whole pictures beside the fault
# digit-infer with a reader that dies of a signal at the picture named killer.png
KILLER = """
import os, signal
from digit_infer import found
read = found.read_picture
found.read_picture = lambda path: os.kill(os.getpid(), signal.{0}) if "killer" in path else read(path)
from digit_infer.cli import main
main()
"""


class Crash(Exception):
    """What must never happen."""


@click.command()
@click.option("--mutations", default=1000, show_default=True, help="Models with spoilt bytes to try.")
def main(mutations: int) -> None:
    digits = load_mnist()["x_train"][:GOOD]
    print("| fault | how | what came out |\n| --- | --- | --- |")
    crashes = 0
    for name, how, provoke in FAULTS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "pictures"
            folder.mkdir()
            for number, pixels in enumerate(digits):
                Image.fromarray(pixels).save(folder / f"{number:03}.png")
            try:
                outcome = provoke(folder)
            except Crash as crash:
                outcome, crashes = f"**{crash}**", crashes + 1
            print(f"| {name} | {how} | {outcome.replace(temporary, '...')} |", flush=True)
    outcomes = mutate(mutations)
    print("\nSpoilt models: " + "; ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common()))
    sys.exit(bool(crashes or outcomes[CRASHED]))


def start(folder: Path, *options: str, command: tuple[str, ...] = (DIGIT_INFER,), **how: Any) -> subprocess.Popen[str]:
    arguments = [*command, str(folder), "-o", str(folder.with_suffix(".csv")), "--quiet", *options]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, **how)


def run(folder: Path, *options: str, rows: int = GOOD + 1, **how: Any) -> str:
    """Read the folder; the exit code, how many rows came out as what, and the last line of the complaint.

    rows: how many there must be where the run comes to its end. Raises Crash.
    """
    process = start(folder, *options, **how)
    lines = process.communicate()[1].splitlines()
    if process.returncode < 0 or any(line.startswith("Traceback") for line in lines):
        raise Crash(f"ended with {process.returncode}: {''.join(lines[-1:])}")
    said = [f"exit {process.returncode}"]
    if process.returncode in DONE:
        with folder.with_suffix(".csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        if len(found) != rows or len({row["path"] for row in found}) != rows:
            raise Crash(f"{len(found)} rows for {rows} inputs")
        counts = Counter(f"{row['status']} {row['reason']}".strip() for row in found)
        said += [f"{count} {outcome}" for outcome, count in counts.items()]
    return "; ".join(said + lines[-1:])


def spoilt(make: Callable[[Image.Image], bytes], folder: Path) -> str:
    (folder / "spoilt.png").write_bytes(make(Image.open(folder / "000.png")))
    return run(folder)


def named(name: bytes, folder: Path) -> str:
    os.link(folder / "000.png", os.path.join(os.fsencode(folder), name))
    return run(folder)


def missing_link(folder: Path) -> str:
    (folder / "link.png").symlink_to("nowhere.png")
    return run(folder)


def loop(folder: Path) -> str:
    (folder / "loop").symlink_to(folder)
    return run(folder, rows=GOOD)


def beside(make: Callable[[Path], object], folder: Path) -> str:
    """Something named on the command line beside the folder."""
    other = folder.with_name("other.npy")
    make(other)
    return run(folder, str(other))


def zipped(change: Callable[[bytes], bytes], members: dict[str, bytes], rows: int, folder: Path) -> str:
    """The pictures of a zip file, of which `change` makes something else, with more members in front."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in (members | {path.name: path.read_bytes() for path in folder.iterdir()}).items():
            archive.writestr(name, member)
    archived = folder.with_suffix(".zip")
    archived.write_bytes(change(content.getvalue()))
    return run(archived, rows=rows)


def encrypted(content: bytes) -> bytes:
    """The first member is said to be encrypted."""
    changed = bytearray(content)
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        changed[changed.index(mark) + place] |= 1
    return bytes(changed)


def cut_tar(folder: Path) -> str:
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        archive.add(folder, "")
    content = folder.with_suffix(".tar").read_bytes()
    folder.with_suffix(".tar").write_bytes(content[: len(content) // 2])
    return run(folder.with_suffix(".tar"), rows=content[: len(content) // 2].count(b"\x89PNG") + 1)


def pickled(path: Path) -> None:
    np.save(path, np.array([print], object), allow_pickle=True)


def killed_reader(name: str, folder: Path) -> str:
    os.link(folder / "000.png", folder / "077-killer.png")
    return run(folder, command=(sys.executable, "-c", KILLER.format(name)))


def stopped(number: signal.Signals, folder: Path) -> str:
    """Run until some rows are written and stop it; what it said."""
    process = start(folder, "--batch-size", "1", start_new_session=True)
    until = time.monotonic() + 30
    while time.monotonic() < until and rows_so_far(folder).count(b"\n") < 3:
        time.sleep(0.001)
    os.killpg(process.pid, number)
    return "; ".join([f"exit {process.wait()}", *process.communicate()[1].splitlines()[-1:]])


def rows_so_far(folder: Path) -> bytes:
    half = folder.with_suffix(".csv.partial")
    return half.read_bytes() if half.exists() else b""


def resumed(number: signal.Signals, lost: int, folder: Path) -> str:
    """Stopped, the last bytes written cut off, resumed; and whether that gave what comes of an uninterrupted run."""
    out = folder.with_suffix(".csv")
    run(folder, rows=GOOD)
    whole = out.read_bytes()
    out.unlink()
    said = stopped(number, folder)
    folder.with_suffix(".csv.partial").write_bytes(rows_so_far(folder)[: -lost or None])
    said += f", then {run(folder, '--resume', rows=GOOD)}"
    if out.read_bytes() != whole:
        raise Crash("other bytes than an uninterrupted run's")
    return f"{said}; the same bytes"


def changed(change: Callable[[Path], object], folder: Path, *options: str) -> str:
    """Killed, something changed, resumed with other options."""
    stopped(signal.SIGKILL, folder)
    change(folder)
    return run(folder, "--resume", *options, rows=GOOD)


def full_disk(folder: Path) -> str:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    first = run(folder, preexec_fn=limit)
    return f"{first}, then {run(folder, '--resume', rows=GOOD)}"


def rename_first(folder: Path) -> None:
    (folder / "000.png").rename(folder / "999.png")


def twice(folder: Path) -> str:
    run(folder, rows=GOOD)
    return run(folder, rows=GOOD)


def to_reader(reader: str, folder: Path) -> str:
    """Rows on stdout, to a shell command."""
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" "$1" {reader}', DIGIT_INFER, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Traceback" in done.stderr:
        raise Crash("a traceback")
    return "; ".join([f"exit {done.returncode}", *done.stderr.splitlines()[-1:]])


def model(change: Callable[[bytes], bytes], folder: Path) -> str:
    path = folder.with_suffix(".tflite")
    path.write_bytes(change(read_bundle("small").content))
    return run(folder, "-m", str(path))


FAULTS: list[tuple[str, str, Callable[[Path], str]]] = [
    *((name, "a picture among 200 whole ones", partial(spoilt, make)) for name, make in WAYS.items()),
    ("link to nothing", "a symbolic link", missing_link),
    ("loop of links", "a link to the folder itself", loop),
    ("named pipe", "mkfifo, named on the command line", partial(beside, os.mkfifo)),
    ("name that is not UTF-8", "byte 0xFF", partial(named, b"\xff.png")),
    ("name with a line feed and quotes", "beside the others", partial(named, b'a\n"b",.png')),
    ("name of a formula", "=1+1.png", partial(named, b"=1+1.png")),
    ("zip cut off", "its first half", partial(zipped, lambda content: content[: len(content) // 2], {}, 1)),
    ("encrypted member", "its flag is set", partial(zipped, encrypted, {"0.png": b""}, GOOD + 1)),
    ("member too large", "70 MB of zeros", partial(zipped, bytes, {"0.png": bytes(70 * 2**20)}, GOOD + 1)),
    (
        "member above the folder",
        "../0.png",
        partial(zipped, bytes, {"../0.png": saved(Image.new("L", (28, 28)))}, GOOD + 1),
    ),
    ("tar cut off", "its first half", cut_tar),
    ("array of objects", "a pickle in an .npy", partial(beside, pickled)),
    ("reader dies", "SIGSEGV at one picture", partial(killed_reader, "SIGSEGV")),
    ("reader is killed for memory", "SIGKILL at one picture", partial(killed_reader, "SIGKILL")),
    ("killed", "SIGKILL to all its processes, then resumed", partial(resumed, signal.SIGKILL, 0)),
    ("stopped", "SIGTERM to all its processes, then resumed", partial(resumed, signal.SIGTERM, 0)),
    ("Ctrl-C", "SIGINT to all its processes, then resumed", partial(resumed, signal.SIGINT, 0)),
    ("power lost", "SIGKILL, the last row cut in two, then resumed", partial(resumed, signal.SIGKILL, 7)),
    ("disk full", "no file may grow beyond 5,000 bytes, then resumed without that", full_disk),
    ("output exists", "run twice", twice),
    ("another model", "killed, resumed with it", lambda folder: changed(Path.exists, folder, "-m", "nano")),
    ("other inputs", "killed, a picture renamed, resumed", partial(changed, rename_first)),
    ("reader of the rows leaves", "`| head -1`", partial(to_reader, "| head -1")),
    ("full disk behind stdout", "`> /dev/full`", partial(to_reader, "> /dev/full")),
    ("no stdout", "`>&-`", partial(to_reader, ">&-")),
    ("model cut off", "its first half", partial(model, lambda content: content[: len(content) // 2])),
    ("no model", "text", partial(model, lambda content: b"no model " * 99)),
]
CRASHED = "crashed"


def mutate(count: int) -> Counter[str]:
    """Read a picture with `count` models in which one to eight bytes were changed anywhere; what came of it."""
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
        picture = Path(temporary) / "digit.png"
        picture.write_bytes(saved(Image.fromarray(load_mnist()["x_train"][0])))
        return Counter(pool.map(partial(try_mutation, picture), range(count)))


def try_mutation(picture: Path, seed: int) -> str:
    """Models whose digests no longer fit are refused before they are run, so these are run without their zip."""
    draw = random.Random(seed)
    bundle = read_bundle(draw.choice(SHIPPED))
    content = bytearray(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    for _ in range(draw.randint(1, 8)):
        content[draw.randrange(min(len(content), draw.choice([1000, 10**7])))] = draw.randrange(256)
    path = picture.with_name(f"{seed}.tflite")
    path.write_bytes(content)
    done = subprocess.run([DIGIT_INFER, str(picture), "-m", str(path)], capture_output=True, text=True, check=False)
    path.unlink()
    if done.returncode < 0 or "Traceback" in done.stderr:
        return CRASHED
    return "refused in one line" if done.returncode == 1 else "read"


if __name__ == "__main__":
    main()
