"""Fixtures that the tests share."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from watching import Inbox

import digit_infer
from digit_infer import engine
from digit_infer.bundle import read_bundle, write_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import Engine, find_engine

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Commands that the tests start hear Ctrl-C, also where a shell that runs the tests behind itself ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def classifier():
    """The default model on the first runtime that works here."""
    return Classifier(read_bundle("base"), find_engine())


@pytest.fixture(scope="session")
def samples():
    """The folder of samples: digits/ and harder/."""
    return ROOT / "samples"


@pytest.fixture(scope="session")
def sample_files(samples):
    """The 100 files of samples/digits, ten of each class, sorted by class."""
    return sorted((samples / "digits").glob("*/*.png"))


@pytest.fixture(scope="session")
def png(sample_files):
    """The content of one of them."""
    return sample_files[0].read_bytes()


@pytest.fixture(scope="session")
def sample_pixels(sample_files):
    """(100, 28, 28), uint8, light on dark."""
    return np.stack([np.asarray(Image.open(path)) for path in sample_files])


@pytest.fixture(scope="session")
def sample_labels(sample_files):
    """(100,), 0-9."""
    return np.array([int(path.parent.name) for path in sample_files])


@pytest.fixture(scope="session")
def worse_model(tmp_path_factory):
    """The base model with a third of its weights overwritten: other answers from a file that is whole."""
    bundle = read_bundle("base")
    flatbuffer = bytearray(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    start, end = int(len(flatbuffer) * 0.65), int(len(flatbuffer) * 0.95)  # within one layer's weights
    flatbuffer[start:end] = np.random.default_rng(0).integers(0, 256, end - start, np.uint8).tobytes()
    path = tmp_path_factory.mktemp("model") / "worse.tflite"
    path.write_bytes(write_bundle(bytes(flatbuffer), bundle.contract, (bundle.golden_input, bundle.golden_output)))
    return path


@pytest.fixture(scope="session")
def start_cli():
    """Start digit-infer in a process of its own: start_cli(*arguments, **options of subprocess.Popen), bytes out."""
    package = str(Path(digit_infer.__file__).resolve().parent.parent)

    def start(*arguments, env=None, **options):
        command = [sys.executable, "-m", "digit_infer", *arguments]
        environment = os.environ | {"PYTHONPATH": package} | (env or {})
        environment.pop("PYTHONUNBUFFERED", None)  # it would hide that a flush is missing
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment, **(pipes | options))

    return start


@pytest.fixture(scope="session")
def run_cli(start_cli):
    """As `start_cli`, and wait for the end: run_cli(*arguments, input=bytes, **options) as from subprocess.run."""

    def run(*arguments, input=None, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        with start_cli(*arguments, **options) as process:
            try:
                stdout, stderr = process.communicate(input, timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    return run


@pytest.fixture(scope="session")
def time_limit():
    """`with time_limit(seconds)` fails the test where the body hangs, for instance on a named pipe."""

    @contextmanager
    def limited(seconds):
        def late(*_):
            pytest.fail(f"still not done after {seconds} s")

        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return limited


@pytest.fixture(scope="session")
def tiny(samples, tmp_path_factory):
    """An .npz with Keras' names made of the samples: 300 training pictures, 100 test pictures."""
    paths = sorted((samples / "digits").glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    labels = np.array([int(path.parent.name) for path in paths], np.uint8)
    shifted = [np.roll(images, step, axis=2) for step in (-1, 0, 1)]
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, x_train=np.concatenate(shifted), y_train=np.tile(labels, 3), x_test=images, y_test=labels)
    return path


@pytest.fixture(scope="session")
def digits(tiny):
    """The same, as the trainer takes it."""
    from digit_train.data import load  # TensorFlow, which the runtime's tests do without

    return load(str(tiny))


@pytest.fixture
def foreign_keras(tmp_path):
    """An environment in which Keras is configured for other work."""
    config = {"floatx": "float64", "epsilon": 1e-7, "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(config))
    return os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of its own, so that no earlier probe is remembered."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def install(home, tmp_path, monkeypatch):
    """install(name=source, ...) makes these the only candidates, in this order; None for one that is not there."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), *filter(None, sys.path)]))
    monkeypatch.syspath_prepend(site)

    def put(**sources):
        for name, source in sources.items():
            if source is not None:
                (site / f"fake_{name}.py").write_text(source)
        candidates = tuple(Engine(name, f"fake-{name}", f"fake_{name}") for name in sources)
        monkeypatch.setattr(engine, "CANDIDATES", candidates)

    return put


@pytest.fixture(scope="session")
def newer_model(tmp_path_factory):
    """The base model as an exporter of years to come might write it: FULLY_CONNECTED in version 99."""
    bundle = read_bundle("base")
    flatbuffer = bytearray(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    flatbuffer[flatbuffer.rindex(b"\x09\0\0\0\x04\0\0\0") + 4] = 99  # operator 9, version 4
    path = tmp_path_factory.mktemp("newer") / "newer.tflite"
    path.write_bytes(write_bundle(bytes(flatbuffer), bundle.contract, (bundle.golden_input, bundle.golden_output)))
    return path


@pytest.fixture
def inbox(tmp_path, start_cli):
    """An empty one; its watcher ends with the test."""
    inbox = Inbox(tmp_path, start_cli)
    yield inbox
    if inbox.process and inbox.process.poll() is None:
        inbox.process.kill()
        inbox.process.communicate()


@pytest.fixture
def with_site(tmp_path):
    """with_site(source) is an environment in which Python runs this at its start."""

    def make(source):
        (tmp_path / "site").mkdir()
        (tmp_path / "site/sitecustomize.py").write_text(source)
        runtime = os.path.dirname(os.path.dirname(digit_infer.__file__))
        return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), runtime])}

    return make
