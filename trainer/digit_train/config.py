"""Settings of a training run: one frozen dataclass and its presets."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Distortion:
    """How strongly training pictures are distorted; lengths in pixels of the 28 x 28 picture, angles in degrees.

    The elastic part is that of Simard et al., "Best Practices for Convolutional Neural Networks" (2003), in the
    range that Ciresan et al., "Deep Big Simple Neural Nets" (2010) used for MNIST.
    """

    share: float = 0.9  # of the pictures; the others stay as they are
    rotation: float = 15.0  # angles from -rotation to +rotation, evenly
    scale: float = 0.15  # each axis by 1 - scale to 1 + scale
    shear: float = 10.0
    shift: float = 1.5
    elastic_alpha: float = 37.0
    elastic_sigma: float = 5.0
    thinner: float = 0.4  # a stroke's outline moves inwards by up to this on each side
    thicker: float = 1.0  # and outwards by up to this, 1 at most


# what the larger shipped models are trained with, and what every training ends with: chosen on the validation slice
STRONG = Distortion(share=0.95, rotation=20.0, scale=0.2, shear=14.0, shift=2.0, elastic_alpha=50.0, thinner=0.5)
MILD = Distortion(rotation=10.5, scale=0.105, shear=7.0, shift=1.05, elastic_alpha=26.0, thinner=0.0, thicker=0.0)


@dataclass(frozen=True)
class Config:
    """Everything that decides the weights, apart from the data; options of the command line replace single values."""

    hidden: tuple[int, ...]  # width of the Dense layers before the last one, which is the 10 logits
    epochs: int
    dropout: float
    patience: int  # epochs without a better validation score before training stops; 0 keeps the last weights instead
    conv: tuple[tuple[int, ...], ...] = ()  # a teacher's: filters of 3 x 3 convolutions in groups, each max-pooled
    crop: int = 0  # pixels cut off each side in front of the first Dense layer
    pool: int = 1  # side of the average pooling after that, 1 for none
    batch_size: int = 256
    learning_rate: float = 2e-3  # at its peak, after which it falls to nearly 0 along a cosine
    weight_decay: float = 0.01
    averaging: float = 0.999  # decay per step of the averaged weights, which are the ones kept
    validation: int = 5000  # pictures held back from the training set; a twelfth of a small one
    augment: bool = True
    distortion: Distortion = Distortion()
    settling: float = 0.25  # of the epochs, the last ones, in which pictures are distorted mildly
    styles: int = 0  # drawn pictures added to the training part, of digits that MNIST hardly holds
    outliers: int = 0  # drawn pictures without a single digit, which the network learns to tell from digits
    outlier_share: float = 0.25  # of a batch, on top of it
    outlier_weight: float = 0.2  # of their loss, beside that of the digits
    lessons: int = 80  # of teachers, gone through in turn
    distillation: float = 0.9  # weight of the teachers' answers in the loss
    temperature: float = 1.0  # of both softmaxes in that part of the loss
    four_bit: bool = False  # fit the hidden layers' weights into 4 bits
    keep_hidden: bool = False  # leave the hidden layers' weights as they come, train biases and the last layer
    precision: str = "float32"  # or mixed_bfloat16: twice as fast where the processor has it
    seed: int = 0

    def suited_to(self, pictures: int) -> "Config":
        """The same with smaller batches for few pictures, of which an epoch would have hardly any steps."""
        return replace(self, batch_size=min(self.batch_size, max(32, pictures // 100)))

    def outliers_beside(self, pictures: int) -> int:
        """How many of a batch go with so many pictures of digits."""
        return max(1, round(pictures * self.outlier_share)) if self.outliers else 0

    def distortion_in(self, epoch: int) -> Distortion | None:
        """How the pictures of an epoch, from 0, are distorted."""
        if not self.augment:
            return None
        return self.distortion if epoch < round(self.epochs * (1 - self.settling)) else MILD


PRESETS = {
    "nano": Config(hidden=(64, 48), pool=2, dropout=0.0, epochs=60, patience=20),
    "small": Config(hidden=(128, 64), dropout=0.0, epochs=60, patience=20),
    "base": Config(hidden=(1120, 512), dropout=0.2, epochs=60, patience=20),
    # too large for the devices this is for, and digit-export does not take it: others learn from it
    "teacher": Config(
        hidden=(),
        conv=((16, 16), (32, 48), (64, 96)),
        dropout=0.3,
        epochs=25,
        patience=25,
        styles=5000,
        precision="mixed_bfloat16",
    ),
}

# how the shipped models are made: long, keeping the last weights, from a teacher's lessons
LONG: dict[str, Any] = {"patience": 0, "dropout": 0.0, "styles": 5000, "precision": "mixed_bfloat16"}
# where there is room for it, also from strongly distorted pictures; nano, in 4 bits, reads worse for it
HARD: dict[str, Any] = LONG | {"distortion": STRONG, "temperature": 2.0}
RELEASE = {
    "nano": replace(PRESETS["nano"], crop=2, hidden=(172, 72), epochs=960, **LONG),  # and then twice more in 4 bits
    "small": replace(PRESETS["small"], epochs=1600, learning_rate=8e-3, lessons=160, **HARD),
    "base": replace(
        PRESETS["base"], epochs=480, batch_size=512, learning_rate=4e-3, averaging=0.998, outliers=40000, **HARD
    ),
    "teacher": replace(PRESETS["teacher"], epochs=60, patience=0, distortion=STRONG),
}
RECIPES = {"quick": PRESETS, "release": RELEASE}
