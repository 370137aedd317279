"""The pictures of a training run."""

from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from digit_infer.files import written_whole
from digit_infer.report import confusion_matrix
from digit_train.data import Digits
from digit_train.train import Epoch

WRONG = "#c0392b"
ACCURACIES = [0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 1]
LOSSES = [digit * 10.0**power for power in range(-5, 9) for digit in (1, 2, 5)]


def draw_dataset(folder: Path, digits: Digits) -> None:
    """Ten training pictures of each class, in a row per class."""
    figure = Figure(figsize=(8, 8.6), layout="constrained")
    figure.suptitle(f"Training set: {len(digits.y_train):,} pictures; the label stands before each row")
    for digit in range(10):
        members = np.flatnonzero(digits.y_train == digit)[:10]
        for column in range(10):
            axes = figure.add_subplot(10, 10, 10 * digit + column + 1)
            axes.axis("off")
            if column < len(members):
                show(axes, digits.x_train[members[column]])
            if column == 0:
                axes.text(-0.25, 0.5, str(digit), transform=axes.transAxes, ha="right", va="center", fontsize=14)
    save(figure, folder / "dataset.png")


def draw_history(folder: Path, history: list[Epoch]) -> None:
    """Train loss, test loss and the accuracies over the epochs, a file each."""
    train = {"train": "train (distorted pictures)"}
    other = {"test": "test", "val": "validation"}
    draw_lines(folder / "train_loss.png", history, "loss", train)
    draw_lines(folder / "test_loss.png", history, "loss", other)
    draw_lines(folder / "accuracy.png", history, "accuracy", other | train)


def draw_lines(path: Path, history: list[Epoch], quantity: Literal["loss", "accuracy"], parts: dict[str, str]) -> None:
    """One quantity of the named parts of the data, with their labels in the legend."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="Epoch")
    ticks = LOSSES if quantity == "loss" else ACCURACIES
    lines = [
        np.clip([getattr(epoch, f"{part}_{quantity}") for epoch in history], ticks[0], ticks[-1]) for part in parts
    ]
    axes.set(xlim=(0.5, len(history) + 0.5), ylim=enclosing(ticks, np.concatenate(lines)))
    if quantity == "loss":
        axes.set(ylabel="Cross-entropy, nats", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:  # what matters lies close to 1
        axes.set(ylabel="Accuracy")
        axes.set_yscale("function", functions=(lambda y: -np.log(1.0005 - y), lambda z: 1.0005 - np.exp(-z)))
        axes.yaxis.set_major_locator(FixedLocator(ticks))
    for label, values in zip(parts.values(), lines, strict=True):
        axes.plot(range(1, len(values) + 1), values, marker="." if len(values) < 50 else "", label=label, clip_on=False)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def enclosing(ticks: list[float], values: NDArray[np.float64]) -> tuple[float, float]:
    """The ticks next below and above all values, two different ones, so that there is something to read them by."""
    low = max(tick for tick in ticks[:-1] if tick <= values.min())
    return low, min(tick for tick in ticks if tick >= values.max() and tick > low)


def draw_predictions(folder: Path, digits: Digits, read: NDArray[np.integer], seed: int) -> None:
    """64 random test pictures with what was read and, where that is wrong, the truth; read: (n,), 0-9."""
    chosen = np.random.default_rng(seed).permutation(len(read))[:64]
    figure = Figure(figsize=(8, 9), layout="constrained")
    figure.suptitle(f"{len(chosen)} random test pictures: read (truth)")
    for place, i in enumerate(chosen):
        axes = figure.add_subplot(8, 8, place + 1)
        show(axes, digits.x_test[i])
        right = read[i] == digits.y_test[i]
        axes.set_title(f"{read[i]} ({digits.y_test[i]})", fontsize=10, color="black" if right else WRONG)
        axes.axis("on" if not right else "off")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=WRONG, linewidth=3)
    save(figure, folder / "predictions.png")


def draw_confusion(folder: Path, labels: NDArray[np.integer], read: NDArray[np.integer]) -> None:
    """How often each digit was read as which; both (n,), 0-9."""
    confusion = confusion_matrix(labels, read)
    mistakes = confusion - np.diag(np.diag(confusion))
    figure = Figure(figsize=(7, 6.5), layout="constrained")
    axes = figure.add_subplot(xlabel="Read", ylabel="Truth", xticks=range(10), yticks=range(10))
    axes.set_title(f"Test set: {mistakes.sum()} of {confusion.sum():,} read wrongly (shaded)")
    axes.imshow(mistakes, cmap="Reds", vmax=max(1, int(mistakes.max()) * 1.5))
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            axes.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=9,
                color="grey" if row == column else "black",
            )
    save(figure, folder / "confusion.png")


def show(axes: Axes, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, cmap="gray_r", vmin=0, vmax=255)


def save(figure: Figure, path: Path) -> None:
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
