"""How fast a device reads digits, step by step, in the manner of TFLite's benchmark_model: warm up, run, sum up."""

import io
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digit_infer import __version__
from digit_infer.bundle import Bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import Engine
from digit_infer.errors import ImageError, InputError
from digit_infer.found import Found
from digit_infer.normalise import normalise_all
from digit_infer.pipeline import Reader
from digit_infer.sinks import csv_text
from digit_infer.sources import find_images
from digit_infer.stream import Batch

WARM_UP, RUNS = 5, 50
PICTURES = 64  # at most, and so many at once
DEVICE = Path("/proc/device-tree/model")
THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
# bits of the Raspberry Pi's get_throttled; 16 higher: since the start
THROTTLING = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}


@dataclass(frozen=True)
class Spread:
    """Of a step's time for one picture, in microseconds."""

    step: str
    min: float
    median: float
    p95: float


@dataclass(frozen=True)
class Benchmark:
    """What was measured; memory in bytes, temperatures in degrees Celsius, None where the device does not tell."""

    version: str
    machine: str
    python: str
    model: str
    runtime: str
    pictures: str
    load_ms: float
    steps: tuple[Spread, ...]
    peak_memory: int
    temperature_before: float | None
    temperature_after: float | None
    throttling: tuple[str, ...] | None

    def table(self) -> str:
        """For a terminal."""
        lines = [
            f"digit-infer {self.version} on {self.machine}, Python {self.python}; {self.model} on {self.runtime}",
            f"{self.pictures}; {WARM_UP} runs to warm up, {RUNS} measured",
            f"{'us per picture':<28}{'min':>10}{'median':>10}{'p95':>10}",
        ]
        lines += [f"{step.step:<28}{step.min:>10.1f}{step.median:>10.1f}{step.p95:>10.1f}" for step in self.steps]
        degrees = "unknown"
        if self.temperature_before is not None and self.temperature_after is not None:
            degrees = f"{self.temperature_before:.1f} °C before, {self.temperature_after:.1f} °C after"
        throttling = "unknown" if self.throttling is None else ", ".join(self.throttling) or "none"
        return "\n".join(
            [
                *lines,
                f"runtime and model loaded in {self.load_ms:.0f} ms; memory at most {self.peak_memory / 1e6:.0f} MB",
                f"temperature {degrees}; throttling {throttling}",
            ]
        )


def benchmark(inputs: list[str], bundle: Bundle, engine: Engine) -> Benchmark:
    """Measure with the first pictures of the inputs, or without any with the model's golden vectors as PNG files."""
    before, since = temperature(), time.perf_counter()
    classifier = Classifier(bundle, engine)
    classifier.invoke(np.zeros((1, 28, 28), np.uint8))
    load = time.perf_counter() - since
    found, described = readable_pictures(inputs) if inputs else golden_pictures(bundle)
    levels = [one.read() for one in found]
    pixels = normalise_all(levels, len(levels)).pixels
    reader = Reader(classifier, bundle.min_confidence, lambda path: None, csv_text)
    count, ones = len(found), cycle(range(len(found)))
    together = f", {count} at once"
    steps = (
        measure("decode", lambda i: found[i].read(), ones),
        measure("normalise", lambda i: normalise_all([levels[i]], 1), ones),
        measure("invoke", lambda i: classifier.invoke(pixels[i : i + 1]), ones),
        measure(f"invoke{together}", lambda _: classifier.invoke(pixels), ones, count),
        measure("picture to row", lambda i: reader(Batch([found[i]])), ones),
        measure(f"picture to row{together}", lambda _: reader(Batch([*found])), ones, count),
    )
    return Benchmark(
        __version__,
        device(),
        platform.python_version(),
        bundle.name,
        f"{engine.name} {engine.version}",
        described,
        1000 * load,
        steps,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        before,
        temperature(),
        throttling(),
    )


def readable_pictures(inputs: list[str]) -> tuple[list[Found], str]:
    """The first that can be read, and what they are."""
    found: list[Found] = []
    for one in islice(find_images(inputs), 10 * PICTURES):
        try:
            one.read()
        except ImageError:
            continue
        found.append(one)
        if len(found) == PICTURES:
            break
    if not found:
        raise InputError("no picture there that can be read; name others, or none for the model's own")
    return found, f"the first {len(found)} pictures of {', '.join(inputs)}"


def golden_pictures(bundle: Bundle) -> tuple[list[Found], str]:
    """The model's golden vectors as files of PNG."""
    if not len(bundle.golden_input):
        raise InputError(f"{bundle.name} carries no golden vectors; name pictures to measure with")
    return [Found("", png(pixels)) for pixels in bundle.golden_input], (
        f"{len(bundle.golden_input)} golden vectors of the model as PNG"
    )


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def measure(step: str, work: Callable[[int], object], ones: "cycle[int]", pictures: int = 1) -> Spread:
    """Time `work` on one picture after the other; where it works on more of them at once, for each of these."""
    times = []
    for _ in range(WARM_UP + RUNS):
        one, since = next(ones), time.perf_counter()
        work(one)
        times.append(1e6 * (time.perf_counter() - since) / pictures)
    measured = times[WARM_UP:]
    return Spread(step, min(measured), float(np.median(measured)), float(np.percentile(measured, 95)))


def device() -> str:
    """The board's name, such as Raspberry Pi 4 Model B Rev 1.4, or else the kind of processor."""
    try:
        return DEVICE.read_text().rstrip("\0")
    except OSError:
        return platform.machine()


def temperature() -> float | None:
    """Of the processor, in degrees Celsius."""
    try:
        return int(THERMAL.read_text()) / 1000
    except (OSError, ValueError):
        return None


def throttling() -> tuple[str, ...] | None:
    """What a Raspberry Pi's firmware says has slowed it down, now or since it was started."""
    try:
        bits = int(THROTTLED.read_text(), 16)
    except (OSError, ValueError):
        return None
    now = [f"{name} now" for bit, name in THROTTLING.items() if bits >> bit & 1]
    return (*now, *(f"{name} since the start" for bit, name in THROTTLING.items() if bits >> bit + 16 & 1))
