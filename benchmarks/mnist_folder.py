"""Write the 10,000 MNIST test pictures as PNG into class folders: python benchmarks/mnist_folder.py FOLDER."""

import sys
from pathlib import Path

from PIL import Image

from digit_train.mnist import load_mnist


def main(folder: Path) -> None:
    mnist = load_mnist()
    for number, (pixels, label) in enumerate(zip(mnist["x_test"], mnist["y_test"], strict=True)):
        path = folder / str(label) / f"{number:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
