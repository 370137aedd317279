"""Archives and arrays made in memory, and what is found in them; for the tests of both."""

import io
import struct
import tarfile
import zipfile

import numpy as np
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.errors import ImageError
from digit_infer.sources import find_images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def found_in(path):
    """(path below the archive, what is wrong with it or '') of everything found in an archive, all of it read."""
    results = []
    for found in find_images([str(path)]):
        try:
            assert found.read().dtype == np.uint8
            reason = ""
        except ImageError as error:
            reason = str(error)
        results.append((found.path.removeprefix(str(path)), reason))
    return results


def zip_of(members, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tar_of(members, mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def idx(pixels):
    return struct.pack(f">HBB{pixels.ndim}I", 0, 8, pixels.ndim, *pixels.shape) + pixels.tobytes()
