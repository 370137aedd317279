"""What this machine has and lacks to read digits, and the one command that fixes it; needs nothing but click."""

import platform
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from digit_infer import __version__
from digit_infer import engine as engines
from digit_infer.errors import DigitError

NEEDED = {"numpy": "numpy", "pillow": "PIL"}  # distribution and module; nothing can be read without
# what loads their compiled parts, and Debian's packages with the libraries that wheels from piwheels.org, which
# Raspberry Pi OS takes, leave to the system
COMPILED = {"numpy": ("numpy", "libopenblas0"), "pillow": ("PIL.Image", "python3-pil")}
LITTLE_MEMORY = 120e6  # bytes; a run takes about 100 MB
# of builtin operators, by TFLite's schema.fbs; those that digit-export writes
OPERATORS = {0: "ADD", 1: "AVERAGE_POOL_2D", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 18: "MUL", 22: "RESHAPE"}
OPERATORS |= {25: "SOFTMAX", 45: "STRIDED_SLICE", 53: "CAST", 114: "QUANTIZE"}


@dataclass(frozen=True)
class Wheels:
    """What a runtime is published for."""

    distribution: str
    pythons: tuple[int, int]  # first and last minor version of Python 3
    machines: tuple[str, ...]
    glibc: int  # 27 for 2.27, at least
    install: str


WHEELS = {
    "litert": Wheels("ai-edge-litert", (10, 14), ("x86_64", "aarch64"), 27, "pip install ai-edge-litert"),
    "tflite-runtime": Wheels(
        "tflite-runtime", (9, 11), ("x86_64", "aarch64", "armv7l"), 34, "pip install tflite-runtime 'numpy<2'"
    ),
}


@dataclass(frozen=True)
class Machine:
    """What decides which wheels can be installed."""

    kernel: str  # the kernel's machine, which pip takes for the userland's in a dependency's markers
    bits: int  # of the userland
    python: int  # minor version
    glibc: int  # minor version; 0 where it is another C library

    @property
    def userland(self) -> str:
        """The machine that wheels have to be for."""
        narrow = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
        return narrow.get(self.kernel, self.kernel) if self.bits == 32 else self.kernel

    @property
    def mixed(self) -> bool:
        """A 32-bit userland on a 64-bit kernel, as 32-bit Raspberry Pi OS is."""
        return self.bits == 32 and self.kernel in ("aarch64", "x86_64")

    @property
    def installable(self) -> list[Wheels]:
        """The runtimes that have a wheel here, in order of preference."""
        return [
            wheels
            for wheels in WHEELS.values()
            if wheels.pythons[0] <= self.python <= wheels.pythons[1]
            and self.userland in wheels.machines
            and self.glibc >= wheels.glibc
        ]


@dataclass(frozen=True)
class Diagnosis:
    """Lines to print; `fault` is '' where everything works, and `fix` where no command can."""

    lines: list[str]
    fault: str = ""
    fix: str = ""

    def __str__(self) -> str:
        last = {"fault": self.fault, "fix": self.fix}
        return "\n".join(self.lines + [f"{name:<15} {text}" for name, text in last.items() if text])


def this_machine() -> Machine:
    library, version = platform.libc_ver()
    glibc = int(version.split(".")[1]) if library == "glibc" else 0
    return Machine(platform.machine(), 64 if sys.maxsize > 2**32 else 32, sys.version_info.minor, glibc)


def examine(model: str, runtime: str | None) -> Diagnosis:
    """Look at everything that a run with this model needs; `runtime` as for find_engine."""
    machine = this_machine()
    lines = [
        f"digit-edge      {__version__}",
        f"machine         {machine.kernel} kernel, {machine.bits}-bit userland, glibc 2.{machine.glibc}",
        f"python          {platform.python_version()} ({sys.executable})",
        f"memory          {describe_memory()}",
    ]
    lines += [f"{name:<15} {installed(name, module)}" for name, module in {**NEEDED, "pyspng": "pyspng"}.items()]
    if missing := [name for name, module in NEEDED.items() if util.find_spec(module) is None]:
        if not machine.installable:
            return Diagnosis(lines, *no_wheel(list(WHEELS.values()), machine))
        command = f"{'linux32 ' * machine.mixed}pip install digit-edge"
        return Diagnosis(lines, f"{' and '.join(missing)} not installed", command)
    for name, (module, libraries) in COMPILED.items():
        if fault := engines.try_code(f"import {module}"):
            lacks_library = "shared object file" in fault
            fix = f"sudo apt install {libraries}" if lacks_library else f"pip install --force-reinstall {name}"
            return Diagnosis(lines, f"{name} cannot be loaded: {fault}", fix)
    try:
        return examine_runtimes(model, runtime, machine, lines)
    except DigitError as error:
        return Diagnosis(lines, str(error))


def installed(distribution: str, module: str) -> str:
    """The version, or that there is none."""
    if util.find_spec(module) is None:
        return "not installed"
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:  # Debian's and vendors' builds
        return "unknown version"


def describe_memory() -> str:
    """Of the machine, in MB."""
    try:
        pairs = (line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        kilobytes = {name: int(value.split()[0]) for name, value in pairs}
        total, free = kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError):
        return "unknown"
    little = "; a run takes 100 MB" if free < LITTLE_MEMORY else ""
    return f"{total / 1e6:,.0f} MB, {free / 1e6:,.0f} MB of it free{little}"


