"""What can go wrong, as one tree; every message is one line that says what to do.

DigitError
├── InputError     nothing to read: no such file, no picture found
├── ImageError     one picture cannot be read; becomes an `error` row, never ends a run
├── ModelError     a model file that this version cannot use
├── EngineError    no usable TFLite runtime on this machine
├── OutputError    a result cannot be written, or would replace another
└── DataError      a data set that cannot be trained on
"""


class DigitError(Exception):
    """Base of everything that digit-train, digit-export and digit-infer report to their user."""


class InputError(DigitError):
    """There is nothing to read where the user pointed."""


class ImageError(DigitError):
    """One picture cannot be read; the message is the row's `reason`."""


class ModelError(DigitError):
    """The model file is not one that this version can use."""


class EngineError(DigitError):
    """No TFLite runtime on this machine can be used."""


class OutputError(DigitError):
    """A result cannot be written, or would silently replace another."""


class DataError(DigitError):
    """The data set cannot be trained on."""
