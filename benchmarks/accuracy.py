"""Measure the shipped models on the MNIST test set with the shipped runtime: python benchmarks/accuracy.py."""

import time

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.normalise import normalise
from digit_infer.settings import SHIPPED
from digit_train.mnist import load_mnist


def main() -> None:
    mnist = load_mnist()
    engine = find_engine()
    pixels = np.stack([normalise(picture).pixels for picture in mnist["x_test"]])
    print(f"MNIST test set, 10,000 pictures through the normaliser, {engine.name} {engine.version}, one thread\n")
    print(
        "| model | bytes | weights | test accuracy | of float | agreement with float | pictures/s in batches of 256 |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in SHIPPED:
        bundle = read_bundle(name)
        classifier = Classifier(bundle, engine)
        start = time.perf_counter()
        read = np.concatenate([classifier.classify(pixels[i : i + 256]) for i in range(0, 10000, 256)]).argmax(1)
        rate = len(pixels) / (time.perf_counter() - start)
        parity, training = bundle.contract["parity"], bundle.contract["training"]
        print(
            f"| {name} | {len(bundle.content):,} | {training['parameters']:,} | {np.mean(read == mnist['y_test']):.2%} "
            f"| {parity['reference_accuracy']:.2%} | {parity['agreement']:.2%} | {rate:,.0f} |"
        )


if __name__ == "__main__":
    main()
