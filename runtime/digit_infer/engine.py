"""Find a TFLite runtime that really works on this machine."""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata, resources, util
from pathlib import Path
from typing import Any

from digit_infer.errors import EngineError


@dataclass(frozen=True)
class Candidate:
    """One of the packages that hold TFLite's interpreter."""

    name: str
    distribution: str
    module: str


CANDIDATES = (
    Candidate("litert", "ai-edge-litert", "ai_edge_litert.interpreter"),
    Candidate("tflite-runtime", "tflite-runtime", "tflite_runtime.interpreter"),
    Candidate("tensorflow", "tensorflow", "tensorflow.lite.python.interpreter"),
)
NAMES = tuple(candidate.name for candidate in CANDIDATES)
# Importing is no proof: tflite-runtime 2.14 with numpy 2 imports and then fails, a wheel for another CPU dies.
PROBE = """
import importlib, sys
interpreter = importlib.import_module(sys.argv[1]).Interpreter(model_path=sys.argv[2])
interpreter.allocate_tensors()
interpreter.invoke()
"""


@dataclass(frozen=True)
class Engine:
    """A runtime that passed the probe, and what was passed over on the way to it, a line each."""

    name: str
    version: str
    module: str
    skipped: tuple[str, ...] = ()

    def interpreter(self, content: bytes) -> Any:
        """TFLite's interpreter for a model, on one thread: rows must not depend on how many cores there are."""
        return importlib.import_module(self.module).Interpreter(model_content=content, num_threads=1)


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
            return Engine(candidate.name, version_of(candidate), candidate.module, broken)
    raise EngineError(f"no usable TFLite runtime ({'; '.join(skipped)}): pip install ai-edge-litert, or on 32-bit ARM "
                      "pip install tflite-runtime 'numpy<2'")  # fmt: skip


def version_of(candidate: Candidate) -> str:
    try:
        return metadata.version(candidate.distribution)
    except metadata.PackageNotFoundError:  # Debian's and vendors' builds
        return "unknown"


def probe(candidate: Candidate) -> str:
    """Run the smallest shipped model once in a process of its own, which a bad build may kill; the fault, or ''.

    A success is remembered beside the user's caches, so that a second start costs nothing.
    """
    identity = f"{candidate.name}-{version_of(candidate)}-numpy{metadata.version('numpy')}-py{sys.hexversion:x}"
    stamp = cache_folder() / f"{identity}.works"
    if stamp.exists():
        return ""
    with resources.as_file(resources.files("digit_infer").joinpath("models", "nano.tflite")) as model:
        command = [sys.executable, "-c", PROBE, candidate.module, str(model)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return f"killed by signal {-done.returncode} (a build for another CPU?)"
    if done.returncode:
        return explain(done.stderr)
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    except OSError:  # a read-only system probes every time
        pass
    return ""


def explain(stderr: str) -> str:
    """One line for a failed probe."""
    if "_ARRAY_API" in stderr or "NumPy 1.x" in stderr:
        return f"built for numpy 1, found numpy {metadata.version('numpy')}: pip install 'numpy<2'"
    return (stderr.strip().splitlines() or ["failed without a word"])[-1]


def cache_folder() -> Path:
    return Path.home() / ".cache" / "digit-edge"
