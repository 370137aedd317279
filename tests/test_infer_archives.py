"""Pictures in archives and arrays are read like the files themselves, in the order given."""

import csv
import gzip
import io
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from archive_files import idx
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.sources import find_images


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_of(*arguments):
    return list(csv.DictReader(io.StringIO(infer(*arguments, "--quiet").stdout)))


def answers(rows):
    """Rows without their paths."""
    return [{key: value for key, value in row.items() if key != "path"} for row in rows]


def zipped(path, files, root):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.relative_to(root))


def tarred(path, files, root):
    with tarfile.open(path, f"w:{path.suffix[1:] if path.suffix != '.tar' else ''}".replace("tgz", "gz")) as archive:
        for file in files:
            archive.add(file, file.relative_to(root))


@pytest.fixture(scope="module")
def held(samples, sample_files, sample_pixels, sample_labels, tmp_path_factory):
    """The 100 sample digits in every kind of file, by its name."""
    folder = tmp_path_factory.mktemp("held")
    zipped(folder / "a.zip", sample_files, samples / "digits")
    for name in ("a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"):
        tarred(folder / name, sample_files, samples / "digits")
    np.save(folder / "a.npy", sample_pixels)
    np.savez_compressed(folder / "a.npz", x_test=sample_pixels, y_test=sample_labels)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(sample_pixels))
    (folder / "t10k-images.idx3-ubyte.gz").write_bytes(gzip.compress(idx(sample_pixels)))
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def as_files(samples):
    """The rows that the sample digits get as files."""
    return rows_of(samples / "digits")


ARRAYS = {
    "a.npy": "a.npy[{}]",
    "a.npz": "a.npz/x_test[{}]",
    "t10k-images-idx3-ubyte": "t10k-images-idx3-ubyte[{}]",
    "t10k-images.idx3-ubyte.gz": "t10k-images.idx3-ubyte.gz[{}]",
}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_an_archive_holds_what_its_files_hold(name, held, as_files, sample_files, samples):
    rows = rows_of(held[name])
    assert answers(rows) == answers(as_files)
    assert [row["path"] for row in rows] == [
        f"{held[name]}/{file.relative_to(samples / 'digits')}" for file in sample_files
    ]


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_holds_what_the_files_hold(name, held, as_files):
    rows = rows_of(held[name])
    assert answers(rows) == answers(as_files)
    assert [row["path"] for row in rows] == [str(held[name].parent / ARRAYS[name].format(i)) for i in range(100)]


def test_all_kinds_are_read_in_the_order_given(held, as_files, sample_files):
    names = sorted(held, reverse=True)
    rows = rows_of(*(held[name] for name in names[:5]), sample_files[42], *(held[name] for name in names[5:]))
    expected = [*answers(as_files) * 5, answers(as_files)[42], *answers(as_files) * 5]
    assert answers(rows) == expected
    assert [row["path"].startswith(str(held[names[0]])) for row in rows[:101]] == [True] * 100 + [False]


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(
    "stored",
    [np.asfortranarray, lambda x: np.asfortranarray(x.reshape(-1, 784).astype(np.int64)), lambda x: x[:, None]],
    ids=["by columns", "as pandas has it", "as PyTorch has it"],
)
def test_an_array_may_be_stored_in_other_ways(stored, suffix, as_files, sample_pixels, tmp_path):
    path = tmp_path / f"a{suffix}"
    array = stored(sample_pixels)
    np.save(path, array) if suffix == ".npy" else np.savez(path, x=array)
    assert answers(rows_of(path)) == answers(as_files)


def test_labels_beside_pictures_are_passed_over(as_files, sample_pixels, sample_labels, tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(sample_pixels))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(sample_labels))
    result = infer(tmp_path / "t10k-*")
    assert "1 other files skipped" in result.stderr
    assert answers(csv.DictReader(io.StringIO(result.stdout))) == answers(as_files)
    np.savez(tmp_path / "a.npz", images=sample_pixels, labels=sample_labels[:, None])
    assert answers(rows_of(tmp_path / "a.npz")) == answers(as_files)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_folders_in_an_archive_say_what_is_expected(name, held):
    result = infer(held[name], "--labels", "folders")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["expected"] for row in rows] == sorted([*"0123456789"] * 10)
    assert f"({sum(row['expected'] == row['digit'] for row in rows)} of 100)" in result.stderr


