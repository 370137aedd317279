"""--doctor names what is missing on a machine, and the one command that fixes it."""

import os
import subprocess
import sys
from pathlib import Path

import click
import numpy
import pytest
from click.testing import CliRunner

from digit_infer import doctor
from digit_infer.bundle import SHIPPED, read_bundle
from digit_infer.classifier import Classifier
from digit_infer.cli import main
from digit_infer.doctor import Machine, examine, operators

PI64 = Machine("aarch64", 64, 11, 36)
PI32 = Machine("armv7l", 32, 11, 36)
FOR_NUMPY_1 = "import sys\nsys.stderr.write('AttributeError: _ARRAY_API not found\\n')\nraise ImportError('numpy')\n"
KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
BROKEN = {
    "numpy 2 with tflite-runtime": (
        PI32,
        {"tflite-runtime": FOR_NUMPY_1},
        "tflite-runtime was built for numpy 1",
        "pip install 'numpy<2'",
    ),
    "no wheel for this Python": (
        Machine("armv7l", 32, 13, 41),
        {},
        "no wheel of a runtime for Python 3.13 on armv7l",
        "pip install uv && uv tool install --python 3.11 digit-edge",
    ),
    "a Python newer than all wheels": (
        Machine("aarch64", 64, 15, 41),
        {},
        "no wheel of a runtime for Python 3.15 on aarch64",
        "pip install uv && uv tool install --python 3.14 digit-edge",
    ),
    "32 bits on a 64-bit kernel": (
        Machine("aarch64", 32, 11, 36),
        {},
        "a 32-bit userland on a 64-bit kernel",
        "linux32 pip install digit-edge",
    ),
    "nothing installed": (PI64, {}, "no usable TFLite runtime", "pip install ai-edge-litert"),
    "nothing installed, 32 bits": (
        PI32,
        {},
        "no usable TFLite runtime",
        "pip install tflite-runtime 'numpy<2'",
    ),
    "built for another CPU": (
        PI64,
        {"litert": KILLED},
        "no usable TFLite runtime",
        "pip install --force-reinstall ai-edge-litert",
    ),
    "no glibc": (Machine("aarch64", 64, 11, 0), {}, "with glibc 2.27 or newer", None),
    "another kind of machine": (Machine("riscv64", 64, 11, 36), {}, "on riscv64", None),
}


@pytest.fixture
def on(install, monkeypatch):
    """on(machine, **sources of runtimes) makes this machine another."""

    def pretend(machine, **sources):
        monkeypatch.setattr(doctor, "this_machine", lambda: machine)
        install(**{"litert": None, "tflite-runtime": None} | sources)

    return pretend


def test_a_healthy_machine_is_told_what_would_be_used(classifier):
    result = CliRunner().invoke(main, ["--doctor", "-m", "small"])
    assert result.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["numpy"] == numpy.__version__
    assert lines["python"].startswith("3.")
    assert "FULLY_CONNECTED 4" in lines["model"]
    assert lines[classifier.engine.name] == f"{classifier.engine.version}, works"
    assert "golden vectors of small on" in lines["used"]
    assert {"fault", "fix"}.isdisjoint(lines)


@pytest.mark.parametrize(("machine", "runtimes", "fault", "command"), BROKEN.values(), ids=BROKEN)
def test_a_broken_machine_is_told_what_is_wrong_and_one_command(machine, runtimes, fault, command, on):
    on(machine, **runtimes)
    result = CliRunner().invoke(main, ["--doctor"])
    assert (result.exit_code, result.stderr) == (1, "")
    *_, last = lines = result.stdout.splitlines()
    if command:
        assert last == f"fix             {command}"
        last = lines[-2]
    assert last.startswith("fault  ")
    assert fault in last


def test_a_runtime_that_is_asked_for_is_the_one_examined(on):
    on(PI64, litert="raise ImportError('torn')\n")
    assert examine("nano", "tflite-runtime").fix == "pip install tflite-runtime 'numpy<2'"
    assert examine("nano", "litert").fix == "pip install --force-reinstall ai-edge-litert"


