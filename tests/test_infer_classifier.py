"""A loaded model: probabilities for each picture alone, and a self-test that notices a wrong answer."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from digit_infer.bundle import SHIPPED, Bundle, parse_bundle, read_bundle
from digit_infer.classifier import Classifier, selftest
from digit_infer.errors import ModelError


@pytest.fixture(params=SHIPPED)
def shipped(request, classifier):
    """Each model that ships, loaded."""
    return Classifier(read_bundle(request.param), classifier.engine)


def test_probabilities_are_ten_for_each_picture_and_sum_to_one_less_that_of_no_digit(shipped, sample_pixels):
    probabilities = shipped.classify(sample_pixels)
    assert probabilities.shape == (100, 10)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    outputs = shipped.invoke(sample_pixels).astype(np.float32)
    none = outputs[:, 10:].sum(1) / outputs.sum(1)
    assert none.any() == ("none" in shipped.bundle.labels)
    np.testing.assert_allclose(probabilities.sum(1), 1 - none, atol=1e-6)


def test_the_sample_digits_are_read_right(shipped, sample_pixels, sample_labels):
    assert np.mean(shipped.classify(sample_pixels).argmax(1) == sample_labels) >= 0.99


@pytest.mark.parametrize("size", [1, 7, 99])
def test_a_picture_gets_the_same_bytes_in_any_batch(size, shipped, sample_pixels):
    whole = shipped.classify(sample_pixels)
    parts = [shipped.classify(sample_pixels[i : i + size]) for i in range(0, 100, size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_picture_gets_the_same_bytes_in_any_company(shipped, sample_pixels):
    np.testing.assert_array_equal(shipped.classify(sample_pixels[::-1].copy())[::-1], shipped.classify(sample_pixels))


def test_pixels_need_not_be_contiguous(classifier, sample_pixels):
    np.testing.assert_array_equal(classifier.classify(sample_pixels[::-1])[::-1], classifier.classify(sample_pixels))


def test_an_empty_batch_gives_no_rows(shipped, sample_pixels):
    assert shipped.classify(sample_pixels[:0]).shape == (0, 10)
    assert shipped.invoke(sample_pixels[:0]).shape == (0, len(shipped.bundle.labels))
    assert shipped.classify(sample_pixels[:3]).shape == (3, 10)


def test_results_stay_as_they_were_when_the_next_batch_runs(classifier, sample_pixels):
    first = classifier.classify(sample_pixels[:10])
    before = first.copy()
    classifier.classify(sample_pixels[10:20])
    np.testing.assert_array_equal(first, before)


def test_shipped_models_pass_their_own_test(shipped):
    verdict = selftest(shipped)
    assert "golden vectors" in verdict
    assert shipped.engine.name in verdict
    assert "equal" in verdict


def with_golden(classifier, change):
    """The same model with golden outputs that went through `change`."""
    expected = np.array(classifier.bundle.golden_output)
    change(expected)
    return Classifier(replace(classifier.bundle, golden_output=expected), classifier.engine)


def steps(count):
    def change(expected):
        expected[0, expected[0].argmin()] += count

    return change


def swapped(expected):
    expected[0] = np.roll(expected[0], 1)


def test_one_rounding_step_is_allowed(classifier):
    assert "equal to one rounding step" in selftest(with_golden(classifier, steps(1)))


@pytest.mark.parametrize("change", [steps(2), steps(200), swapped], ids=["two steps", "many steps", "another digit"])
def test_a_golden_output_that_is_not_met_fails_the_test(change, classifier):
    with pytest.raises(ModelError, match="computes the model wrongly") as caught:
        selftest(with_golden(classifier, change))
    assert classifier.engine.version in str(caught.value)


def test_another_digit_fails_the_test_even_within_one_step():
    """A tie that tips the other way is one step, and another answer."""
    fake = FakeEngine(out=np.array([[100, 101, *[0] * 8]], np.uint8))
    bundle = replace(
        BARE,
        contract={"format": 1},
        golden_input=np.zeros((1, 28, 28), np.uint8),
        golden_output=fake.out[:, [1, 0, *range(2, 10)]],
    )
    with pytest.raises(ModelError, match="computes the model wrongly"):
        selftest(Classifier(bundle, fake))


def test_a_model_without_golden_vectors_cannot_be_tested(classifier):
    length = classifier.bundle.contract["flatbuffer"]["bytes"]
    bare = parse_bundle("bare.tflite", classifier.bundle.content[:length])
    with pytest.raises(ModelError, match=r"bare\.tflite carries no golden vectors"):
        selftest(Classifier(bare, classifier.engine))


def test_a_bare_model_reads_like_the_bundled_one(classifier, sample_pixels):
    length = classifier.bundle.contract["flatbuffer"]["bytes"]
    bare = Classifier(parse_bundle("bare.tflite", classifier.bundle.content[:length]), classifier.engine)
    np.testing.assert_array_equal(bare.classify(sample_pixels), classifier.classify(sample_pixels))


BARE = Bundle("some.tflite", b"")


@dataclass
class FakeEngine:
    """An engine and its interpreter in one, with tensors of any shape."""

    inputs: tuple = ((1, 28, 28, 1),)
    outputs: tuple = ((1, 10),)
    dtype: type = np.uint8
    fault: Exception | None = None
    out: np.ndarray | None = None
    quantization: tuple = (0.5, 10)
    prepared: Exception | None = None
    name: str = "fake"
    version: str = "1.0"

    def refusal(self, content):
        return ""

    def interpreter(self, content):
        return self

    def allocate_tensors(self):
        if self.fault:
            raise self.fault

    def get_input_details(self):
        return [{"index": 0, "shape": np.array(shape, np.int32), "dtype": self.dtype} for shape in self.inputs]

    def get_output_details(self):
        return [
            {"index": 1, "shape": np.array(shape, np.int32), "dtype": np.uint8, "quantization": self.quantization}
            for shape in self.outputs
        ]

    def resize_tensor_input(self, index, shape):
        if self.prepared:
            raise self.prepared

    def set_tensor(self, index, value):
        assert value.shape[1:] == (28, 28, 1)

    def invoke(self):
        pass

    def get_tensor(self, index):
        return self.out


@pytest.mark.parametrize(
    "fake",
    [
        FakeEngine(inputs=((1, 32, 32, 1),)),
        FakeEngine(inputs=((1, 784),)),
        FakeEngine(inputs=((),)),
        FakeEngine(inputs=((1, 28, 28, 1), (1, 28, 28, 1))),
        FakeEngine(dtype=np.float32),
        FakeEngine(outputs=((1, 12),)),
        FakeEngine(outputs=((),)),
        FakeEngine(outputs=((1, 10), (1, 10))),
        FakeEngine(fault=ValueError("first line\nsecond line")),
        FakeEngine(fault=RuntimeError()),
    ],
    ids=["32x32", "784", "scalar", "two in", "float", "12 out", "scalar out", "two out", "ValueError", "RuntimeError"],
)
def test_a_model_whose_tensors_do_not_fit_is_refused_in_one_line(fake):
    with pytest.raises(ModelError, match=r"^some\.tflite ") as caught:
        Classifier(BARE, fake)
    assert "\n" not in str(caught.value)


LOGITS = np.arange(-3, 7, dtype=np.float32)[None]


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        (FakeEngine(prepared=RuntimeError("node 7\nfailed to prepare")), "takes one picture at a time"),
        (FakeEngine(out=LOGITS, quantization=(0, 0)), "gives no probabilities"),
        (FakeEngine(out=np.full_like(LOGITS, np.nan), quantization=(0, 0)), "gives no probabilities"),
    ],
    ids=["one at a time", "logits", "nan"],
)
def test_a_bare_model_that_would_fill_rows_with_nonsense_is_refused(fake, words):
    with pytest.raises(ModelError, match=rf"^some\.tflite {words}; .*$"):
        Classifier(BARE, fake)


def test_output_steps_become_probabilities_by_scale_and_zero_point():
    fake = FakeEngine(out=np.full((2, 10), 12, np.uint8))
    np.testing.assert_array_equal(Classifier(BARE, fake).classify(np.zeros((2, 28, 28), np.uint8)), np.ones((2, 10)))


def test_the_probability_of_no_digit_is_missing_from_the_ten():
    outputs = np.array([[3] * 2 + [0] * 8 + [249]], np.uint8)
    fake = FakeEngine(outputs=((1, 11),), out=outputs, quantization=(1 / 256, 0))
    probabilities = Classifier(BARE, fake).estimate(np.zeros((1, 28, 28), np.uint8))
    np.testing.assert_allclose(probabilities, [[3 / 255] * 2 + [0] * 8])


def test_a_tie_is_decided_by_the_picture_moved_and_others_stay_as_they_are(classifier, sample_pixels, monkeypatch):
    tied, plain = np.array([0, 100, 100, 56] + [0] * 6, np.uint8), np.array([9, 200] + [0] * 8, np.uint8)
    moved = np.array([90, 40, 60, 66] + [0] * 6, np.uint8)  # the 0 that wins now was not among the tied
    pictures = sample_pixels[:2]

    def invoke(pixels):
        known = {pictures[0].tobytes(): plain, pictures[1].tobytes(): tied}
        return np.stack([known.get(picture.tobytes(), moved) for picture in pixels])

    monkeypatch.setattr(classifier, "invoke", invoke)
    estimated, classified = classifier.estimate(pictures), classifier.classify(pictures)
    assert classified.argmax(1).tolist() == [1, 2]
    np.testing.assert_array_equal(np.argwhere(estimated != classified), [[1, 2]])
    np.testing.assert_allclose(classified, estimated, atol=1e-7)
