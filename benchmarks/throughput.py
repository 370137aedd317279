"""Time digit-infer beside the usual ways to read a folder: python benchmarks/throughput.py [--help].

All sides of a folder are measured in turn, in the same run, as whole processes; the best of some rounds counts. Measure
what `pip install .` installed: commands of an editable install start later.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_train.mnist import load_mnist

HERE = Path(__file__).parent
OURS, LOOP, KERAS, TORCH, FLOOR = "digit-infer", "loop over pictures", "Keras", "PyTorch and ONNX", "floor"
DIGIT_INFER = str(Path(sys.executable).with_name("digit-infer"))
BARE, ARRAY = "bare interpreter, one process", "digit-infer on an array"
IMPORTS = {"one picture": "import numpy, PIL.Image", "--help": "import click"}
COLD_ROUNDS = 15
IN_A_FOLDER = 10_000
ARRAY_SIZES = 100_000, 1_000_000
Times = dict[str, float]


@dataclass
class Measured:
    """Seconds by size and side, of folders and arrays, and of short commands; MB of RSS and PSS by folder size."""

    folders: dict[int, Times] = field(default_factory=dict)
    cold: Times = field(default_factory=dict)
    arrays: dict[int, Times] = field(default_factory=dict)
    memory: dict[int, list[float]] = field(default_factory=dict)


@click.command()
@click.option("--sizes", default="1000,10000,100000", show_default=True, help="Pictures in each folder.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="Where the pictures lie or are made; else temporary.")
@click.option("--torch-python", help="The python of an environment with torch, onnx, onnxruntime and pillow.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw pictures per second over size.")
@click.option("--json", "record", type=click.Path(path_type=Path), help="The numbers as JSON.")
def main(
    sizes: str, rounds: int, folder: Path | None, torch_python: str | None, figure: Path | None, record: Path | None
) -> None:
    counts = sorted(map(int, sizes.split(",")))
    with tempfile.TemporaryDirectory() as temporary:
        measured = measure(folder or Path(temporary), Path(temporary), counts, rounds, torch_python)
    print(report(measured))
    if TORCH not in measured.folders[counts[0]]:
        print(f"\n{TORCH} is left out: no --torch-python")
    if record:
        record.write_text(json.dumps(asdict(measured), indent=1))
    if figure:
        draw(measured, figure)


def measure(folder: Path, work: Path, sizes: list[int], rounds: int, torch_python: str | None) -> Measured:
    measured = Measured()
    digits = load_mnist()
    digits_70000 = np.concatenate([digits["x_train"], digits["x_test"]])
    for size in sizes:
        pictures = make_folder(folder / str(size), size, digits_70000)
        sides = commands(pictures, work, torch_python)
        warm_up(pictures, sides, work, size)
        timed = {name: timer(command) for name, command in sides.items()}
        measured.folders[size] = best(timed, rounds)
        peak = [sys.executable, str(HERE / "peak_memory.py"), *sides[OURS], "--workers", "2"]
        measured.memory[size] = list(map(float, finish(peak).split()))
    one = next((folder / str(sizes[0])).rglob("*.png"))
    cold = {"one picture": [DIGIT_INFER, str(one)], "--help": [DIGIT_INFER, "--help"]}
    cold |= {code: [sys.executable, "-c", code] for code in IMPORTS.values()}
    measured.cold = best({name: timer(command) for name, command in cold.items()}, COLD_ROUNDS)
    command = [DIGIT_INFER, str(work / "digits.npz"), "-o", str(work / "rows.csv"), "--force", "--quiet"]
    for size in ARRAY_SIZES:
        array = np.resize(digits_70000, (size, 28, 28))
        np.savez(work / "digits.npz", x=array)
        measured.arrays[size] = best({ARRAY: timer(command), BARE: bare(array)}, rounds)
    return measured


def make_folder(folder: Path, size: int, digits: NDArray[np.uint8]) -> Path:
    """MNIST as PNG files, in sub-folders; digits (70000, 28, 28) repeat. One that is whole is taken as it is."""
    if folder.exists():
        return folder
    half = folder.with_name(f"{folder.name}.half")
    for number in range(size):
        path = half / f"{number // IN_A_FOLDER:03}" / f"{number:06}.png"
        if number % IN_A_FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits[number % len(digits)]).save(path)
    return half.rename(folder)


def commands(pictures: Path, work: Path, torch_python: str | None) -> dict[str, list[str]]:
    """What each side is started with."""
    model = work / "base.tflite"
    model.write_bytes(read_bundle("base").content)
    folder, rows, python = str(pictures), str(work / "rows.csv"), sys.executable

    def peer(python: str, script: str, *arguments: str | Path) -> list[str]:
        return [python, str(HERE / "peers" / script), folder, *map(str, arguments)]

    sides = {
        OURS: [DIGIT_INFER, folder, "-o", rows, "--force", "--quiet"],
        LOOP: peer(python, "tflite_loop.py", rows, model),
        KERAS: peer(python, "keras_folder.py", rows, work / "model.keras"),
        FLOOR: peer(python, "floor.py"),
    }
    if torch_python:
        sides[TORCH] = peer(torch_python, "torch_onnx.py", rows, work / "model.onnx")
    return sides


def warm_up(pictures: Path, sides: dict[str, list[str]], work: Path, size: int) -> None:
    """Put the pictures into the page cache, and see that each side writes a row for each of them."""
    for path in pictures.rglob("*.png"):
        path.read_bytes()
    for name, command in sides.items():
        finish(command)
        with (work / "rows.csv").open() as file:
            rows = sum(1 for _ in file) - 1
        if name != FLOOR and rows != size:
            sys.exit(f"{name} wrote {rows} rows for {size} pictures")


def finish(command: list[str]) -> str:
    """Run a command to its end; what it wrote."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def timer(command: list[str]) -> Callable[[], float]:
    """What runs a command and returns its seconds, start to end."""

    def run() -> float:
        start = time.perf_counter()
        finish(command)
        return time.perf_counter() - start

    return run


