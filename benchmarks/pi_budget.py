"""What digit-infer costs on a Raspberry Pi, and whether its rows are those of a PC: python -m benchmarks.pi_budget.

Every system is run under qemu, so times are no use, but rows, bytes and instructions are. Needs root, Debian, network,
MNIST and `apt-get install --no-install-recommends qemu-user-static qemu-user mmdebstrap gcc`. Takes about ten minutes.

Memory is that of a run over a folder, with one worker and so two processes, at its peak: the sum of their PSS, and what
of it is the emulator's own (its translations above all). Instructions are per picture of 28 x 28 in batches of 64:
reading and decoding, the normaliser, the network, all of it with the rows.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from benchmarks import userland
from benchmarks.pi_steps import AT_ONCE
from PIL import Image

from digit_infer.settings import SHIPPED
from digit_train.mnist import load_mnist

TFLITE = "/opt/tflite"  # where a userland has tflite-runtime and a numpy that it can work with, beside litert
EVERY = 0.02  # seconds
# its heap, and all that lies above the memory of the program that it runs: above all what it translates to
EMULATORS_OWN = re.compile(r"7\w{11}-|.*\[heap\]")
HEADER = """\
| | | | rows beside | memory, MB | of it the | installed, | instructions, thousand | | | |
| system | runtime | model | the PC's | | emulator's | MB | decode | normalise | network | all |
| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


