"""Measure the shipped models on the MNIST test set with the shipped runtime: python benchmarks/accuracy.py."""

import time

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.normalise import normalise
from digit_infer.settings import SHIPPED


def main() -> None:
    from digit_train.mnist import load_mnist

    mnist = load_mnist()
    engine = find_engine()
    pixels = np.stack([normalise(picture).pixels for picture in mnist["x_test"]])
    print(f"{table()}\n\nMeasured here through the normaliser, {engine.name} {engine.version}, one thread:")
    for name in SHIPPED:
        classifier = Classifier(read_bundle(name), engine)
        start = time.perf_counter()
        read = np.concatenate([classifier.classify(pixels[i : i + 256]) for i in range(0, 10000, 256)]).argmax(1)
        rate = len(pixels) / (time.perf_counter() - start)
        print(f"{name}: {np.mean(read == mnist['y_test']):.2%}, {rate:,.0f} pictures/s in batches of 256")


def table() -> str:
    """What the model files say of themselves, as a Markdown table."""
    lines = [
        "| model | file, bytes | network, bytes | Dense layers | test accuracy | of the float network | agreement |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |",
    ]
    for name in SHIPPED:
        bundle = read_bundle(name)
        parity, config = bundle.contract["parity"], bundle.contract["training"]["config"]
        widths = "-".join(map(str, [784 // config["pool"] ** 2, *config["hidden"], 10]))
        lines.append(
            f"| `{name}` | {len(bundle.content):,} | {bundle.contract['flatbuffer']['bytes']:,} | {widths} "
            f"| {parity['candidate_accuracy']:.2%} | {parity['reference_accuracy']:.2%} | {parity['agreement']:.2%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