@pytest.mark.parametrize("workers", [1, 3])
def test_archives_do_not_depend_on_the_number_of_workers(workers, held, as_files):
    assert answers(rows_of(held["a.zip"], held["a.npy"], "--workers", workers)) == answers(as_files) * 2


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.npy", "t10k-images.idx3-ubyte.gz"])
def test_an_archive_can_be_gone_on_with(name, suffix, held, tmp_path):
    path = tmp_path / f"rows{suffix}"
    infer(held[name], "-o", path)
    content = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.partial").write_bytes(content[: len(content) // 2])
    infer(held[name], "-o", path, "--resume")
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_what_is_no_picture_in_an_archive_is_skipped_and_counted(kind, sample_files, tmp_path):
    path, good = tmp_path / f"a.{kind}", sample_files[0].read_bytes()
    members = {
        "notes.txt": b"no picture",
        "./scan.png": good,
        "sub/.hidden.png": good,
        ".hidden/scan.png": good,
        "./..named/scan.png": good,
        "__MACOSX/sub/._scan.png": b"\0\5\x16\7",
        "sub/scan": good,
        "sub/broken.png": b"no picture, but named so",
        "empty": b"",
    }
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("sub") if hasattr(archive, "mkdir") else archive.writestr("sub/", b"")
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            folder, link = tarfile.TarInfo("sub"), tarfile.TarInfo("link")
            folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(folder)
            archive.addfile(link)
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    skipped = []
    found = [one.path.removeprefix(f"{path}/") for one in find_images([str(path)], skipped.append)]
    assert found == ["./scan.png", "sub/scan", "sub/broken.png"]
    names = [one.removeprefix(f"{path}/") for one in skipped]
    assert names == ["link"] * (kind == "tar") + [
        "notes.txt",
        "sub/.hidden.png",
        ".hidden/scan.png",
        "./..named/scan.png",
        "__MACOSX/sub/._scan.png",
        "empty",
    ]
    result = infer(path)
    assert result.exit_code == 3
    assert f"3 pictures: 2 ok, 0 rejected, 1 errors; {len(names)} other files skipped" in result.stderr


def test_a_link_in_a_tar_has_its_row(sample_files, tmp_path):
    (tmp_path / "b.png").symlink_to(shutil.copy(sample_files[0], tmp_path / "a.png"))
    (tmp_path / "c.png").hardlink_to(tmp_path / "a.png")
    tarred(tmp_path / "a.tar", sorted(tmp_path.glob("*.png")), tmp_path)
    reasons = [row["reason"] for row in rows_of(tmp_path / "a.tar")]
    assert reasons == ["", "a link to another file", "a link to another file"]


def test_archives_within_folders_are_left_closed(held, tmp_path):
    (tmp_path / "a.zip").write_bytes(held["a.zip"].read_bytes())
    skipped = []
    assert list(find_images([str(tmp_path)], skipped.append)) == []
    assert skipped == [str(tmp_path / "a.zip")]


@pytest.mark.parametrize("folder", ["idx", "t10k-images-idx3-ubyte", "a.zip", "b.npy"])
@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.xz", "a.zip", "a.npy"])
def test_the_kind_is_that_of_the_name_and_not_of_the_folder(name, folder, held, as_files, tmp_path):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_bytes(held[name].read_bytes())
    assert answers(rows_of(tmp_path / folder / name)) == answers(as_files)
    assert rows_of(tmp_path / folder) == []


def test_suffixes_in_capitals_are_known_too(held, as_files, tmp_path):
    (tmp_path / "A.ZIP").write_bytes(held["a.zip"].read_bytes())
    (tmp_path / "B.Tar.GZ").write_bytes(held["a.tar.gz"].read_bytes())
    assert answers(rows_of(tmp_path / "A.ZIP", tmp_path / "B.Tar.GZ")) == answers(as_files) * 2


FORMS = {
    "one channel": lambda pixels: pixels[..., None],
    "rgb": lambda pixels: np.stack([pixels] * 3, axis=-1),
    "784": lambda pixels: pixels.reshape(100, 784),
    "f4 0-1": lambda pixels: pixels.astype(np.float32) / 255,
    "f8 0-1": lambda pixels: pixels.astype(np.float64) / 255,
    "f2 0-1": lambda pixels: pixels.astype(np.float16) / 255,
    "f4 0-255": lambda pixels: pixels.astype(np.float32),
    "i8": lambda pixels: pixels.astype(np.int64),
    "u2": lambda pixels: pixels.astype(np.uint16) * 257,
    "big-endian": lambda pixels: pixels.astype(">u2") * 257,
    "u2 of little contrast": lambda pixels: pixels.astype(np.uint16) * 4 + 30000,
    "i1, dark below zero": lambda pixels: (pixels.astype(np.int16) - 128).astype(np.int8),
    "u4": lambda pixels: pixels.astype(np.uint32),
    "-1 to 1": lambda pixels: pixels / 127.5 - 1,
    "standardised": lambda pixels: (pixels / 255 - 0.1307) / 0.3081,
}


