"""The model file: what is written is read again, and what this version cannot use is refused with the reason."""

import io
import json
import zipfile
from dataclasses import asdict

import numpy as np
import pytest

from digit_infer import parameters
from digit_infer.bundle import FORMAT, SHIPPED, parse_bundle, read_bundle, write_bundle
from digit_infer.errors import ModelError

FLATBUFFER = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 4
CONTRACT = {
    "normaliser": {"version": parameters.VERSION, "parameters": asdict(parameters.PARAMETERS)},
    "reject": {"min_confidence": 0.25},
    "trained": {"preset": "nano", "accuracy": 0.98},
}
GOLDEN = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28), np.arange(20, dtype=np.uint8).reshape(2, 10)


def written(contract=CONTRACT, flatbuffer=FLATBUFFER):
    return write_bundle(flatbuffer, contract, GOLDEN)


def with_members(**changes):
    """A bundle whose zip holds other bytes under these names (dots written as _), or lacks them where None."""
    members = {name.replace(".", "_"): (name, data) for name, data in unzipped(written()).items()}
    file = io.BytesIO(FLATBUFFER)
    with zipfile.ZipFile(file, "a") as archive:
        for key, (name, data) in members.items():
            if (content := changes.get(key, data)) is not None:
                archive.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


def unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def refusal(content):
    with pytest.raises(ModelError) as caught:
        parse_bundle("some.tflite", content)
    assert "some.tflite" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_again():
    bundle = parse_bundle("some.tflite", written())
    assert {name: bundle.contract[name] for name in CONTRACT} == CONTRACT
    assert bundle.contract["format"] == FORMAT
    assert bundle.labels == tuple("0123456789")
    assert bundle.min_confidence == 0.25
    for found, given in zip((bundle.golden_input, bundle.golden_output), GOLDEN, strict=True):
        np.testing.assert_array_equal(found, given)
        assert found.dtype == given.dtype


def test_the_flatbuffer_stands_untouched_at_the_front():
    assert written().startswith(FLATBUFFER)


def test_the_same_arguments_give_the_same_bytes(monkeypatch):
    first = written()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert written() == first


def test_other_arguments_give_other_bytes():
    assert written() != written(CONTRACT | {"temperature": 1.5})


def test_the_contract_given_is_left_alone():
    before = json.dumps(CONTRACT)
    written()
    assert json.dumps(CONTRACT) == before


def test_the_zip_is_readable_with_the_standard_library():
    members = unzipped(written())
    assert members["labels.txt"].decode().split() == list("0123456789")
    assert json.loads(members["digit.json"])["normaliser"] == CONTRACT["normaliser"]
    assert set(members) == {"labels.txt", "digit.json", "golden_input.npy", "golden_output.npy"}


def test_a_bare_flatbuffer_has_an_empty_contract_and_the_ten_digits():
    bundle = parse_bundle("some.tflite", FLATBUFFER)
    assert bundle.contract == {}
    assert bundle.labels == tuple("0123456789")
    assert bundle.min_confidence == 0.0
    assert len(bundle.golden_input) == len(bundle.golden_output) == 0


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\3\4" * 9, b"{}" * 50], ids=["empty", "short", "zip", "text"])
def test_what_is_no_tflite_file_is_refused(content):
    assert "is not a TFLite model" in refusal(content)


@pytest.mark.parametrize("other", [7, None, "\x1b\n"], ids=repr)
def test_another_format_version_is_refused_and_named(other):
    changed = json.loads(unzipped(written())["digit.json"]) | {"format": other}
    assert f"format {other!r}, this digit-infer reads 1" in refusal(with_members(digit_json=json.dumps(changed)))


def test_another_normaliser_version_is_refused_and_named():
    reason = refusal(written(CONTRACT | {"normaliser": {"version": 99}}))
    assert "normaliser 99" in reason
    assert f"has {parameters.VERSION}" in reason
    assert "export it again" in reason


def test_other_parameters_of_the_normaliser_are_refused():
    others = asdict(parameters.PARAMETERS) | {"box": 19}
    changed = CONTRACT | {"normaliser": {"version": parameters.VERSION, "parameters": others}}
    assert "other parameters; export it again" in refusal(written(changed))


@pytest.mark.parametrize("place", [9, 100, len(FLATBUFFER) - 1])
def test_a_flipped_byte_in_the_flatbuffer_is_refused(place):
    content = bytearray(written())
    content[place] ^= 1
    assert "is damaged" in refusal(bytes(content))


@pytest.mark.parametrize("text", [b"0\n1\n2", b'"accuracy"', b"NUMPY"], ids=["labels", "contract", "golden"])
def test_a_flipped_byte_in_a_member_of_the_zip_is_refused(text):
    content = bytearray(written())
    content[content.index(text) + 1] ^= 1
    assert "is damaged" in refusal(bytes(content))


@pytest.mark.parametrize("member", ["labels_txt", "digit_json", "golden_input_npy", "golden_output_npy"])
def test_a_zip_that_lacks_a_member_is_refused(member):
    assert "is damaged" in refusal(with_members(**{member: None}))


@pytest.mark.parametrize(
    "contract",
    ["", "{", "[]", "null", '{"format": 1}', '{"format": 1, "normaliser": 1}', '{"format": 1, "normaliser": {}}'],
)
def test_a_contract_that_lacks_what_is_needed_is_refused(contract):
    refusal(with_members(digit_json=contract))


def test_a_contract_without_the_flatbuffers_digest_is_refused():
    refusal(with_members(digit_json=json.dumps(CONTRACT | {"format": FORMAT})))


@pytest.mark.parametrize("array", [b"", b"\x93NUMPY", b"no array"], ids=["empty", "cut", "text"])
def test_golden_vectors_that_are_no_array_are_refused(array):
    assert "is damaged" in refusal(with_members(golden_input_npy=array))


def test_a_pickle_in_place_of_golden_vectors_is_never_loaded():
    file = io.BytesIO()
    np.save(file, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    assert "is damaged" in refusal(with_members(golden_input_npy=file.getvalue()))


def test_a_file_cut_short_within_the_zip_does_not_pass_for_a_bare_model():
    content = written()
    for length in range(len(FLATBUFFER) + 30, len(content), 97):
        assert "is damaged" in refusal(content[:length])


def test_no_flipped_byte_in_the_zip_goes_unnoticed_or_ends_in_a_traceback():
    content, whole = written(), parse_bundle("some.tflite", written())
    for place in range(len(FLATBUFFER), len(content), 3):
        changed = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        try:
            bundle = parse_bundle("some.tflite", changed)
        except ModelError:
            continue
        assert bundle.contract == whole.contract
        np.testing.assert_array_equal(bundle.golden_output, whole.golden_output)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_whole(name):
    bundle = read_bundle(name)
    assert bundle.contract["format"] == FORMAT
    assert bundle.contract["normaliser"]["version"] == parameters.VERSION
    assert bundle.labels == (*"0123456789", *["none"] * (name == "base"))
    assert len(bundle.golden_input) == len(bundle.golden_output) > 0


def test_a_model_is_read_from_a_path(tmp_path):
    (tmp_path / "mine.tflite").write_bytes(written())
    bundle = read_bundle(str(tmp_path / "mine.tflite"))
    assert bundle.content == written()


@pytest.mark.parametrize("missing", ["no-such.tflite", "huge", "."])
def test_a_model_that_cannot_be_read_is_named_with_those_that_ship(missing):
    with pytest.raises(ModelError, match="base, small, nano") as caught:
        read_bundle(missing)
    assert missing in str(caught.value)
