"""Pictures in, probabilities out: one model on one TFLite runtime."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digit_infer.bundle import Bundle
from digit_infer.engine import Engine
from digit_infer.errors import ModelError
from digit_infer.quiet import native_stderr_silenced

Probabilities = NDArray[np.float32]
SOFTMAX_STEP = 1 / 256  # of every TFLite softmax in 8 bits


class Classifier:
    """A loaded model. Raises ModelError for a file whose tensors do not fit.

    Not safe for use from several threads at once; each needs its own.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.bundle, self.engine = bundle, engine
        if not bundle.contract and (fault := engine.refusal(bundle.content)):
            raise ModelError(f"{bundle.name} cannot be run by {engine.name} {engine.version}: {fault}")
        try:
            with native_stderr_silenced():
                self.interpreter = engine.interpreter(bundle.content)
                self.interpreter.allocate_tensors()
            inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        except (ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise ModelError(f"{bundle.name} cannot be loaded by {engine.name} {engine.version}: {reason}") from error
        taken, given = (" and ".join(map(describe_tensor, tensors)) for tensors in (inputs, outputs))
        if taken != "uint8 (28, 28, 1)" or len(outputs) > 1 or tuple(outputs[0]["shape"][1:]) not in ((10,), (11,)):
            need = "uint8 (28, 28, 1) to (10,) or (11,) is needed"
            raise ModelError(f"{bundle.name} goes from {taken} to {given}; {need}")
        self.input, self.output, self.batch = inputs[0], outputs[0], 0
        if not bundle.contract:
            self.try_out()

    def try_out(self) -> None:
        """Raises ModelError for what an export has made sure of: any number of pictures at once, and probabilities."""
        try:
            with native_stderr_silenced():
                values = self.estimate(np.random.default_rng(0).integers(256, size=(3, 28, 28), dtype=np.uint8))
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{self.bundle.name} takes one picture at a time; convert it with a batch of None"
            ) from error
        if not ((values >= 0) & (values <= 1.001)).all():  # NaN is neither
            raise ModelError(f"{self.bundle.name} gives no probabilities; let it end in a softmax")

    def classify(self, pixels: NDArray[np.uint8]) -> Probabilities:
        """pixels: (n, 28, 28), uint8, light on dark, normalised. Returns (n, 10), float32, 0-1.

        Their sum is 1, or less by the probability that it is no digit where the model gives that too.
        In the 256 steps of a quantized output two digits can tie for the first place. How the picture is read when
        moved by a pixel in each direction decides then, and that digit gets the next larger number.
        """
        probabilities = self.estimate(pixels)
        second, first = np.partition(probabilities, 8, axis=1)[:, 8:].T
        if len(tied := np.flatnonzero(first == second)):
            moved = [np.roll(pixels[tied], step, axis) for axis in (1, 2) for step in (-1, 1)]
            votes = np.sum([self.estimate(pictures) for pictures in moved], axis=0)
            winners = np.where(probabilities[tied] == first[tied, None], votes, -1).argmax(1)
            probabilities[tied, winners] = np.nextafter(first[tied], np.float32(1))
        return probabilities

    def estimate(self, pixels: NDArray[np.uint8]) -> Probabilities:
        """As `classify`, ties left as they are."""
        values = self.invoke(pixels).astype(np.float32, copy=False)
        scale, zero = self.output["quantization"]
        if scale:
            values = (values - np.float32(zero)) * np.float32(scale)
        if scale == SOFTMAX_STEP:  # the largest number, 255, stands for certainty, which is 256 of them
            values /= np.maximum(values.sum(1, keepdims=True), SOFTMAX_STEP)
        return values[:, :10]

    def invoke(self, pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
        """As `classify`, but the output tensor as the model gives it: (n, 10 or 11), uint8 or float32."""
        if not len(pixels):
            return np.zeros((0, self.output["shape"][1]), self.output["dtype"])
        if len(pixels) == 1:  # for a single picture tflite-runtime has kernels that on ARM round otherwise
            return self.invoke(np.repeat(pixels, 2, axis=0))[:1]
        if len(pixels) != self.batch:
            self.interpreter.resize_tensor_input(self.input["index"], [len(pixels), 28, 28, 1])
            self.interpreter.allocate_tensors()
            self.batch = len(pixels)
        self.interpreter.set_tensor(self.input["index"], pixels[..., None])
        self.interpreter.invoke()
        return np.asarray(self.interpreter.get_tensor(self.output["index"]))


def describe_tensor(tensor: dict[str, Any]) -> str:
    """Type and shape of an input or output, batch left out."""
    return f"{tensor['dtype'].__name__} {tuple(map(int, tensor['shape'][1:]))}"


def selftest(classifier: Classifier) -> str:
    """Compare the golden vectors with what this machine makes of them: the verdict, or ModelError on a miss.

    Runtimes round the last step of a quantized softmax differently, so one step is allowed, another digit never.
    """
    bundle = classifier.bundle
    if not len(bundle.golden_input):
        raise ModelError(f"{bundle.name} carries no golden vectors; export it with digit-export")
    found, expected = classifier.invoke(bundle.golden_input), bundle.golden_output
    step = 1.0 if expected.dtype == np.uint8 else 2.0**-12
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max()
    where = f"{len(expected)} golden vectors of {bundle.name} on {classifier.engine.name} {classifier.engine.version}"
    if difference > step or (found.argmax(1) != expected.argmax(1)).any():
        raise ModelError(f"{where}: differ by {difference:g}; this runtime computes the model wrongly")
    return f"{where}: {'equal' if not difference else 'equal to one rounding step'}"
