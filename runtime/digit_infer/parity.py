"""Does the small model say what the big one said? Both over the same pictures, compared."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digit_infer.classifier import Probabilities
from digit_infer.row import printable


@dataclass(frozen=True)
class Flip:
    """A picture that the two models read differently."""

    picture: str
    expected: int | None
    reference: int
    candidate: int


@dataclass(frozen=True)
class Parity:
    """Accuracies, agreement and probability differences are 0-1; accuracies are None without labels.

    accuracy_change is candidate minus reference, with its paired 95 % interval.
    """

    pictures: int
    reference_accuracy: float | None
    candidate_accuracy: float | None
    accuracy_change: float | None
    accuracy_change_interval: tuple[float, float] | None
    agreement: float
    largest_difference: float
    mean_difference: float
    flips: tuple[Flip, ...]


def compare(
    reference: Probabilities, candidate: Probabilities, labels: NDArray[np.integer] | None, names: list[str]
) -> Parity:
    """Compare two models' probabilities, (n, 10) each; labels (n,), 0-9, may be None; names (n) stand in the flips."""
    ours, theirs = candidate.argmax(1), reference.argmax(1)
    difference = np.abs(candidate - reference)
    flips = [
        Flip(names[i], None if labels is None else int(labels[i]), int(theirs[i]), int(ours[i]))
        for i in np.flatnonzero(ours != theirs)
    ]
    gained = lost = 0
    if labels is not None:
        gained = int(np.sum((ours == labels) & (theirs != labels)))
        lost = int(np.sum((theirs == labels) & (ours != labels)))
    return Parity(
        pictures=len(names),
        reference_accuracy=None if labels is None else float(np.mean(theirs == labels)),
        candidate_accuracy=None if labels is None else float(np.mean(ours == labels)),
        accuracy_change=None if labels is None else (gained - lost) / len(names),
        accuracy_change_interval=None if labels is None else paired_interval(gained, lost, len(names)),
        agreement=float(np.mean(ours == theirs)),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        flips=tuple(flips),
    )


def paired_interval(gained: int, lost: int, count: int) -> tuple[float, float]:
    """95 % interval of a difference of matched proportions (Agresti and Min 2005: half a case added to each cell)."""
    size = count + 2
    middle = (gained - lost) / size
    deviation = math.sqrt((gained + lost + 1) - (gained - lost) ** 2 / size) / size
    return middle - 1.96 * deviation, middle + 1.96 * deviation


def missed_gates(parity: Parity | None, max_accuracy_drop: float | None, min_agreement: float | None) -> list[str]:
    """The gates not met, a line each; the first limit is in percentage points, the second in percent."""
    missed: list[str] = []
    if max_accuracy_drop is None and min_agreement is None:
        return missed
    if parity is None:
        return ["nothing was compared: no picture could be read"]
    if max_accuracy_drop is not None:
        if parity.accuracy_change is None:
            missed.append("accuracy is unknown: not every picture has a label")
        elif (drop := -100 * parity.accuracy_change) > max_accuracy_drop + 1e-9:
            missed.append(f"accuracy drops by {drop:.3f} points, allowed are {max_accuracy_drop:g}")
    if min_agreement is not None and 100 * parity.agreement < min_agreement - 1e-9:
        missed.append(f"agreement is {100 * parity.agreement:.3f} %, required are {min_agreement:g}")
    return missed


def parity_table(parity: Parity, reference: str, candidate: str) -> str:
    """The comparison as lines for a terminal."""
    figures = {
        "top-1 agreement": f"{100 * parity.agreement:9.3f} %",
        "largest difference": f"{parity.largest_difference:9.6f} of any probability",
        "mean difference": f"{parity.mean_difference:9.6f}",
        "pictures read differently": f"{len(parity.flips):9d}",
    }
    if parity.accuracy_change is not None and parity.accuracy_change_interval is not None:
        change, low, high = (100 * value for value in (parity.accuracy_change, *parity.accuracy_change_interval))
        figures = {
            f"accuracy, {reference}": f"{100 * (parity.reference_accuracy or 0):9.3f} %",
            f"accuracy, {candidate}": f"{100 * (parity.candidate_accuracy or 0):9.3f} %",
            "change": f"{change:+9.3f} points, 95 % interval {low:+.3f} to {high:+.3f}",
        } | figures
    width = max(map(len, figures))
    lines = [f"parity of {candidate} with {reference} over {parity.pictures} pictures"]
    lines += [f"  {name:<{width}} {figure}" for name, figure in figures.items()]
    for flip in parity.flips:
        truth = "" if flip.expected is None else f", truth {flip.expected}"
        lines.append(
            f"    {printable(flip.picture)}: {reference} {flip.reference}, {candidate} {flip.candidate}{truth}"
        )
    return "\n".join(lines)