@pytest.mark.parametrize("change", FORMS.values(), ids=FORMS)
def test_an_array_of_another_shape_or_type_reads_the_same(change, sample_pixels, as_files, tmp_path):
    np.save(tmp_path / "a.npy", change(sample_pixels))
    rows = rows_of(tmp_path / "a.npy")
    assert [(row["status"], row["digit"]) for row in rows] == [(row["status"], row["digit"]) for row in as_files]


@pytest.mark.parametrize("shape", [(2, 784), (2, 28, 28), (2, 28, 28, 3)], ids=str)
def test_mnists_own_format_holds_pictures_of_any_shape(shape, tmp_path):
    (tmp_path / "a-idx3-ubyte").write_bytes(idx(np.zeros(shape, np.uint8)))
    assert [row["path"] for row in rows_of(tmp_path / "a-idx3-ubyte")] == [
        f"{tmp_path}/a-idx3-ubyte[{i}]" for i in (0, 1)
    ]
    assert {row["reason"] for row in rows_of(tmp_path / "a-idx3-ubyte")} == {"blank"}


def test_no_spreadsheet_takes_the_name_of_an_array_for_a_formula(sample_pixels, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("=a.npy", sample_pixels[:1])
    assert [row["path"] for row in rows_of("=a.npy")] == ["./=a.npy[0]"]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
def test_an_array_of_nothing_but_0_and_1_is_black_and_white(dtype, sample_pixels, tmp_path):
    np.save(tmp_path / "a.npy", (sample_pixels > 127).astype(dtype))
    np.save(tmp_path / "b.npy", np.where(sample_pixels > 127, 255, 0).astype(np.uint8))
    assert answers(rows_of(tmp_path / "a.npy")) == answers(rows_of(tmp_path / "b.npy"))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_what_a_picture_of_an_array_reads_as_does_not_depend_on_its_neighbours(dtype, sample_pixels, tmp_path):
    mask = (sample_pixels[:1] > 127).astype(dtype)
    others = sample_pixels.astype(np.int64).clip(max=np.iinfo(dtype).max).astype(dtype)
    np.save(tmp_path / "alone.npy", mask)
    np.save(tmp_path / "among.npy", np.concatenate([others, mask]))
    assert answers(rows_of(tmp_path / "among.npy"))[-1:] == answers(rows_of(tmp_path / "alone.npy"))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_array_of_one_picture_with_its_channels_is_one(channels, sample_pixels, as_files, tmp_path):
    np.save(tmp_path / "a.npy", np.dstack([sample_pixels[0]] * channels))
    (row,) = rows_of(tmp_path / "a.npy")
    assert (row["path"], row["digit"]) == (f"{tmp_path}/a.npy[0]", as_files[0]["digit"])


def test_arrays_of_an_npz_that_hold_no_pictures_do_not_keep_from_reading_those_that_do(sample_pixels, tmp_path):
    np.savez(tmp_path / "a.npz", one_hot=np.eye(10), other=np.zeros((5, 99)), x=sample_pixels[:3])
    rows = rows_of(tmp_path / "a.npz")
    assert [row["path"] for row in rows] == [f"{tmp_path}/a.npz/other", *(f"{tmp_path}/a.npz/x[{i}]" for i in range(3))]
    assert [row["status"] for row in rows] == ["error", "ok", "ok", "ok"]
    assert "this is (5, 99)" in rows[0]["reason"]


def test_a_large_array_is_read_a_part_at_a_time(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1000, 60, 50), np.uint8))
    found = find_images([str(tmp_path / "a.npy")])
    assert [next(found).path for _ in range(2)] == [f"{tmp_path}/a.npy[{i}]" for i in range(2)]
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(128 + 3000 * 700)
    rest = [one.path for one in found]
    assert rest[-1] == str(tmp_path / "a.npy")
    assert 255 <= len(rest) <= 700
