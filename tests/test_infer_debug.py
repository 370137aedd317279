"""--debug-dir shows what the network saw."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from digit_infer.cli import main
from digit_infer.decode import read_picture
from digit_infer.normalise import normalise


@pytest.fixture
def images(samples, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for path in (samples / "harder").glob("3/*"):
        shutil.copy(path, folder)
    (folder / "broken.png").write_bytes(b"nothing")
    Image.new("L", (50, 50), 200).save(folder / "blank.png")
    return folder


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_each_picture_gets_a_card_with_what_the_network_saw(images, tmp_path):
    result = run(images, "--debug-dir", tmp_path / "debug")
    assert result.exit_code == 3
    pictures = sorted(images.iterdir())
    cards = sorted((tmp_path / "debug").glob("0*.png"))
    assert [card.name[:6] for card in cards] == [f"{number:06}" for number in range(1, len(pictures) + 1)]
    for path, card in zip(pictures, cards, strict=True):
        assert path.stem.replace("-", "_") in card.name
        if path.name != "broken.png":
            seen = np.asarray(Image.open(card).convert("L"))[3:168:6, 171::6]
            np.testing.assert_array_equal(seen, normalise(read_picture(path)).pixels)


def test_the_contact_sheet_holds_every_card(images, tmp_path):
    for number in range(40):
        shutil.copy(images / "blank.png", images / f"z{number}.png")
    run(images, "--debug-dir", tmp_path / "debug")
    cards = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "debug").glob("0*.png"))]
    sheets = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "debug").glob("sheet-*.png"))]
    assert len(sheets) == 2
    height, width = cards[0].shape[:2]
    for number, card in enumerate(cards):
        top, left = number % 40 // 5 * (height + 8) + 4, number % 5 * (width + 8) + 4
        np.testing.assert_array_equal(sheets[number // 40][top : top + height, left : left + width], card)


@pytest.mark.parametrize("pattern", ["", "*"])
def test_a_folder_within_one_that_is_read_is_refused(pattern, images):
    result = run(f"{images}{pattern}", "--debug-dir", images / "../images/cards")
    assert result.exit_code == 1
    assert f"--debug-dir lies in {images}, so" in result.stderr
    assert not (images / "cards").exists()


def test_a_folder_with_something_in_it_is_refused_before_anything_is_read(images, tmp_path):
    result = run(images, "-o", tmp_path / "rows.csv", "--debug-dir", images)
    assert result.exit_code == 1
    assert "is not an empty folder" in result.stderr
    assert not (tmp_path / "rows.csv").exists()


def test_a_long_name_is_shortened_to_what_a_file_may_be_called(images, tmp_path):
    (images / "blank.png").rename(images / ("\N{LINEAR B SYLLABLE B008 A}" * 62 + ".png"))
    assert run(images, "--debug-dir", tmp_path / "debug").exit_code == 3
    assert len(list((tmp_path / "debug").glob("0*.png"))) == len(list(images.iterdir()))


@pytest.mark.parametrize("shape", [(1, 2000), (2000, 1)], ids=str)
def test_a_long_thin_picture_has_its_card_too(shape, images, tmp_path):
    Image.fromarray(np.full(shape, 90, np.uint8)).save(tmp_path / "thin.png")
    assert run(tmp_path / "thin.png", "--debug-dir", tmp_path / "debug").exit_code == 0
    (card,) = (tmp_path / "debug").glob("0*.png")
    half = np.asarray(Image.open(card).convert("L"))[:168, :168]
    assert (half == 90).sum() == 166
