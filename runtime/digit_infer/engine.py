"""Find a TFLite runtime that really works on this machine, before numpy and all else is loaded."""

import importlib
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path
from typing import Any

from digit_infer.errors import EngineError
from digit_infer.models import MODELS
from digit_infer.settings import RUNTIMES

SMALLEST = MODELS / "nano.tflite"
PATIENCE = 20  # seconds for a first run, imports included, on the slowest device; torn models can hang for ever
NOT_HERE = "import sys; sys.path = [*filter(None, sys.path)]\n"  # a folder of pictures may hold a numpy.py
# Importing is no proof: tflite-runtime 2.14 with numpy 2 imports and then fails, a wheel for another CPU dies.
PROBE = """
import importlib
interpreter = importlib.import_module(sys.argv[1]).Interpreter(model_content=sys.stdin.buffer.read())
interpreter.allocate_tensors()
interpreter.invoke()
"""


@dataclass(frozen=True)
class Engine:
    """A package that holds TFLite's interpreter; `skipped`: the broken ones that were tried before it, a line each."""

    name: str
    distribution: str
    module: str
    skipped: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        loaded = sys.modules.get(self.module.split(".")[0])
        if version := getattr(loaded, "__version__", None):
            return str(version)
        from importlib import metadata  # slow to load, and seldom needed

        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:  # Debian's and vendors' builds
            return "unknown"

    def refusal(self, content: bytes) -> str:
        """What is wrong with a model that no digest vouches for, or '': tflite-runtime does not survive a torn one."""
        return try_out(self.module, content)

    def interpreter(self, content: bytes) -> Any:
        """TFLite's interpreter for a model, on one thread: rows must not depend on how many cores there are."""
        return importlib.import_module(self.module).Interpreter(model_content=content, num_threads=1)


CANDIDATES = (
    Engine(RUNTIMES[0], "ai-edge-litert", "ai_edge_litert.interpreter"),
    Engine(RUNTIMES[1], "tflite-runtime", "tflite_runtime.interpreter"),
    Engine(RUNTIMES[2], "tensorflow", "tensorflow.lite.python.interpreter"),
)


def find_engine(name: str | None = None) -> Engine:
    """The first runtime that works, or the named one. Raises EngineError with what is missing and how to get it."""
    skipped: list[str] = []
    for candidate in CANDIDATES:
        if name not in (None, candidate.name):
            continue
        if util.find_spec(candidate.module.split(".")[0]) is None:
            skipped.append(f"{candidate.name}: not installed")
        elif fault := probe(candidate):
            skipped.append(f"{candidate.name}: {fault}")
        else:
            broken = tuple(line for line in skipped if not line.endswith("not installed"))
            return replace(candidate, skipped=broken)
    missing = " or ".join(candidate.distribution for candidate in CANDIDATES if name in (None, candidate.name))
    raise EngineError(f"no usable TFLite runtime ({'; '.join(skipped)}): pip install {missing}")


def probe(candidate: Engine) -> str:
    """Whether a runtime works with the smallest shipped model: what is wrong with it, or ''.

    A success is remembered beside the user's caches, so that a second start costs nothing.
    """
    runtime, numpy = installed_at(candidate.module.split(".")[0]), installed_at("numpy")
    identity = f"{candidate.name}-{runtime}-numpy-{numpy}-py{sys.hexversion:x}"
    with suppress(OSError, RuntimeError):  # no home, or one that may not be searched
        if (cache_folder() / identity).exists():
            return ""
    if fault := try_out(candidate.module, SMALLEST.read_bytes()):
        return fault
    with suppress(OSError, RuntimeError):  # a read-only system probes every time
        cache_folder().mkdir(parents=True, exist_ok=True)
        (cache_folder() / identity).touch()
    return ""


def installed_at(module: str) -> int:
    """When a module was, in ns."""
    spec = util.find_spec(module)
    return os.stat(spec.origin).st_mtime_ns if spec and spec.origin else 0


def try_out(module: str, model: bytes) -> str:
    """Run a model once; what went wrong, or ''."""
    return try_code(PROBE, module, stdin=model)


def try_code(code: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run Python in a process of its own, which a bad build or a bad file may kill; what went wrong, or ''."""
    import subprocess  # as above

    try:
        done = subprocess.run(
            [sys.executable, "-c", NOT_HERE + code, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return "does not come to an end"
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}"
    return explain(done.stderr.decode(errors="replace")) if done.returncode else ""


def explain(stderr: str) -> str:
    """One line for a failed probe."""
    if "_ARRAY_API" in stderr or "NumPy 1.x" in stderr:
        import numpy as np  # as above

        return f"built for numpy 1, found numpy {np.__version__}: pip install 'numpy<2'"
    if operator := re.search(r"opcode '(\w+)' version '(\d+)'", stderr):
        return f"has no {operator[1]} version {operator[2]}, which the model needs"
    return (stderr.strip().splitlines() or ["failed without a word"])[-1]


def cache_folder() -> Path:
    return Path.home() / ".cache" / "digit-edge"