@pytest.mark.parametrize(
    ("machine", "command"),
    [(PI64, "ai-edge-litert"), (PI32, "digit-export MODEL.keras -o digits.tflite --quantize int8")],
    ids=["64 bits", "32 bits"],
)
def test_a_model_with_operators_newer_than_the_runtime_is_named_with_the_operator(
    machine, command, newer_model, classifier, monkeypatch
):
    monkeypatch.setattr(doctor, "this_machine", lambda: machine)
    found = examine(str(newer_model), classifier.engine.name)
    assert "FULLY_CONNECTED 99" in found.lines[-1]
    assert "has no FULLY_CONNECTED version 99, which the model needs" in found.fault
    assert found.fix.endswith(command)


def test_a_model_that_no_run_would_take_does_not_work(tmp_path, monkeypatch):
    nano, bare = read_bundle("nano"), tmp_path / "bare.tflite"
    bare.write_bytes(nano.content[: nano.contract["flatbuffer"]["bytes"]])
    assert "works; no golden vectors" in str(examine(str(bare), None))
    monkeypatch.setattr(Classifier, "estimate", lambda self, pixels: numpy.full((len(pixels), 10), 2.0))
    assert examine(str(bare), None).fault == f"{bare} gives no probabilities; let it end in a softmax"


def test_a_model_cut_off_during_copying_is_damaged_and_no_command_mends_that(tmp_path):
    path = tmp_path / "cut.tflite"
    content = read_bundle("nano").content
    for length in (100, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:length])
        result = CliRunner().invoke(main, ["--doctor", "-m", str(path)])
        assert result.exit_code == 1
        assert result.stdout.splitlines()[-1].startswith("fault  ")


def test_without_numpy_and_pillow_it_says_so():
    paths = [Path(click.__file__).parent.parent, Path(doctor.__file__).parent.parent]
    code = (
        "import sys; sys.path = [path for path in sys.path if 'site-packages' not in path] + sys.argv[1:];"
        "import importlib.util as u; real = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name in ('numpy', 'PIL') else real(name, *rest);"
        "sys.modules['numpy'] = sys.modules['PIL'] = None; sys.argv[1:] = ['--doctor'];"
        "from digit_infer.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "numpy and pillow not installed" in done.stdout
    assert done.stdout.endswith("pip install digit-edge\n")


@pytest.mark.parametrize(
    ("package", "fault", "command"),
    [
        ("numpy", "libopenblas.so.0: cannot open shared object file", "sudo apt install libopenblas0"),
        ("PIL", "libopenjp2.so.7: cannot open shared object file", "sudo apt install python3-pil"),
        ("PIL", "cannot import name '_imaging'", "pip install --force-reinstall pillow"),
    ],
    ids=["a library for numpy", "a library for Pillow", "half a Pillow"],
)
def test_a_package_that_cannot_be_loaded_is_named_with_the_reason(package, fault, command, tmp_path, monkeypatch):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f'raise ImportError("{fault}")')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = examine("nano", None)
    assert found.fault.endswith(f"cannot be loaded: ImportError: {fault}")
    assert found.fix == command


@pytest.mark.parametrize("machine", [PI32, Machine("armv8l", 32, 11, 36), Machine("aarch64", 32, 11, 36)], ids=str)
def test_a_32_bit_userland_takes_32_bit_wheels_whatever_the_kernel(machine):
    assert machine.userland == "armv7l"
    assert [wheels.distribution for wheels in machine.installable] == ["tflite-runtime"]


def test_memory_is_told_and_too_little_of_it_said(monkeypatch):
    kilobytes = "MemTotal: 439000 kB\nMemFree: 9 kB\nMemAvailable: {} kB\n"
    monkeypatch.setattr(Path, "read_text", lambda _: kilobytes.format(300_000))
    assert doctor.describe_memory() == "450 MB, 307 MB of it free"
    monkeypatch.setattr(Path, "read_text", lambda _: kilobytes.format(30_000))
    assert doctor.describe_memory() == "450 MB, 31 MB of it free; a run takes 100 MB"


@pytest.mark.parametrize("length", [0, 8, 100, 1000])
def test_the_operators_of_a_torn_model_are_no_reason_to_fail(length):
    assert len(operators(os.urandom(length))) <= length


def test_the_operators_are_those_of_the_model():
    assert operators(read_bundle("nano").content)[0] == ("QUANTIZE", 1)
    assert ("AVERAGE_POOL_2D", 2) in operators(read_bundle("nano").content)


@pytest.mark.parametrize("model", SHIPPED)
def test_every_operator_of_a_shipped_model_has_a_name(model):
    assert not [name for name, _ in operators(read_bundle(model).content) if name.startswith("operator-")]
