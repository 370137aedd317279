"""What the command line names is found: every picture once, in a fixed order, and nothing else."""

import glob
import inspect
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from digit_infer import sources
from digit_infer.errors import InputError
from digit_infer.labels import digit_of_folder
from digit_infer.sources import at_least_one, find_blocks, find_images


def picture(path, kind="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path, kind)
    return str(path)


def text(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no picture")
    return str(path)


def paths(*inputs):
    return [found.path for found in find_images([str(given) for given in inputs])]


def test_a_folder_is_read_to_the_bottom_in_sorted_order(tmp_path):
    names = ["b.png", "a.png", "sub/z.png", "sub/deep/c.png", "another/y.png", "10.png", "9.png"]
    for name in names:
        picture(tmp_path / name)
    expected = ["10.png", "9.png", "a.png", "b.png", "another/y.png", "sub/z.png", "sub/deep/c.png"]
    assert paths(tmp_path) == [str(tmp_path / name) for name in expected]


@pytest.mark.parametrize("count", [3, 4, 9])
def test_of_a_folder_too_large_to_be_sorted_every_picture_is_found_once(count, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LISTED", 3)
    monkeypatch.setattr(sources, "TOGETHER", 2)
    real = os.scandir

    @contextmanager
    def backwards(path):
        yield iter(sorted(real(path), key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr("os.scandir", backwards)
    names = [picture(tmp_path / f"{i}.png") for i in range(count)]
    assert paths(tmp_path) == (names if count <= 3 else names[::-1])


def test_a_folder_that_cannot_be_listed_is_yielded_for_its_row_to_say_so(tmp_path, monkeypatch):
    good, closed, real = picture(tmp_path / "a.png"), tmp_path / "closed", os.scandir
    closed.mkdir()

    def scandir(path):
        if path == str(closed):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    assert paths(tmp_path) == [good, str(closed)]


def test_folders_may_lie_deeper_than_python_recurses(tmp_path):
    good = picture(tmp_path / Path(*"d" * 200) / "a.png")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        assert paths(tmp_path) == [good]
    finally:
        sys.setrecursionlimit(limit)


def test_hidden_files_and_folders_are_left_out(tmp_path):
    good = picture(tmp_path / "a.png")
    picture(tmp_path / ".b.png")
    picture(tmp_path / ".hidden" / "c.png")
    assert paths(tmp_path) == [good]


def test_files_that_are_no_pictures_are_skipped_and_counted(tmp_path):
    good = picture(tmp_path / "a.png")
    others = [text(tmp_path / name) for name in ("notes.txt", "rows.csv", "sub/model.tflite")]
    skipped = []
    assert [found.path for found in find_images([str(tmp_path)], skipped.append)] == [good]
    assert skipped == others


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("name", ["scan", "scan.dat", "scan.png.1"])
def test_a_picture_without_a_known_suffix_is_found_by_its_content(name, kind, tmp_path):
    assert paths(tmp_path) == []
    good = picture(tmp_path / name, kind)
    assert paths(tmp_path) == [good]


@pytest.mark.parametrize("start", [b"MM\0*", b"BM\n\n\n\n\0\0\0\0", b"RIFF\n\0\0\0WEBP"], ids=repr)
def test_the_first_bytes_of_a_picture_are_known_whatever_lies_between(start, tmp_path):
    (tmp_path / "scan").write_bytes(start + bytes(20))
    assert paths(tmp_path) == [str(tmp_path / "scan")]


@pytest.mark.parametrize("name", ["a.JPG", "b.Jpeg", "c.tif", "d.jfif", "e.pgm"])
def test_a_known_suffix_is_enough_so_that_a_damaged_picture_gets_its_row(name, tmp_path):
    broken = text(tmp_path / name)
    assert paths(tmp_path) == [broken]


@pytest.mark.parametrize("content", [b"BMW prices\n1,2\n", b"RIFF\x24\0\0\0WAVEfmt "], ids=["text", "sound"])
def test_a_file_that_only_begins_like_a_picture_is_skipped(content, tmp_path):
    (tmp_path / "file.dat").write_bytes(content)
    assert paths(tmp_path) == []


def test_a_file_named_by_itself_is_always_yielded(tmp_path):
    named = [text(tmp_path / "notes.txt"), picture(tmp_path / ".hidden.png")]
    assert paths(*named) == named


def test_a_hidden_folder_named_by_itself_is_read(tmp_path):
    good = picture(tmp_path / ".hidden" / "a.png")
    assert paths(tmp_path / ".hidden") == [good]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["a.png", "b.png"]),
        ("?.jpg", ["c.jpg"]),
        ("[ab].*", ["a.png", "b.png"]),
        ("**/*.png", ["a.png", "b.png", "sub/d.png", "sub/deep/e.png"]),
        ("s*", ["sub/d.png", "sub/deep/e.png"]),
        ("**", ["a.png", "b.png", "c.jpg", "sub/d.png", "sub/deep/e.png"]),
        ("s**", ["sub/d.png", "sub/deep/e.png"]),
        ("*/**", ["sub/d.png", "sub/deep/e.png"]),
    ],
)
def test_a_glob_stands_for_its_sorted_matches(pattern, expected, tmp_path, monkeypatch):
    real = glob.glob
    monkeypatch.setattr("glob.glob", lambda *given, **options: sorted(real(*given, **options), reverse=True))
    for name in ("b.png", "a.png", "c.jpg", "sub/d.png", "sub/deep/e.png"):
        picture(tmp_path / name)
    assert paths(tmp_path / pattern) == [str(tmp_path / name) for name in expected]


def test_a_name_that_looks_like_a_glob_is_taken_as_it_is(tmp_path):
    odd = picture(tmp_path / "scan[1]*.png")
    picture(tmp_path / "scan1.png")
    assert paths(odd) == [odd]


@pytest.mark.parametrize("missing", ["no-such-folder", "no-such-*.png", "a/b/c.png"])
def test_what_does_not_exist_is_named_before_any_picture_is_found(missing, tmp_path):
    picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="no such file or folder") as caught:
        find_images([str(tmp_path), str(tmp_path / missing)])
    assert str(tmp_path / missing) in str(caught.value)


def test_inputs_keep_the_order_they_were_given_in(tmp_path):
    last, first, middle = picture(tmp_path / "a.png"), picture(tmp_path / "z.png"), picture(tmp_path / "m" / "m.png")
    assert paths(first, tmp_path / "m", last) == [first, middle, last]


def test_a_loop_of_links_ends(tmp_path, time_limit):
    good = picture(tmp_path / "a.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    with time_limit(5):
        assert paths(tmp_path) == [good]


def test_a_link_to_a_picture_is_a_picture_and_a_broken_one_or_one_to_itself_gets_its_row(tmp_path):
    good = picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(good)
    (tmp_path / "c.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "d.png").symlink_to("d.png")
    assert paths(tmp_path) == [good, *(str(tmp_path / name) for name in ("b.png", "c.png", "d.png"))]
    assert paths(tmp_path / "c.png") == [str(tmp_path / "c.png")]


@pytest.mark.parametrize("name", ["pipe", "pipe.png"])
def test_a_named_pipe_in_a_folder_is_skipped_instead_of_waited_for(name, tmp_path, time_limit):
    good = picture(tmp_path / "a.png")
    os.mkfifo(tmp_path / name)
    with time_limit(3):
        assert paths(tmp_path) == [good]


@pytest.mark.parametrize("name", ["=1+1.png", "+1.png", "-1.png", "@a.png", "\t=1.png", "\r=1.png"], ids=repr)
def test_no_spreadsheet_takes_a_name_for_a_formula_and_the_picture_is_read_all_the_same(name, tmp_path, monkeypatch):
    picture(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (found,) = find_images([name])
    assert found.path == f"./{name}"
    assert found.read().shape == (4, 4)


def test_names_that_are_not_utf8_are_found(tmp_path):
    good = picture(tmp_path / "a.png")
    odd = os.fsencode(tmp_path) + b"/b\xff.png"
    os.rename(good, odd)
    (found,) = paths(tmp_path)
    assert os.fsencode(found) == odd


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("test/7/a.png", 7),
        ("/data/0/a.png", 0),
        ("test/10/a.png", None),
        ("test/seven/a.png", None),
        ("7/test/a.png", None),
        ("test/7.png", None),
        ("test/\N{SUPERSCRIPT TWO}/a.png", None),
        ("test/\N{ARABIC-INDIC DIGIT SEVEN}/a.png", None),
    ],
)
def test_a_folder_named_0_to_9_says_what_is_expected(path, expected):
    assert digit_of_folder(path) == expected


def test_the_working_folder_counts_as_the_folder_of_a_bare_name(tmp_path, monkeypatch):
    (tmp_path / "4").mkdir()
    monkeypatch.chdir(tmp_path / "4")
    assert digit_of_folder("a.png") == 4
    assert digit_of_folder(str(Path("sub") / "a.png")) is None


def test_nothing_to_read_is_said_at_once_and_nothing_is_lost_by_looking(tmp_path):
    with pytest.raises(InputError, match="no pictures there"):
        at_least_one(find_blocks([str(tmp_path)]))
    pictures = [picture(tmp_path / name) for name in ("a.png", "b.png")]
    assert [path for block in at_least_one(find_blocks([str(tmp_path)])) for path in block.paths()] == pictures