@dataclass(frozen=True)
class System:
    """Where digit-infer is run: a userland, or this machine where `target` is None."""

    name: str
    runtime: str
    target: userland.Target | None
    folder: Path  # of the userland, or of the working folder
    site: str  # where Python looks first

    @property
    def work(self) -> Path:
        return self.folder / "work" if self.target else self.folder

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        options |= {"start_new_session": True, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        if self.target:
            return userland.start(self.target, self.folder, command, env={"PYTHONPATH": self.site}, **options)
        return subprocess.Popen(command, cwd=self.work, env=os.environ | {"PYTHONPATH": self.site}, **options)

    @property
    def python(self) -> str:
        return "/usr/bin/python3" if self.target else sys.executable


@click.command()
@click.option("--pictures", default=500, show_default=True, help="Of MNIST's test set, for rows and memory.")
def main(pictures: int) -> None:
    if fault := userland.missing():
        sys.exit(fault)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        write_pictures(work / "pictures", pictures)
        plugin = build_plugin(work)
        wheel = userland.build_wheel(work)
        print(HEADER, flush=True)
        expected: dict[tuple[str, str], str] = {}
        for system in systems(wheel, work):
            for model in SHIPPED:
                print(line(system, model, expected, plugin), flush=True)


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    for number, pixels in enumerate(load_mnist()["x_test"][:count]):
        Image.fromarray(pixels).save(folder / f"{number:05}.png")


def hosts(work: Path) -> list[System]:
    """This machine with litert, and with tflite-runtime."""
    site = work / "tflite"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(site), "tflite-runtime", "numpy<2"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    runtime = str(userland.ROOT / "runtime")
    return [
        System("x86-64", "litert", None, work, runtime),
        System("x86-64", "tflite-runtime", None, work, f"{site}{os.pathsep}{runtime}"),
    ]


def systems(wheel: Path, work: Path) -> Iterator[System]:
    """One after the other; a userland is built when it is its turn, and is gone after it."""
    yield from hosts(work)
    for target in userland.TARGETS.values():
        yield from pis(target, wheel, work)
        shutil.rmtree(work / target.name)


def pis(target: userland.Target, wheel: Path, work: Path) -> Iterator[System]:
    """A userland with each runtime that has a wheel there."""
    folder = work / target.name
    userland.build(target, folder, str(wheel))
    shutil.copytree(work / "pictures", folder / "work/pictures")
    if target.machine == "armv7l":
        yield System(target.name, "tflite-runtime", target, folder, "")
        return
    yield System(target.name, "litert", target, folder, "")
    if target.python == "3.11":
        userland.install(target, folder, "tflite-runtime", "numpy<2", into=TFLITE)
        yield System(target.name, "tflite-runtime", target, folder, TFLITE)


def line(system: System, model: str, expected: dict[tuple[str, str], str], plugin: Path | None) -> str:
    """A line of the table; the first system of a runtime gives the rows that are expected of the others."""
    memory, emulator, rows = run_folder(system, model)
    same = expected.setdefault((system.runtime, model), rows)
    different = sum(ours != theirs for ours, theirs in zip(rows.splitlines(), same.splitlines(), strict=True))
    equal = "equal" if not different else f"{different} of {len(rows.splitlines()) - 1} differ"
    size = f"{installed_size(system) / 1e6:.0f}" if system.target else "-"
    counts = [f"{1e-3 * step:.0f}" for step in instructions(system, model, plugin)] if plugin else 4 * ["-"]
    cells = [system.name, system.runtime, model, equal, f"{memory:.0f}", f"{emulator:.0f}", size, *counts]
    return f"| {' | '.join(cells)} |"


def run_folder(system: System, model: str) -> tuple[float, float, str]:
    """Peak PSS in MB of a run over the pictures, what of it is the emulator's, and the rows."""
    output = f"{system.name}-{system.runtime}-{model}.csv"
    options = ["-m", model, "-o", output, "--runtime", system.runtime, "--workers", "1", "--quiet"]
    process, peak = system.start([system.python, "-m", "digit_infer", "pictures", *options]), (0, 0)
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(EVERY)
    if process.returncode:
        sys.exit(f"{system.name}: {process.communicate()[1].decode()}")
    return peak[0] * 1024 / 1e6, peak[1] * 1024 / 1e6, (system.work / output).read_text()


def held(session: int) -> tuple[int, int]:
    """PSS of all processes of a session in KiB, and of that what qemu holds for itself."""
    total = emulator = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # processes end
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            emulated = "qemu-" in os.readlink(folder / "exe")
            for mapping in re.split(r"\n(?=[0-9a-f]+-)", (folder / "smaps").read_text()):
                size = int(mapping.partition("\nPss:")[2].split()[0])
                total += size
                emulator += size * (emulated and EMULATORS_OWN.match(mapping) is not None)
    return total, emulator


def installed_size(system: System) -> int:
    """Bytes that numpy, Pillow and all else for digit-infer take, without bytecode, which is made on the device."""
    assert system.target
    site = system.folder / f"usr/local/lib/python{system.target.python}/dist-packages"
    debian = system.folder / "usr/lib/python3/dist-packages"
    folders = [site, *(debian / name for name in ("numpy", "PIL") if (debian / name).exists())]
    if system.site:
        folders = [system.folder / system.site.lstrip("/")]  # all but what both runtimes share
        folders += [site / name for name in ("digit_infer", "PIL", "pillow.libs", "click", "tqdm", "pyspng")]
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc")


def build_plugin(work: Path) -> Path | None:
    """The plugin that counts instructions; None where qemu or a compiler for it is missing."""
    if not all(shutil.which(tool) for tool in ("gcc", "qemu-aarch64", "qemu-arm", "qemu-x86_64")):
        print("no instructions: apt-get install --no-install-recommends qemu-user gcc libc6-dev", file=sys.stderr)
        return None
    source, plugin = Path(__file__).with_name("count_instructions.c"), work / "count_instructions.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return plugin


def instructions(system: System, model: str, plugin: Path) -> list[float]:
    """Per picture: to decode, to normalise, in the network, and for all with the rows."""
    script = [str(Path(__file__).with_name("pi_steps.py")), str(system.work / "pictures"), model, system.runtime]
    path, program = system.site, [system.python]
    emulator = ["qemu-x86_64", "-cpu", "max"]
    if system.target:  # not in the userland: there the plugin could not be loaded
        site = f"/usr/local/lib/python{system.target.python}/dist-packages"
        path = os.pathsep.join(filter(None, [system.site, site]))
        emulator = ["qemu-aarch64" if system.target.architecture == "arm64" else "qemu-arm"]
        emulator += ["-cpu", system.target.cpu, "-L", str(system.folder)]
        program = [str(system.folder / f"usr/bin/python{system.target.python}")]
    environment = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONPATH": path, "HOME": "/nonexistent"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    command = [*emulator, "-plugin", str(plugin), *program, *script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{system.name}: {done.stderr}")
    marks = [int(line.split()[2]) for line in done.stderr.splitlines() if line.startswith("mark ")][-5:]
    return [(after - before) / AT_ONCE for before, after in pairwise(marks)]


if __name__ == "__main__":
    main()
