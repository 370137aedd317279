"""Measure the shipped models on the MNIST test set with the shipped runtime: python benchmarks/accuracy.py.

Draws docs/accuracy.png: the models and the best that were published for networks of Dense layers, over their size.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digit_infer.bundle import read_bundle
from digit_infer.classifier import Classifier
from digit_infer.engine import find_engine
from digit_infer.normalise import normalise
from digit_infer.settings import SHIPPED

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "accuracy.png"


@dataclass(frozen=True)
class Published:
    """Accuracy in percent on the MNIST test set."""

    name: str
    bytes: int
    accuracy: float


PUBLISHED = (
    Published("Ciresan et al. 2010, 784-2500-2000-1500-1000-500-10", 4 * 12_110_000, 99.65),
    Published("committee of 25 784-800-10", 25 * 4 * 636_010, 99.61),
    Published("784-800-10 in float (PMC8157489)", 4 * 636_010, 98.3),
    Published("BitNetMCU, 4-bit weights", 12_595, 99.02),
)


def main() -> None:
    from digit_export.calibrate import calibration_error
    from digit_train.mnist import load_mnist

    mnist = load_mnist()
    engine = find_engine()
    pixels = np.stack([normalise(picture).pixels for picture in mnist["x_test"]])
    print(f"{table()}\n\nMeasured here through the normaliser, {engine.name} {engine.version}:")
    accuracies = {}
    for name in SHIPPED:
        classifier = Classifier(read_bundle(name), engine)
        read = np.concatenate([classifier.classify(pixels[i : i + 250]) for i in range(0, len(pixels), 250)])
        accuracies[name] = 100 * float(np.mean(read.argmax(1) == mnist["y_test"]))
        ties = int(np.sum(np.diff(np.sort(read, 1)[:, -2:]) == 0))
        error = calibration_error(read, mnist["y_test"])
        print(f"{name}: {accuracies[name]:.2f}%, calibration error {error:.2%}, {ties} ties")
    draw(accuracies, FIGURE)


def table() -> str:
    """What the model files say of themselves, as a Markdown table."""
    lines = [
        "| model | file, bytes | network, bytes | Dense layers | test accuracy | of the float network | agreement "
        "| calibration error |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for name in SHIPPED:
        bundle = read_bundle(name)
        parity = bundle.contract["parity"]
        training, error = bundle.contract["training"], bundle.contract["calibration_error"]
        layers = "-".join(map(str, training["widths"]))
        lines.append(
            f"| `{name}` | {len(bundle.content):,} | {bundle.contract['flatbuffer']['bytes']:,} | {layers} "
            f"| {parity['candidate_accuracy']:.2%} | {parity['reference_accuracy']:.2%} | {parity['agreement']:.2%} "
            f"| {error['after']:.2%} |"
        )
    return "\n".join(lines)


def draw(accuracies: dict[str, float], path: Path) -> None:
    """Error over size, both logarithmic, for the shipped models, in percent, and the published ones."""
    from matplotlib.figure import Figure

    figure = Figure((7, 4.5), layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel="bytes", ylabel="error on the MNIST test set, %")
    ours = [read_bundle(name).contract["flatbuffer"]["bytes"] for name in accuracies]
    axes.plot(ours, [100 - accuracy for accuracy in accuracies.values()], "o-", ms=8, lw=2)
    for (name, accuracy), size in zip(accuracies.items(), ours, strict=True):
        axes.annotate(name, (size, 100 - accuracy), (4, 7), textcoords="offset points", weight="bold")
    axes.plot([mark.bytes for mark in PUBLISHED], [100 - mark.accuracy for mark in PUBLISHED], "s", color="0.5")
    for mark in PUBLISHED:
        left = mark.bytes > 1e6
        axes.annotate(
            mark.name,
            (mark.bytes, 100 - mark.accuracy),
            (-7, -12) if left else (7, 5),
            textcoords="offset points",
            ha="right" if left else "left",
            color="0.4",
            size=8,
        )
    axes.set_xlim(6e3, 2e8)
    axes.set_yticks([0.3, 0.4, 0.5, 0.7, 1, 1.5, 2], ["0.3", "0.4", "0.5", "0.7", "1", "1.5", "2"])
    axes.minorticks_off()
    axes.grid(alpha=0.2)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
