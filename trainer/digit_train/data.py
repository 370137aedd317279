"""Data sets to train on: MNIST, a folder with a sub-folder per digit, or an .npz with Keras' names."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digit_infer.decode import read_picture
from digit_infer.errors import DataError, ImageError, InputError
from digit_infer.files import read_npz
from digit_infer.normalise import normalise
from digit_infer.sources import find_images
from digit_train.mnist import load_mnist

NAMED = 5  # faults in a message
NAMES = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Digits:
    """Images (n, 28, 28), uint8, light on dark; labels (n,), uint8, 0-9."""

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.uint8]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.uint8]

    def digest(self) -> str:
        """SHA-256 over all four arrays."""
        return hashlib.sha256(b"".join(getattr(self, name).tobytes() for name in NAMES)).hexdigest()


def load(source: str, note: Callable[[str], object] = lambda line: None) -> Digits:
    """Load `mnist`, a folder or an .npz file; `note` hears what of a folder is passed over.

    Raises DataError with the line to show.
    """
    if source == "mnist":
        return Digits(**load_mnist())
    path = Path(source)
    if path.is_dir():
        return load_folder(path, note)
    if path.suffix.lower() == ".npz" and path.is_file():
        return load_npz(path)
    raise DataError(f"--data {source}: not 'mnist', a folder or an .npz file")


def load_npz(path: Path) -> Digits:
    """Read x_train, y_train, x_test, y_test: images (n, 28, 28), uint8, light on dark; labels (n,), whole numbers 0-9.

    They are taken as they are, so raises DataError where all are dark, or most dark on light.
    """
    try:
        file = read_npz(path)
        arrays = {name: file[name] for name in NAMES}
    except (InputError, KeyError) as error:
        raise DataError(f"{path}: not an .npz with {', '.join(NAMES)} ({error})") from error
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if images.shape[1:] != (28, 28) or images.dtype != np.uint8:
            raise DataError(f"{path}: x_{part} is {images.dtype} {images.shape}, need uint8 (n, 28, 28)")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DataError(f"{path}: y_{part} is {labels.dtype} {labels.shape}, need {len(images)} whole numbers")
        check_classes(labels, f"{path}: y_{part}")
        if images.max() < 128:
            raise DataError(f"{path}: x_{part} has no level above {images.max()}; give grey levels from 0 to 255")
        if np.median(np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])) > 127:  # of the rims
            raise DataError(f"{path}: x_{part} is dark on light; give it light on dark, 255 - x_{part}")
        arrays[f"y_{part}"] = labels.astype(np.uint8)
    return Digits(**arrays)


def load_folder(folder: Path, note: Callable[[str], object]) -> Digits:
    """Read folder/0 to folder/9 with the reader and normaliser that ship; every sixth picture of a class is test."""
    images: dict[str, list[NDArray[np.uint8]]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    faults, skipped = list[str](), list[str]()
    digits = [digit for digit in range(10) if (folder / str(digit)).is_dir()]
    if not digits:
        raise DataError(f"{folder} has no sub-folders 0 to 9")
    for digit in digits:
        for number, found in enumerate(find_images([str(folder / str(digit))], skipped.append)):
            try:
                pixels, reason = normalise(read_picture(Path(found.path)))
            except ImageError as error:
                reason = str(error)
            if reason:
                faults.append(f"{found.path}: {reason}")
                continue
            part = "test" if number % 6 == 5 else "train"
            images[part].append(pixels)
            labels[part].append(digit)
    if faults:
        more = f", and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        raise DataError(f"{', '.join(faults[:NAMED])}{more}; fix or remove {'them' if faults[1:] else 'it'}")
    for part, which in (("train", ""), ("test", ", every sixth picture of a class,")):
        check_classes(np.array(labels[part], int), f"{folder}: {part} part{which}")
    if skipped:
        note(f"passed over {len(skipped)} other files in {folder}, first {skipped[0]}")
    arrays = {f"x_{part}": np.stack(images[part]) for part in images}
    return Digits(**arrays, **{f"y_{part}": np.array(labels[part], np.uint8) for part in labels})


def check_classes(labels: NDArray[np.integer], where: str) -> None:
    if labels.size and (labels.min() < 0 or labels.max() > 9):
        raise DataError(f"{where} holds labels outside 0-9")
    if missing := sorted(set(range(10)) - set(labels.tolist())):
        raise DataError(f"{where} has no picture of {', '.join(map(str, missing))}")


def split(labels: NDArray[np.uint8], validation: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a training part and of a validation part: of each class the last ones, a twelfth of all at most.

    labels: (n,), 0-9. MNIST stands in the order of its writers, folders often do, and new pictures come from other
    writers than those learnt from: parts drawn at random would both hold every writer, and praise who knows them by
    heart. Always the same parts: a teacher must not have seen what its students are chosen by.
    """
    place = np.zeros(len(labels))  # of each picture in its class, 0-1
    for digit in np.unique(labels):
        chosen = labels == digit
        place[chosen] = np.linspace(0, 1, np.count_nonzero(chosen))
    order = np.argsort(place, kind="stable")
    held = min(validation, max(1, len(labels) // 12))
    return np.sort(order[:-held]), np.sort(order[-held:])
