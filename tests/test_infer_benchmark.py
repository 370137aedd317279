"""--benchmark measures each step on the device, and says what the device tells of itself."""

import json
import re
from itertools import chain, count

import pytest
from click.testing import CliRunner

from digit_infer import benchmark
from digit_infer.bundle import read_bundle
from digit_infer.cli import main

STEPS = ["decode", "normalise", "invoke", "invoke, {} at once", "picture to row", "picture to row, {} at once"]


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_without_pictures_the_models_own_are_measured_as_table_and_as_json(tmp_path):
    result = infer("--benchmark", "-m", "nano", "--summary", tmp_path / "figures.json")
    assert (result.exit_code, result.stderr) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    together = len(read_bundle("nano").golden_input)
    assert [step["step"] for step in figures["steps"]] == [step.format(together) for step in STEPS]
    for step in figures["steps"]:
        assert 0 < step["min"] <= step["median"] <= step["p95"]
        row = rf"{re.escape(step['step'])} +{step['min']:.1f} +{step['median']:.1f} +{step['p95']:.1f}"
        assert re.search(rf"^{row}$", result.stdout, re.MULTILINE)
    assert 10e6 < figures["peak_memory"] < 10e9
    assert figures["model"] == "nano"


def test_pictures_that_are_named_are_measured_and_broken_ones_left_out(samples, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "b.png").write_bytes(next((samples / "digits/7").glob("*.png")).read_bytes())
    assert "the first 1 pictures of" in infer("--benchmark", tmp_path, "-m", "nano").stdout
    (tmp_path / "b.png").unlink()
    result = infer("--benchmark", tmp_path, "-m", "nano")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def test_every_picture_has_its_turn_and_warming_up_is_not_measured(monkeypatch):
    clock, turns = chain(range(0, 90, 9), count(90, 0.5)), []  # two looks at it for each turn
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    spread = benchmark.measure("step", turns.append, iter(range(1000)), pictures=5)
    assert turns == list(range(benchmark.WARM_UP + benchmark.RUNS))
    assert (spread.min, spread.median, spread.p95) == (1e5, 1e5, 1e5)


def test_a_model_without_golden_vectors_asks_for_pictures(tmp_path):
    bundle = read_bundle("nano")
    (tmp_path / "bare.tflite").write_bytes(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    result = infer("--benchmark", "-m", tmp_path / "bare.tflite")
    assert result.exit_code == 1
    assert "carries no golden vectors; name pictures" in result.stderr


def test_what_a_pi_tells_of_itself(tmp_path, monkeypatch):
    for name, content in {"DEVICE": "Raspberry Pi 4\0", "THERMAL": "48312\n", "THROTTLED": "50005\n"}.items():
        (tmp_path / name).write_text(content)
        monkeypatch.setattr(benchmark, name, tmp_path / name)
    assert benchmark.device() == "Raspberry Pi 4"
    assert benchmark.temperature() == 48.312
    assert benchmark.throttling() == (
        *("under-voltage now", "throttled now"),
        *("under-voltage since the start", "throttled since the start"),
    )
    (tmp_path / "THROTTLED").write_text("0\n")
    assert benchmark.throttling() == ()
    result = infer("--benchmark", "-m", "nano")
    assert result.stdout.endswith("temperature 48.3 °C before, 48.3 °C after; throttling none\n")


@pytest.mark.parametrize("content", [None, "", "warm"], ids=repr)
def test_what_a_device_does_not_tell_is_unknown(content, tmp_path, monkeypatch):
    for name in ("THERMAL", "THROTTLED"):
        if content is not None:
            (tmp_path / name).write_text(content)
        monkeypatch.setattr(benchmark, name, tmp_path / name)
    assert benchmark.temperature() is None
    assert benchmark.throttling() is None