def bare(pictures: NDArray[np.uint8]) -> Callable[[], float]:
    """What runs the interpreter alone over (n, 28, 28) in batches and returns its seconds."""
    classifier = Classifier(read_bundle("base"), find_engine())

    def run() -> float:
        start = time.perf_counter()
        for i in range(0, len(pictures), 512):
            classifier.invoke(pictures[i : i + 512])
        return time.perf_counter() - start

    return run


def best(sides: dict[str, Callable[[], float]], rounds: int) -> Times:
    """The fewest seconds of each, the sides taking turns, so that a slow minute of the machine meets them all."""
    laps = [{name: run() for name, run in sides.items()} for _ in range(rounds)]
    return {name: min(lap[name] for lap in laps) for name in sides}


def steady(measured: Measured) -> dict[tuple[int, int], Times]:
    """Pictures per second between two sizes: what starting up costs falls out."""
    return {
        (small, large): {
            side: (large - small) / (measured.folders[large][side] - measured.folders[small][side])
            for side in measured.folders[small]
        }
        for small, large in pairwise(measured.folders)
    }


def report(measured: Measured) -> str:
    """All tables, as Markdown."""
    parts = []
    for size, times in measured.folders.items():
        rows = [f"{side} | {s:.2f} | {size / s:,.0f} | {s / times[OURS]:.2f} x" for side, s in times.items()]
        parts.append(table(f"{size:,} PNG files | seconds | pictures/s | digit-infer is faster", rows))
    for (small, large), rates in steady(measured).items():
        rows = [f"{side} | {rate:,.0f} | {rates[OURS] / rate:.2f} x" for side, rate in rates.items()]
        parts.append(table(f"steady, {small:,} to {large:,} | pictures/s | digit-infer is faster", rows))
    rows = [f"{name} | {1000 * s:.0f}" for name, s in measured.cold.items()]
    parts.append(table(f"cold start, best of {COLD_ROUNDS} | ms", rows))
    for size, times in measured.arrays.items():
        rows = [f"{name} | {s:.2f} | {size / s:,.0f}" for name, s in times.items()]
        parts.append(table(f"array of {size:,} | seconds | pictures/s", rows))
    rows = [f"{size:,} PNG files | {rss:.0f} | {pss:.0f}" for size, (rss, pss) in measured.memory.items()]
    parts.append(table("most memory, two workers | sum of RSS, MB | sum of PSS, MB", rows))
    return "\n\n".join([*parts, table("target | aim | measured | ", targets(measured))])


def table(head: str, rows: list[str]) -> str:
    columns = " | ".join(["---", *["---:"] * head.count("|")])
    return "\n".join(f"| {line} |" for line in [head, columns, *rows])


def targets(measured: Measured) -> list[str]:
    """What was aimed at beside what came out; those whose sizes were not measured are left out."""
    cold = measured.cold
    at_least = [
        (f"array of {size:,}: share of the bare interpreter", 0.85, times[BARE] / times[ARRAY])
        for size, times in measured.arrays.items()
    ]
    if times := measured.folders.get(10_000):
        at_least.append(("10,000: times as fast as Keras", 8, times[KERAS] / times[OURS]))
        at_least.append(("10,000: times as fast as the loop", 4, times[LOOP] / times[OURS]))
    if rates := steady(measured).get((10_000, 100_000)):
        at_least.append(("steady: times as fast as Keras", 5, rates[OURS] / rates[KERAS]))
    if times := measured.folders.get(100_000):
        at_least.append(("100,000: share of the floor", 0.85, times[FLOOR] / times[OURS]))
    at_most = [
        (f"cold, {name}: times `{code}`", aim, cold[name] / cold[code])
        for (name, code), aim in zip(IMPORTS.items(), (1.6, 1.3), strict=True)
    ]
    at_most.append(("sum of RSS, MB", 300, max(rss for rss, _ in measured.memory.values())))
    if held := measured.memory.get(10_000):
        most = measured.memory[max(measured.memory)]
        at_most += [
            (f"{name}, largest folder to 10,000", 1.1, large / small)
            for name, large, small in zip(("RSS", "PSS"), most, held, strict=True)
        ]
    rows = [f"{name} | at least {aim:g} | {x:.2f} | {'reached' if x >= aim else 'missed'}" for name, aim, x in at_least]
    return rows + [
        f"{name} | at most {aim:g} | {x:.2f} | {'reached' if x <= aim else 'missed'}" for name, aim, x in at_most
    ]


def draw(measured: Measured, path: Path) -> None:
    """Pictures per second over folder size, a line for each side."""
    from matplotlib.figure import Figure

    figure = Figure((7, 4.5), layout="constrained")
    axes = figure.add_subplot(
        xscale="log", yscale="log", xlabel="PNG files in the folder", ylabel="pictures per second"
    )
    sizes = list(measured.folders)
    for side in measured.folders[sizes[0]]:
        rates = [size / measured.folders[size][side] for size in sizes]
        line = "--" if side == FLOOR else "-"
        axes.plot(
            sizes, rates, f"o{line}", color="0.5" if side == FLOOR else None, label=side, lw=3 if side == OURS else 1.5
        )
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.grid(which="both", alpha=0.2)
    axes.legend()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