def examine_runtimes(model: str, runtime: str | None, machine: Machine, lines: list[str]) -> Diagnosis:
    """Try each runtime with the smallest model that ships; then the model with the first that works."""
    usable, faults = [], {}
    for candidate in engines.CANDIDATES:
        state = installed(candidate.distribution, candidate.module.split(".")[0])
        if state != "not installed":
            fault = faults[candidate.name] = engines.try_out(candidate.module, engines.SMALLEST.read_bytes())
            usable += [] if fault else [candidate]
            state += f", not usable: {fault}" if fault else ", works"
        lines.append(f"{candidate.name:<15} {state}")
    chosen = [candidate for candidate in usable if runtime in (None, candidate.name)]
    if not chosen:
        wanted = {name: fault for name, fault in faults.items() if runtime in (None, name)}
        return Diagnosis(lines, *fix_runtime(wanted, runtime, machine))
    return examine_model(model, chosen[0], machine, lines)


def fix_runtime(faults: dict[str, str], runtime: str | None, machine: Machine) -> tuple[str, str]:
    """What is wrong where no runtime can be used, and the command; `faults` are of those installed."""
    for name, fault in faults.items():
        if "numpy<2" in fault:
            return f"{name} was built for numpy 1", "pip install 'numpy<2'"
    wanted = [wheels for name, wheels in WHEELS.items() if runtime in (None, name)]
    possible = [wheels for wheels in machine.installable if wheels in wanted]
    if not possible and runtime != "tensorflow":
        return no_wheel(wanted, machine)
    if machine.mixed:
        return (
            f"a 32-bit userland on a 64-bit kernel: pip takes it for {machine.kernel} and finds no runtime",
            "linux32 pip install digit-edge",
        )
    if runtime == "tensorflow":
        return "no usable tensorflow", "pip install tensorflow"
    again = "--force-reinstall " * any(WHEELS.get(name) == possible[0] for name in faults)
    return "no usable TFLite runtime", possible[0].install.replace("install ", f"install {again}", 1)


def no_wheel(wanted: list[Wheels], machine: Machine) -> tuple[str, str]:
    """Say for which Pythons there are wheels; `uv` brings one along, where that is all that is missing."""
    published = "; ".join(
        f"{wheels.distribution} has them for 3.{wheels.pythons[0]} to 3.{wheels.pythons[1]} on "
        f"{', '.join(wheels.machines)} with glibc 2.{wheels.glibc} or newer"
        for wheels in wanted
    )
    fault = f"no wheel of a runtime for Python 3.{machine.python} on {machine.userland}: {published}"
    for wheels in wanted:
        if machine.userland in wheels.machines and machine.glibc >= wheels.glibc:
            plain = machine.bits == 32 or wheels == WHEELS["litert"]
            project = "digit-edge" if plain else "'digit-edge[tflite-runtime]'"
            return fault, f"pip install uv && uv tool install --python 3.{wheels.pythons[1]} {project}"
    return fault, ""


def examine_model(model: str, engine: engines.Engine, machine: Machine, lines: list[str]) -> Diagnosis:
    """Whether the runtime knows the model's operators and computes it rightly."""
    from digit_infer.bundle import read_bundle  # load numpy
    from digit_infer.classifier import Classifier, selftest

    bundle = read_bundle(model)
    needed = operators(bundle.content)
    lines.append(
        f"model           {bundle.name}, with operators {', '.join(f'{name} {number}' for name, number in needed)}"
    )
    if any(version < 1 for _, version in needed):  # they count from 1; a runtime would take it for a new operator
        return Diagnosis(lines, f"{bundle.name} is damaged; export or copy it again")
    if fault := engine.refusal(bundle.content):
        return Diagnosis(lines, f"{engine.name} {engine.version}: {fault}", fix_model(fault, engine.name, machine))
    classifier = Classifier(bundle, engine)
    verdict = selftest(classifier) if len(bundle.golden_input) else "works; no golden vectors"
    return Diagnosis([*lines, f"used            {engine.name} {engine.version}; {verdict}"])


def fix_model(fault: str, runtime: str, machine: Machine) -> str:
    """The command for a model that the runtime cannot run."""
    if "which the model needs" not in fault:
        return ""  # a damaged one has to be copied again, from where only the user knows
    if WHEELS["litert"] in machine.installable:
        return f"pip install {'--upgrade ' * (runtime == 'litert')}ai-edge-litert"
    return "digit-export MODEL.keras -o digits.tflite --quantize int8"


def operators(content: bytes) -> list[tuple[str, int]]:
    """The names and versions of the operators in a model file, as its flatbuffer lists them; [] for a damaged one."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], "little", signed=True)

    def field(table: int, place: int) -> int:
        """Where a table's field lies; 0 where it is left out for its default."""
        fields = table - number(table, 4)
        offset = number(fields + 4 + 2 * place, 2) if 4 + 2 * place < number(fields, 2) else 0
        return table + offset if offset else 0

    codes = field(number(0, 4), 1)
    start = codes + number(codes, 4)
    found = []
    for at in range(start + 4, min(start + 4 + 4 * number(start, 4), len(content)), 4):
        code = at + number(at, 4)
        old, version, new = field(code, 0), field(code, 2), field(code, 3)
        number_of = max(number(old, 1) if old else 0, number(new, 4) if new else 0)  # `new` holds what is above 127
        found.append((OPERATORS.get(number_of, f"operator-{number_of}"), number(version, 4) if version else 1))
    return found
