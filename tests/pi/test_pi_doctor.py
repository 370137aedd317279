"""What --doctor says on a Raspberry Pi that lacks something, each as it comes about there."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from benchmarks import userland

from digit_infer.doctor import Machine

pytestmark = pytest.mark.pi
# what Python sees on 32-bit Raspberry Pi OS, whose kernel has 64 bits since the Pi 4
KERNEL_OF_64_BITS = """
import os
real = os.uname
os.uname = lambda: os.uname_result((*real()[:4], "aarch64"))
"""


def mended_by(done):
    """The fault and the command that fixes it."""
    assert (done.returncode, done.stderr) == (1, "")
    fault, fix = (line.split(maxsplit=1) for line in done.stdout.splitlines()[-2:])
    assert (fault[0], fix[0]) == ("fault", "fix")
    return fault[1], fix[1]


@pytest.fixture
def without_runtime(pi):
    """A 32-bit Pi whose kernel has 64 bits, on which pip finds no runtime."""
    site = pi.folder / "usr/local/lib/python3.11/dist-packages"
    (pi.folder / "opt/kernel").mkdir(parents=True, exist_ok=True)
    (pi.folder / "opt/kernel/sitecustomize.py").write_text(KERNEL_OF_64_BITS)
    for path in site.glob("tflite_runtime*"):
        path.rename(pi.folder / "opt" / path.name)
    yield pi
    for path in (pi.folder / "opt").glob("tflite_runtime*"):
        path.rename(site / path.name)


def test_a_pi_as_pip_installs_it_is_healthy(pi):
    done = pi.run("--doctor")
    assert (done.returncode, done.stderr) == (0, "")
    bits = 32 if pi.target.architecture == "armhf" else 64
    assert f"{pi.target.machine} kernel, {bits}-bit userland, glibc 2.{pi.target.glibc}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"used            {pi.runtime} ")


@pytest.mark.parametrize("pi", ["arm64-bookworm"], indirect=True)
def test_numpy_2_with_tflite_runtime(pi):
    userland.install(pi.target, pi.folder, "--no-deps", "tflite-runtime", into="/opt/tflite")
    done = pi.finish(["digit-infer", "--doctor", "--runtime", "tflite-runtime"], env={"PYTHONPATH": "/opt/tflite"})
    assert mended_by(done) == ("tflite-runtime was built for numpy 1", "pip install 'numpy<2'")


@pytest.mark.parametrize("pi", ["armhf-bookworm"], indirect=True)
def test_a_32_bit_userland_on_a_64_bit_kernel(without_runtime):
    done = without_runtime.finish(["digit-infer", "--doctor"], env={"PYTHONPATH": "/opt/kernel"})
    fault, fix = mended_by(done)
    assert fault.startswith("a 32-bit userland on a 64-bit kernel")
    assert fix == "linux32 pip install digit-edge"


@pytest.mark.parametrize("pi", ["arm64-trixie"], indirect=True)
def test_no_wheel_for_this_python(pi):
    fault, fix = mended_by(pi.run("--doctor", "--runtime", "tflite-runtime"))
    assert fault.startswith(
        "no wheel of a runtime for Python 3.13 on aarch64: tflite-runtime has them for 3.9 to 3.11 on "
    )
    assert fix == "pip install uv && uv tool install --python 3.11 'digit-edge[tflite-runtime]'"


def test_a_model_with_operators_newer_than_the_runtime(pi, newer_model):
    shutil.copy(newer_model, pi.work)
    fault, fix = mended_by(pi.run("--doctor", "-m", newer_model.name))
    assert fault.startswith(f"{pi.runtime} ")
    assert fault.endswith("has no FULLY_CONNECTED version 99, which the model needs")
    assert ("digit-export" if pi.runtime == "tflite-runtime" else "pip install --upgrade ai-edge-litert") in fix


def pip_finds(target, machine, *requirements):
    """Whether pip finds wheels for these on the target, whose kernel has this name."""
    command = [*userland.pip_elsewhere(target, machine), "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--target", "nowhere", *userland.wheel_tags(target), *requirements]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"])
@pytest.mark.parametrize("name", ["arm64-bookworm", "armhf-bookworm"])
def test_pip_finds_the_wheels_that_the_doctor_knows_of_and_no_others(name, python):
    target = replace(userland.TARGETS[name], python=python)
    bits = 32 if target.architecture == "armhf" else 64
    machine = Machine(target.machine, bits, int(target.python.split(".")[1]), target.glibc)
    known = [wheels.distribution for wheels in machine.installable]
    found = [
        name for name in ("ai-edge-litert", "tflite-runtime") if pip_finds(target, target.machine, "--no-deps", name)
    ]
    assert found == known


def test_with_linux32_pip_finds_a_runtime_for_a_32_bit_userland_and_without_none(wheel, tmp_path):
    target = userland.TARGETS["armhf-bookworm"]
    for name, version in (("numpy", "1.24.2"), ("pillow", "9.4.0")):
        userland.stand_in(name, version, tmp_path)
    assert pip_finds(target, "armv8l", "--find-links", str(tmp_path), str(wheel))
    assert not pip_finds(target, "aarch64", "--find-links", str(tmp_path), str(wheel))
