"""A Raspberry Pi's userlands with the project installed, and a folder of pictures to read in each."""

import io
import os
import shutil
import subprocess
import sys
from functools import partial

import pytest
from benchmarks import userland
from PIL import Image, ImageOps

MODELS = ("base", "small", "nano")


@pytest.fixture(scope="session", autouse=True)
def able():
    """Skip, with the reason, where no userland can be built."""
    if fault := userland.missing():
        pytest.skip(fault)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory, able):
    """The project's wheel."""
    return userland.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def pictures(samples, tmp_path_factory):
    """200 pictures: the samples, some of them anew as dark ink in JPEG and as large PNG, and three that are broken."""
    folder = tmp_path_factory.mktemp("pictures") / "pictures"
    shutil.copytree(samples, folder, ignore=lambda *_: {"README.md", "make_samples.py", "pi"})
    digits = sorted((folder / "digits").rglob("*.png"))
    for path in digits[:34]:
        ImageOps.invert(Image.open(path)).resize((90, 90)).save(folder / f"{path.stem}.jpg")
    for path in digits[40:73]:
        Image.open(path).resize((300, 300)).save(folder / path.name)
    (folder / "cut.png").write_bytes(digits[0].read_bytes()[:150])
    buffer = io.BytesIO()
    Image.open(digits[1]).resize((280, 280)).save(buffer, "JPEG")
    (folder / "cut.jpg").write_bytes(buffer.getvalue()[:2000])
    (folder / "text.png").write_text("no picture")
    assert sum(path.is_file() for path in folder.rglob("*")) == 200
    return folder


class Machine:
    """Where digit-infer runs, in a folder that holds `pictures`; `start` takes a command, and options as Popen does."""

    def __init__(self, runtime, work, python, infer, start):
        self.runtime, self.work, self.start = runtime, work, start
        self.python, self.infer = python, infer

    def run(self, *arguments):
        """digit-infer with these arguments, to its end."""
        return self.finish([*self.infer, *map(str, arguments)])

    def run_script(self, script, *arguments):
        """A Python script of the tests."""
        shutil.copy(script, self.work)
        return self.finish([*self.python, script.name, *arguments])

    def finish(self, command, **options):
        with self.start(command, **options) as process:
            stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(command, process.returncode, stdout.decode(), stderr.decode())


def machine_inside(target, folder, pictures):
    """A userland as a machine."""
    shutil.copytree(pictures, folder / "work/pictures")
    runtime = "tflite-runtime" if target.architecture == "armhf" else "litert"
    start = partial(userland.start, target, folder)
    machine = Machine(runtime, folder / "work", ["/usr/bin/python3"], ["digit-infer"], start)
    machine.target, machine.folder = target, folder
    return machine


@pytest.fixture(scope="session", params=["arm64-bookworm", "armhf-bookworm", "arm64-trixie"])
def pi(request, wheel, pictures, tmp_path_factory):
    """A userland with what pip would install there, and nothing else."""
    target = userland.TARGETS[request.param]
    folder = tmp_path_factory.mktemp("userlands") / target.name
    userland.build(target, folder, f"{wheel}[watch]")
    yield machine_inside(target, folder, pictures)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def hosts(pictures, tmp_path_factory):
    """This machine by the runtime's name: as it is, and with what 32-bit ARM has, which needs Python 3.11."""
    site = tmp_path_factory.mktemp("tflite")
    # Pillow 13 scales some pictures to other levels than those before it, by 1 of 255
    versions = ["tflite-runtime==2.14.0", "numpy==1.24.2", "pillow==9.4.0"]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, *versions]
    subprocess.run(install, check=True, capture_output=True)

    def machine(runtime, *path):
        path = os.pathsep.join([*map(str, path), str(userland.ROOT / "runtime")])
        options = {"cwd": pictures.parent, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        start = partial(subprocess.Popen, env=os.environ | {"PYTHONPATH": path}, **options)
        infer = [sys.executable, "-m", "digit_infer", "--runtime", runtime]
        return Machine(runtime, pictures.parent, [sys.executable], infer, start)

    return {"litert": machine("litert"), "tflite-runtime": machine("tflite-runtime", site)}


@pytest.fixture(scope="session")
def host(pi, hosts):
    """This machine with the runtime that the Pi has."""
    return hosts[pi.runtime]
