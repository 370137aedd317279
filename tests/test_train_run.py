"""A run is repeatable, resumable, and decided by the validation slice alone."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from archive_files import npz

from digit_infer.errors import DataError, DigitError, InputError, ModelError
from digit_train.batches import Drawn, collect
from digit_train.config import MILD, PRESETS
from digit_train.folder import CHECKPOINT
from digit_train.model import build, weights_digest
from digit_train.train import Run, train

CONFIG = replace(PRESETS["nano"], epochs=4, batch_size=50, dropout=0.3, learning_rate=0.01)


def finish(run):
    return train(run, lambda run, epoch: None)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(digits, tmp_path):
    first, second, other = (
        weights_digest(finish(Run(replace(CONFIG, seed=seed), digits, tmp_path)).model) for seed in (0, 0, 1)
    )
    assert first == second != other


def test_a_resumed_run_ends_as_the_uninterrupted_one(digits, tmp_path):
    whole = finish(Run(CONFIG, digits, tmp_path / "whole"))
    stopped = Run(CONFIG, digits, tmp_path / "stopped")
    stopped.run_epoch()
    stopped.run_epoch()
    stopped.save_checkpoint()
    resumed = Run(CONFIG, digits, tmp_path / "stopped")
    resumed.restore_checkpoint()
    result = finish(resumed)
    assert weights_digest(result.model) == weights_digest(whole.model)
    assert [replace(epoch, seconds=0) for epoch in result.history] == [replace(e, seconds=0) for e in whole.history]


def test_the_test_set_decides_nothing(digits, tmp_path):
    poisoned = replace(digits, y_test=np.roll(digits.y_test, 1), x_test=digits.x_test[::-1])
    first, second = (finish(Run(CONFIG, data, tmp_path)) for data in (digits, poisoned))
    assert first.best.test_accuracy != second.best.test_accuracy
    assert weights_digest(first.model) == weights_digest(second.model)


def test_the_kept_weights_are_those_of_the_best_validation_loss(digits, tmp_path):
    run = Run(replace(CONFIG, epochs=6, learning_rate=0.3), digits, tmp_path)
    trained = finish(run)
    assert trained.best.val_loss == min(epoch.val_loss for epoch in trained.history)
    validation = digits.x_train[run.val_part], digits.y_train[run.val_part]
    assert run.evaluate(*validation)[0] == pytest.approx(trained.best.val_loss)


def test_the_averaged_weights_follow_those_in_training(digits, tmp_path):
    run = Run(replace(CONFIG, averaging=0.3), digits, tmp_path)
    expected = run.averaged.get_weights()
    for decay, batch in zip([2 / 11, 3 / 12, 0.3, 0.3, 0.3], run.source.epoch(0), strict=True):
        run.train_step(batch)
        weights = run.model.get_weights()
        expected = [decay * average + (1 - decay) * weight for average, weight in zip(expected, weights, strict=True)]
    for average, weight in zip(run.averaged.get_weights(), expected, strict=True):
        np.testing.assert_allclose(average, weight, rtol=1e-4, atol=1e-6)


def test_training_stops_early_without_progress(digits, tmp_path):
    # an enormous learning rate spoils the weights after the first epoch's warm-up
    trained = finish(Run(replace(CONFIG, epochs=50, patience=2, learning_rate=100.0), digits, tmp_path))
    assert len(trained.history) == trained.best.epoch + 2


def test_ctrl_c_keeps_the_best_so_far(digits, tmp_path):
    def interrupt(run, epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    trained = train(Run(CONFIG, digits, tmp_path), interrupt)
    assert trained.interrupted
    assert len(trained.history) == 2
    assert (tmp_path / CHECKPOINT).exists()


def test_ctrl_c_before_the_first_epoch_keeps_nothing(digits, tmp_path, monkeypatch):
    run = Run(CONFIG, digits, tmp_path)

    def interrupt(number):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train_epoch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        finish(run)
    assert not list(tmp_path.iterdir())


def test_ctrl_c_after_the_measuring_of_an_epoch_keeps_history_and_weights_of_the_one_before(
    digits, tmp_path, monkeypatch
):
    run = Run(CONFIG, digits, tmp_path)
    run.run_epoch()

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(run.averaged, "get_weights", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run_epoch()
    assert len(run.history) == 1


def test_a_loss_that_is_no_number_ends_the_training_and_spoils_nothing(digits, tmp_path):
    run = Run(CONFIG, digits, tmp_path)
    run.run_epoch()
    run.averaged.set_weights([weight * np.nan for weight in run.averaged.get_weights()])
    with pytest.raises(DigitError, match="validation loss of epoch 2 is no number: start over with a lower"):
        run.run_epoch()
    assert len(run.history) == 1


def test_without_patience_the_last_weights_are_kept(digits, tmp_path):
    run = Run(replace(CONFIG, epochs=6, patience=0, learning_rate=0.3), digits, tmp_path)
    trained = finish(run)
    assert trained.best.epoch == 6 > min(trained.history, key=lambda epoch: epoch.val_loss).epoch
    assert weights_digest(trained.model) == weights_digest(run.averaged)


def test_the_last_epochs_are_distorted_mildly(digits, tmp_path):
    config = replace(CONFIG, settling=0.25)
    material = collect(digits, np.arange(300), config)
    sources = Drawn(material, config), Drawn(material, replace(config, distortion=MILD))
    first, last = ([next(source.epoch(epoch)).images.numpy() for source in sources] for epoch in (0, 3))
    assert (first[0] != first[1]).any()
    np.testing.assert_array_equal(*last)


@pytest.mark.parametrize("change", ["seed", "data"])
def test_a_checkpoint_of_another_run_is_refused(change, digits, tmp_path):
    run = Run(CONFIG, digits, tmp_path)
    run.run_epoch()
    run.save_checkpoint()
    config = replace(CONFIG, seed=1) if change == "seed" else CONFIG
    data = replace(digits, y_test=np.roll(digits.y_test, 1)) if change == "data" else digits
    words = {"seed": "another run: config: seed: 0, not 1", "data": "another run: data: "}[change]
    with pytest.raises(DataError, match=words):
        Run(config, data, tmp_path).restore_checkpoint()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", npz(model_0=np.zeros(1)), npz(state=np.array("{}")), npz(state=np.array("no JSON"))],
    ids=["empty", "torn", "another .npz", "of another version", "with a damaged state"],
)
def test_a_torn_checkpoint_is_one_line(content, digits, tmp_path):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint\.npz is no checkpoint; --force starts over"):
        Run(CONFIG, digits, tmp_path).restore_checkpoint()


def test_init_starts_from_the_given_weights(digits, tmp_path):
    run = Run(CONFIG, digits, tmp_path)
    run.run_epoch()
    run.model.save(tmp_path / "start.keras")
    started = Run(CONFIG, digits, tmp_path, init=tmp_path / "start.keras")
    assert weights_digest(started.model) == weights_digest(run.model)
    with pytest.raises(DataError, match="not a model of this preset"):
        Run(PRESETS["small"], digits, tmp_path, init=tmp_path / "start.keras")
    (tmp_path / "start.keras").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is not a Keras model"):
        Run(CONFIG, digits, tmp_path, init=tmp_path / "start.keras")


@pytest.mark.parametrize("four_bit", [False, True])
def test_a_teacher_is_no_init_for_its_students(four_bit, digits, tmp_path):
    build(replace(PRESETS["teacher"], conv=((2,),))).save(tmp_path / "teacher.keras")
    with pytest.raises(DataError, match=r"--init .*teacher\.keras: not a model of this preset"):
        Run(replace(CONFIG, four_bit=four_bit), digits, tmp_path, init=tmp_path / "teacher.keras")


def test_a_run_is_gone_on_with_from_the_same_init_alone(digits, tmp_path):
    starts = [tmp_path / "first.keras", tmp_path / "second.keras"]
    for seed, path in enumerate(starts):
        build(replace(CONFIG, seed=seed)).save(path)
    run = Run(CONFIG, digits, tmp_path, init=starts[0])
    run.run_epoch()
    run.save_checkpoint()
    for other in (starts[1], None):
        with pytest.raises(DataError, match="another run: init: "):
            Run(CONFIG, digits, tmp_path, init=other).restore_checkpoint()
    Run(CONFIG, digits, tmp_path, init=starts[0]).restore_checkpoint()


def teach(digits, folder, **changes):
    """A run that learns from a convolutional teacher of one epoch."""
    teacher = folder / "teacher.keras"
    if not teacher.exists():
        config = replace(PRESETS["teacher"], conv=((2, 2), (2,)), hidden=(8,), styles=0, epochs=1, precision="float32")
        finish(Run(config, digits, folder)).model.save(teacher)
    return Run(replace(CONFIG, lessons=2, **changes), digits, folder / "run", None, [teacher], folder / "lessons")


@pytest.mark.parametrize("outliers", [0, 60])
def test_a_run_learns_from_its_teachers_and_resumes_as_the_uninterrupted_one(outliers, digits, tmp_path):
    whole = finish(teach(digits, tmp_path, outliers=outliers))
    untaught = Run(replace(CONFIG, outliers=outliers), digits, tmp_path)
    assert weights_digest(whole.model) != weights_digest(finish(untaught).model)
    stopped = teach(digits, tmp_path, outliers=outliers)
    stopped.run_epoch()
    stopped.save_checkpoint()
    with pytest.raises(DataError, match="another run: teachers: "):
        Run(stopped.config, digits, tmp_path / "run").restore_checkpoint()
    resumed = teach(digits, tmp_path, outliers=outliers)
    resumed.restore_checkpoint()
    assert weights_digest(finish(resumed).model) == weights_digest(whole.model)


def test_the_train_loss_is_that_of_the_labels_whatever_the_teachers_say(digits, tmp_path):
    runs = [teach(digits, tmp_path, learning_rate=0.0, distillation=weight) for weight in (0.0, 0.9)]
    without, taught = (run.run_epoch() for run in runs)
    assert taught.train_loss == without.train_loss


@pytest.mark.parametrize("none", [False, True], ids=["digits", "beside no digit"])
def test_distillation_is_the_cross_entropy_of_softened_answers(none, digits, tmp_path):
    def softened(logits):
        odds = np.exp(logits / 2)
        return odds / odds.sum(1, keepdims=True)

    answers, scores = np.random.default_rng(0).normal(0, 3, (2, 6, 10)).astype(np.float32)
    scores = np.pad(scores, [(0, 0), (0, int(none))], constant_values=1.5)
    expected = -np.sum(softened(answers) * np.log(softened(scores))[:, :10], 1).mean() * 2**2
    run = Run(replace(CONFIG, temperature=2.0), digits, tmp_path)
    assert float(run.distillation_loss(answers, tf.constant(scores))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("four_bit", [False, True], ids=["batch norm", "4 bits"])
def test_weights_decay_but_no_biases_limits_and_parameters_of_batch_norm(four_bit, digits, tmp_path):
    run = Run(replace(CONFIG, four_bit=four_bit, weight_decay=1.0), digits, tmp_path)
    before = run.model.get_weights()
    for _ in range(5):
        run.optimizer.apply([tf.zeros_like(variable) for variable in run.model.trainable_variables])
    changed = {
        weight.name
        for weight, old in zip(run.model.weights, before, strict=True)
        if not np.array_equal(weight.numpy(), old)
    }
    assert changed == {"kernel"}


def test_the_loss_of_outliers_counts_by_its_weight(digits, tmp_path, monkeypatch):
    run = Run(replace(CONFIG, outliers=60, dropout=0.0), digits, tmp_path)
    batch, gradients = next(run.source.epoch(0)), []
    monkeypatch.setattr(run.optimizer, "apply", lambda each: gradients.append(each[0].numpy()))
    for weight in (0.0, 0.3, 0.6):
        run.config = replace(run.config, outlier_weight=weight)
        run.step(batch)
    none, once, twice = gradients
    assert np.abs(once - none).max() > 1e-4
    np.testing.assert_allclose(twice - none, 2 * (once - none), atol=1e-6)


def test_lessons_are_drawn_once_for_all_students_of_a_teacher(digits, tmp_path):
    finish(teach(digits, tmp_path))
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "lessons").iterdir()}
    assert len(drawn) == 3  # two for the epochs but the last, which is distorted mildly
    finish(teach(digits, tmp_path, seed=1, hidden=(8, 8)))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lessons").iterdir()} == drawn
    other = replace(CONFIG.distortion, rotation=1.0)
    finish(teach(digits, tmp_path, distortion=other))
    assert len(list((tmp_path / "lessons").iterdir())) == 5


def test_answers_in_another_precision_are_other_lessons_of_the_same_outliers(digits, tmp_path):
    for precision in ("float32", "mixed_bfloat16"):
        teach(digits, tmp_path, outliers=60, precision=precision).run_epoch()
    assert len(list((tmp_path / "lessons").iterdir())) == 3


def test_a_damaged_lesson_is_named_with_what_to_do(digits, tmp_path):
    run = teach(digits, tmp_path)
    run.run_epoch()
    (path,) = (tmp_path / "lessons").iterdir()
    lesson = dict(np.load(path))
    fewer = {name: array[1:] for name, array in lesson.items()}
    for arrays in ({"images": lesson["images"]}, fewer, None):
        if arrays:
            np.savez(path, **arrays)
        else:
            path.write_bytes(b"PK")
        with pytest.raises(InputError, match=f"{path} is damaged; remove it, it is drawn again"):
            next(run.source.epoch(0))


def test_undistorted_pictures_are_one_lesson(digits, tmp_path):
    finish(Run(replace(CONFIG, augment=False, lessons=3), digits, tmp_path, lessons=tmp_path / "lessons"))
    assert len(list((tmp_path / "lessons").iterdir())) == 1
