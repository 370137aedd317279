"""The model file: one .tflite with a zip appended that holds labels, contract and golden vectors."""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digit_infer import parameters
from digit_infer.errors import ModelError
from digit_infer.files import DAMAGE
from digit_infer.models import MODELS
from digit_infer.row import printable
from digit_infer.settings import SHIPPED

FORMAT = 1
DIGITS = tuple("0123456789")
LABELS = *DIGITS, "none"  # of the outputs; some models have no last one
IDENTIFIER = b"TFL3"  # at byte 4 of every TFLite flatbuffer
ZIP_START = b"PK\3\4\x14\0\0\0\0\0\0\0\x21\0"  # of each member as `write_bundle` stores it, dated 1980


@dataclass(frozen=True)
class Bundle:
    """A model file taken apart. Golden vectors are empty and `contract` is {} for a bare .tflite without the zip."""

    name: str
    content: bytes  # the whole file; TFLite reads the flatbuffer at its front and ignores the zip
    contract: dict[str, Any] = field(default_factory=dict)  # digit.json
    labels: tuple[str, ...] = DIGITS
    golden_input: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 28, 28), np.uint8))
    golden_output: NDArray[np.generic] = field(default_factory=lambda: np.zeros((0, 10), np.uint8))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def min_confidence(self) -> float:
        """Below it a picture is rejected as `low_confidence` or `not_a_digit`, unless the user says otherwise."""
        return float(self.contract.get("reject", {}).get("min_confidence", 0.0))


def read_bundle(model: str) -> Bundle:
    """Read a shipped model by name, or a file. Raises ModelError where this version cannot use it."""
    path = MODELS / f"{model}.tflite" if model in SHIPPED else Path(model)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model {model}: {error.strerror}; shipped are {', '.join(SHIPPED)}") from error
    return parse_bundle(model, content)


def parse_bundle(name: str, content: bytes) -> Bundle:
    """Take a model file's bytes apart and check its contract. Raises ModelError."""
    name = printable(name)
    if content[4:8] != IDENTIFIER:
        raise ModelError(f"{name} is not a TFLite model")
    if ZIP_START not in content:
        return Bundle(name, content)  # without a zip, or with another's
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return read_members(name, content, archive)
    except DAMAGE as error:
        raise ModelError(f"{name} is damaged ({error}); export or copy it again") from error


def read_members(name: str, content: bytes, archive: zipfile.ZipFile) -> Bundle:
    """Read the zip's members. Raises ModelError for a contract not met, one of DAMAGE for a member not readable."""
    contract = json.loads(archive.read("digit.json"))
    check_contract(name, contract)
    flatbuffer = content[: contract["flatbuffer"]["bytes"]]
    if hashlib.sha256(flatbuffer).hexdigest() != contract["flatbuffer"]["sha256"]:
        raise ModelError(f"{name} is damaged (its SHA-256 is not that of the export); export or copy it again")
    return Bundle(
        name,
        content,
        contract,
        labels=tuple(archive.read("labels.txt").decode().split()),
        golden_input=read_array(archive, "golden_input"),
        golden_output=read_array(archive, "golden_output"),
    )


def read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    return np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


def check_contract(name: str, contract: dict[str, Any]) -> None:
    """Refuse what this runtime would feed wrongly."""
    if contract.get("format") != FORMAT:
        raise ModelError(
            f"{name} has format {contract.get('format')!r}, this digit-infer reads {FORMAT}; update digit-edge"
        )
    if contract["normaliser"]["version"] != parameters.VERSION:
        raise ModelError(
            f"{name} was made for normaliser {contract['normaliser']['version']}, this digit-infer has "
            f"{parameters.VERSION}; export it again with this version of digit-edge"
        )
    if contract["normaliser"]["parameters"] != asdict(parameters.PARAMETERS):
        raise ModelError(f"{name} was made for a normaliser with other parameters; export it again")


def write_bundle(flatbuffer: bytes, contract: dict[str, Any], golden: tuple[NDArray[Any], NDArray[Any]]) -> bytes:
    """Append the zip; the same arguments give the same bytes."""
    contract = contract | {
        "format": FORMAT,
        "flatbuffer": {"bytes": len(flatbuffer), "sha256": hashlib.sha256(flatbuffer).hexdigest()},
    }
    file = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        labels = "\n".join(LABELS[: golden[1].shape[1]])
        members = {"labels.txt": labels.encode(), "digit.json": json.dumps(contract, indent=1).encode()}
        for name, array in zip(("golden_input.npy", "golden_output.npy"), golden, strict=True):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            members[name] = buffer.getvalue()
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)  # ZipInfo's date is fixed: 1980
    return file.getvalue()
