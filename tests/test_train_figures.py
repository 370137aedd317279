"""The figures of a run show its history, its data and what was read in its test pictures."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from digit_train import figures
from digit_train.train import Epoch

LABELS = {"train": "train (distorted pictures)", "val": "validation", "test": "test"}
HISTORY = [Epoch(n, 1 / n, 0.5 + n / 20, 2 / n, 0.6 + n / 20, 3 / n, 0.7 + n / 20, 1.0) for n in range(1, 5)]


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """drawn(draw, ...) is what is saved by figures.draw(folder, ...): names to figures, drawn once."""

    def run(draw, *arguments):
        saved = {}
        monkeypatch.setattr(figures, "save", lambda figure, path: saved.update({path.name: figure}))
        draw(tmp_path, *arguments)
        for figure in saved.values():
            figure.draw_without_rendering()
        return saved

    return run


@pytest.mark.parametrize(
    ("name", "quantity", "parts"),
    [
        ("train_loss.png", "loss", ["train"]),
        ("test_loss.png", "loss", ["test", "val"]),
        ("accuracy.png", "accuracy", ["test", "val", "train"]),
    ],
)
def test_the_lines_are_those_of_the_history(name, quantity, parts, drawn):
    (axes,) = drawn(figures.draw_history, HISTORY)[name].axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines.keys() == {LABELS[part] for part in parts} == {text.get_text() for text in axes.get_legend().texts}
    for part in parts:
        np.testing.assert_array_equal(lines[LABELS[part]].get_xdata(), [1, 2, 3, 4])
        expected = [getattr(epoch, f"{part}_{quantity}") for epoch in HISTORY]
        np.testing.assert_array_equal(lines[LABELS[part]].get_ydata(), expected)


@pytest.mark.parametrize("epochs", [1, 60])
@pytest.mark.parametrize(
    ("loss", "accuracies"), [(0, [1, 1]), (0.03, [0.991, 0.994]), (0.03, [0.9, 0.9]), (99, [0, 0.1]), (1e9, [0, 1])]
)
def test_all_values_lie_in_view_between_labels_whatever_they_are(loss, accuracies, epochs, drawn):
    history = [Epoch(i + 1, *[loss, accuracies[i % 2]] * 3, 1.0) for i in range(epochs)]
    for figure in drawn(figures.draw_history, history).values():
        (axes,) = figure.axes
        low, high = sorted(axes.get_ylim())
        assert sum(low <= tick <= high for tick in axes.get_yticks()) >= 2
        assert all(low <= value <= high for line in axes.get_lines() for value in line.get_ydata())
        epochs_shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert epochs_shown
        assert all(tick == int(tick) for tick in epochs_shown)


def test_sixty_four_random_test_pictures_stand_with_what_was_read_and_the_wrong_ones_are_marked(digits, drawn):
    read = np.where(np.arange(100) % 3, digits.y_test, (digits.y_test + 1) % 10)
    first, again, other = (drawn(figures.draw_predictions, digits, read, seed)["predictions.png"] for seed in (0, 0, 1))
    pictures = [[axes.images[0].get_array().tobytes() for axes in figure.axes] for figure in (first, again, other)]
    assert pictures[0] == pictures[1] != pictures[2]
    assert len(set(pictures[0])) == 64
    places = {picture.tobytes(): place for place, picture in enumerate(digits.x_test)}
    for axes, picture in zip(first.axes, pictures[0], strict=True):
        place = places[picture]
        assert axes.get_title() == f"{read[place]} ({digits.y_test[place]})"
        wrong = place % 3 == 0
        assert (to_hex(axes.title.get_color()) == figures.WRONG) == axes.axison == wrong


def test_the_data_set_is_shown_by_ten_training_pictures_of_each_class(digits, drawn):
    mixed = np.random.default_rng(0).permutation(300)
    digits = replace(digits, x_train=digits.x_train[mixed], y_train=digits.y_train[mixed])
    axes = drawn(figures.draw_dataset, digits)["dataset.png"].axes
    assert len(axes) == 100
    for place, each in enumerate(axes):
        members = digits.x_train[digits.y_train == place // 10]
        np.testing.assert_array_equal(each.images[0].get_array(), members[place % 10])
        assert [text.get_text() for text in each.texts] == ([] if place % 10 else [str(place // 10)])
