"""Data sets to train on, and what is said of broken ones."""

import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from digit_infer.errors import DataError
from digit_train.data import load, split


@pytest.fixture
def arrays(tiny):
    with np.load(tiny) as file:
        return dict(file)


def test_an_npz_with_keras_names_is_read_as_it_is(tiny, arrays):
    digits = load(str(tiny))
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(digits, name), array)


def test_a_suffix_in_capitals_is_one(tiny, tmp_path):
    shutil.copy(tiny, tmp_path / "TINY.NPZ")
    assert load(str(tmp_path / "TINY.NPZ")).digest() == load(str(tiny)).digest()


def test_the_digest_follows_every_array(tiny, arrays, tmp_path):
    arrays["y_test"] = arrays["y_test"][::-1]
    np.savez(tmp_path / "other.npz", **arrays)
    assert load(str(tiny)).digest() == load(str(tiny)).digest() != load(str(tmp_path / "other.npz")).digest()


BROKEN = {
    "a missing array": (lambda a: a.pop("y_test"), "y_test"),
    "a wrong shape": (lambda a: a.update(x_train=a["x_train"][:, :27]), r"x_train is uint8 \(300, 27, 28\)"),
    "float pixels": (lambda a: a.update(x_test=a["x_test"] / 255), "x_test is float64"),
    "too few labels": (lambda a: a.update(y_train=a["y_train"][1:]), "need 300 whole numbers"),
    "a label beyond 9": (lambda a: a.update(y_train=a["y_train"] + 1), "outside 0-9"),
    "a missing class": (
        lambda a: a.update(y_test=np.where(a["y_test"] == 7, 1, a["y_test"])),
        "y_test has no picture of 7",
    ),
    "dark on light": (lambda a: a.update(x_test=255 - a["x_test"]), "x_test is dark on light; .*, 255 - x_test"),
    "levels of 0 and 1": (
        lambda a: a.update(x_train=a["x_train"] // 128),
        "x_train has no level above 1; give grey levels from 0 to 255",
    ),
    "no ink": (lambda a: a.update(x_test=a["x_test"] * 0), "x_test has no level above 0"),
    "pickled objects": (lambda a: a.update(y_test=np.array([{}] * 100, object)), "not an .npz"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_npz_is_refused_in_one_line(case, arrays, tmp_path):
    spoil, words = BROKEN[case]
    spoil(arrays)
    path = tmp_path / "broken.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words) as caught:
        load(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_npz_is_refused(content, tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not an \.npz"):
        load(str(path))


def test_a_member_that_is_no_array_is_refused(tiny, tmp_path):
    path = tmp_path / "broken.npz"
    with zipfile.ZipFile(tiny) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"text" if name == "x_test.npy" else source.read(name))
    with pytest.raises(DataError, match="x_test is "):
        load(str(path))


def test_a_folder_with_a_sub_folder_per_digit_is_read_with_the_normaliser_that_ships(samples, arrays):
    digits = load(str(samples / "digits"))
    assert len(digits.x_train) == 90  # of ten pictures a class, the sixth is for the test
    assert len(digits.x_test) == 10
    np.testing.assert_array_equal(digits.x_test, arrays["x_test"][5::10])
    np.testing.assert_array_equal(digits.y_test, np.arange(10))


def test_a_folder_without_a_class_is_refused(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    shutil.rmtree(tmp_path / "digits" / "4")
    with pytest.raises(DataError, match="no picture of 4"):
        load(str(tmp_path / "digits"))


def test_a_folder_with_too_few_pictures_of_a_class_is_told_which_are_for_the_test(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    for path in sorted((tmp_path / "digits" / "4").iterdir())[5:]:
        path.unlink()
    with pytest.raises(DataError, match="test part, every sixth picture of a class, has no picture of 4"):
        load(str(tmp_path / "digits"))


def test_an_unreadable_picture_is_named(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    (tmp_path / "digits" / "3" / "broken.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"3/broken\.png: not an image; fix or remove it"):
        load(str(tmp_path / "digits"))


def test_a_picture_without_a_single_digit_is_named(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    Image.new("L", (28, 28), 200).save(tmp_path / "digits" / "3" / "empty.png")
    with pytest.raises(DataError, match=r"3/empty\.png: blank; fix or remove it"):
        load(str(tmp_path / "digits"))


def test_of_several_bad_pictures_all_are_counted_and_some_named(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    for number in range(7):
        (tmp_path / f"digits/{number}/broken.png").write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        load(str(tmp_path / "digits"))
    names = [f"{tmp_path}/digits/{number}/broken.png: not an image" for number in range(5)]
    assert str(caught.value) == f"{', '.join(names)}, and 2 more; fix or remove them"


def test_a_folder_without_a_single_class_is_told_what_it_lacks(samples):
    with pytest.raises(DataError, match=r"samples has no sub-folders 0 to 9"):
        load(str(samples))


def test_an_unknown_source_is_refused():
    with pytest.raises(DataError, match=r"--data nowhere: not .mnist., a folder or an \.npz file"):
        load("nowhere")


@pytest.mark.parametrize(("count", "held"), [(60000, 5000), (300, 25), (11, 1)])
def test_the_validation_part_is_disjoint_and_always_the_same(count, held):
    labels = np.random.default_rng(0).integers(0, 10, count).astype(np.uint8)
    train, validation = split(labels, 5000)
    assert len(validation) == held
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(count))
    np.testing.assert_array_equal(split(labels, 5000)[1], validation)


@pytest.mark.parametrize("labels", [np.arange(10).repeat(24), np.tile(np.arange(10), 24)], ids=["sorted", "mixed"])
def test_the_validation_part_holds_the_last_pictures_of_each_class(labels):
    train, validation = split(labels.astype(np.uint8), 5000)
    assert np.bincount(labels[validation]).tolist() == [2] * 10
    for digit in range(10):
        assert train[labels[train] == digit].max() < validation[labels[validation] == digit].min()


def test_what_of_a_folder_is_passed_over_is_told(samples, tmp_path):
    shutil.copytree(samples / "digits", tmp_path / "digits")
    (tmp_path / "digits/4/more.zip").write_bytes(b"PK")
    lines = []
    load(str(tmp_path / "digits"), lines.append)
    assert lines == [f"passed over 1 other files in {tmp_path}/digits, first {tmp_path}/digits/4/more.zip"]
