"""--labels FILE.csv: a table says what is expected of each picture, and what is wrong with the table is one line."""

import csv
import io
import json
import os
import shutil

import pytest
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.errors import InputError
from digit_infer.labels import read_labels


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rows_in(result):
    """Those on stdout."""
    return list(csv.DictReader(io.StringIO(result.stdout)))


def expected_in(result):
    """By file name."""
    return {os.path.basename(row["path"]): row["expected"] for row in rows_in(result)}


@pytest.fixture
def data(samples, tmp_path, monkeypatch):
    """The working folder, with samples in images/0 to 9."""
    shutil.copytree(samples / "digits", tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(data):
    """All of them, relative to the working folder."""
    return [path.relative_to(data) for path in sorted((data / "images").glob("*/*.png"))]


def write_table(path, paths, header="path,label"):
    path.parent.mkdir(exist_ok=True)
    lines = [f"{written},{digit}" for written, digit in paths.items()]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


WAYS = {
    "relative to the table": ("images/labels.csv", lambda path: path.relative_to("images")),
    "up from the table": ("tables/labels.csv", lambda path: f"../{path}"),
    "relative to the working folder": ("tables/labels.csv", lambda path: path),
    "with a dot": ("tables/labels.csv", lambda path: f"./{path}"),
    "relative to the only input": ("tables/labels.csv", lambda path: path.relative_to("images")),
    "absolute": ("tables/labels.csv", os.path.abspath),
}


@pytest.mark.parametrize("given", ["images", "./images/", os.path.abspath], ids=["folder", "with a dot", "absolute"])
@pytest.mark.parametrize(("table", "written"), WAYS.values(), ids=WAYS)
def test_the_accuracy_is_that_of_folders_however_paths_are_written(table, written, given, data, pictures):
    given = given("images") if callable(given) else given
    write_table(data / table, {written(path): path.parent.name for path in pictures})
    by_table, by_folder = (infer(given, "--labels", labels) for labels in (table, "folders"))
    assert by_table.exit_code == 0
    assert by_table.stdout == by_folder.stdout
    assert by_table.stderr.splitlines()[1:] == by_folder.stderr.splitlines()[1:]
    assert by_table.stderr.splitlines()[1].endswith(" of 100)")


def test_a_picture_that_the_table_does_not_know_has_nothing_expected(data, pictures):
    known = {path.relative_to("images"): 3 for path in pictures[::2]}
    result = infer("images", "--labels", write_table(data / "images" / "labels.csv", known))
    expected = expected_in(result)
    assert [expected[path.name] for path in pictures[::2]] == ["3"] * 50
    assert [expected[path.name] for path in pictures[1::2]] == [""] * 50
    right = sum(row["digit"] == row["expected"] for row in rows_in(result))
    assert f"({right} of 50)" in result.stderr


def test_labels_that_know_no_picture_give_a_warning_and_no_accuracy(data, sample_files):
    write_table(data / "labels.csv", {"elsewhere.png": 7})
    shutil.copy(sample_files[0], "a.png")
    hints = {"labels.csv": "labels.csv gives none of them one", "folders": "none lies in a folder named 0 to 9"}
    for labels, hint in hints.items():
        result = infer("a.png", "--labels", labels)
        assert result.exit_code == 0
        assert "accuracy" not in result.stderr
        assert result.stderr.splitlines()[1:] == [f"warning: no picture has a label: {hint}"]


def test_pictures_of_one_name_in_two_folders_have_each_its_label(data):
    shutil.copy("images/1/" + os.listdir("images/1")[0], "images/1/same.png")
    shutil.copy("images/2/" + os.listdir("images/2")[0], "images/2/same.png")
    write_table(data / "labels.csv", {"images/1/same.png": 1, "images/2/same.png": 2})
    result = infer("images/1/same.png", "images/2/same.png", "--labels", "labels.csv")
    assert "(2 of 2)" in result.stderr


def test_paths_are_relative_to_the_table_first(data, monkeypatch):
    write_table(data / "labels.csv", {"images/a.png": 3, "a.png": 4})
    monkeypatch.chdir(data / "images")
    expected = read_labels("../labels.csv")
    assert (expected("a.png"), expected("../a.png"), expected("images/a.png")) == (3, 4, 3)


def test_a_label_of_a_picture_beside_the_table_is_of_no_other(data):
    shutil.copy("images/1/" + os.listdir("images/1")[0], "a.png")
    shutil.copy("images/2/" + os.listdir("images/2")[0], "images/a.png")
    write_table(data / "labels.csv", {"a.png": 1})
    result = infer("images", "a.png", "--labels", "labels.csv")
    assert "(1 of 1)" in result.stderr
    assert set(expected_in(infer("images", "--labels", "labels.csv")).values()) == {""}


def test_paths_in_an_archive_are_relative_to_it(data, pictures):
    shutil.make_archive("images", "zip", "images")
    write_table(data / "tables/labels.csv", {path.relative_to("images"): path.parent.name for path in pictures})
    result = infer("images.zip", "--labels", "tables/labels.csv")
    assert [row["expected"] for row in rows_in(result)] == [row["path"].split("/")[1] for row in rows_in(result)]
    assert "(100 of 100)" in result.stderr


def test_of_several_inputs_none_is_what_paths_are_relative_to(data):
    for folder, digit in (("train", 1), ("test", 2)):
        shutil.copytree(f"images/{digit}", folder)
    names = {path.name: 1 for path in (data / "train").iterdir()}
    write_table(data / "train/labels.csv", names)
    result = infer("train", "test", "--labels", "train/labels.csv")
    assert [row["expected"] for row in rows_in(result)] == ["1"] * 10 + [""] * 10


@pytest.mark.parametrize("header", ["path,label", "file,digit", "filename,expected", "image,class", "\ufefffile,label"])
def test_the_usual_names_of_columns_are_known(header, data):
    table = write_table(data / "labels.csv", {"images/7/a.png": 7}, header)
    assert read_labels(str(table))("images/7/a.png") == 7


@pytest.mark.parametrize(
    "table",
    [
        "path;label\r\nimages/a.png;7\r\n",
        "path\tlabel\nimages/a.png\t7\n",
        "Path, Label\nimages/a.png, 7\n",
        "path,label\nimages/a.png,7.0\n",
        "path,label\nimages/a.png,7.00\n",
        "path,label\nimages/a.png,07\n",
    ],
    ids=["semicolons", "tabs", "capitals and blanks", "as a float", "with two decimals", "with a zero"],
)
def test_tables_as_other_programs_write_them_are_read(table, data):
    (data / "labels.csv").write_bytes(table.encode())
    assert read_labels("labels.csv")("images/a.png") == 7


def test_an_empty_label_is_none(data):
    (data / "labels.csv").write_text("path,label\na.png,\nb.png\nc.png,3\n")
    expected = read_labels("labels.csv")
    assert [expected(name) for name in ("a.png", "b.png", "c.png")] == [None, None, 3]


def test_in_a_table_of_rows_the_expected_digit_counts_and_not_the_one_read(data):
    infer("images/7", "--labels", "folders", "-o", "rows.csv")
    text = (data / "rows.csv").read_text()
    assert text.count(",7\n") == 10
    (data / "truth.csv").write_text(text.replace(",7\n", ",8\n"))
    assert "accuracy 0.00 % (0 of 10)" in infer("images/7", "--labels", "truth.csv").stderr


@pytest.mark.parametrize("given", ["a.png", "./a.png", "."])
def test_the_folder_that_one_works_in_has_a_name_too(given, data, sample_files, monkeypatch):
    (data / "in/7").mkdir(parents=True)
    shutil.copy(sample_files[70], data / "in/7/a.png")
    monkeypatch.chdir(data / "in/7")
    assert list(expected_in(infer(given, "--labels", "folders")).values()) == ["7"]


def test_the_accuracy_says_what_it_leaves_out_and_what_is_right_of_that_read(data, pictures):
    known = {path.relative_to("images"): path.parent.name for path in pictures[:90]}
    table = write_table(data / "images" / "labels.csv", known)
    result = infer("images", "--labels", table, "--min-confidence", "0.99", "--summary", "summary.json")
    counts = json.loads((data / "summary.json").read_text())["counts"]
    assert 0 < counts["right"] <= counts["accepted"] < counts["expected"] == 90
    share = f"{100 * counts['right'] / counts['accepted']:.2f} % of the {counts['accepted']} that are ok"
    assert f"({counts['right']} of 90), {share}; 10 have no label" in result.stderr


def test_further_columns_and_any_order_do_not_matter(data):
    (data / "labels.csv").write_text('label,note,path\r\n 7 ,"a, b","images/a ""7"",\n.png"\r\n')
    assert read_labels("labels.csv")('images/a "7",\n.png') == 7


def test_members_of_an_archive_can_have_labels(data, pictures):
    shutil.make_archive("a", "zip", "images")
    write_table(data / "labels.csv", {f"a.zip/{path.relative_to('images')}": path.parent.name for path in pictures})
    by_table, by_folder = (infer("a.zip", "--labels", labels) for labels in ("labels.csv", "folders"))
    assert by_table.stdout == by_folder.stdout
    assert " of 100)" in by_table.stderr


def test_a_name_that_gets_a_dot_in_front_has_its_label_all_the_same(data, sample_files):
    shutil.copy(sample_files[70], "=7.png")
    write_table(data / "labels.csv", {"=7.png": 7})
    assert expected_in(infer("=7.png", "--labels", "labels.csv")) == {"=7.png": "7"}


def test_a_name_that_is_not_utf8_has_its_label(data):
    (data / "labels.csv").write_bytes(b"path,label\na\xff.png,7\n")
    assert read_labels("labels.csv")(os.fsdecode(b"a\xff.png")) == 7


def test_a_name_that_is_not_utf8_has_the_label_of_its_row(data, sample_files):
    name = os.fsdecode(b"images/7/\xff.png")
    shutil.copy(sample_files[70], name)
    infer("images/7", "--labels", "folders", "-o", "rows.csv")
    assert expected_in(infer("images/7", "--labels", "rows.csv"))[r"\udcff.png"] == "7"


FAULTS = {
    "label of two digits": ("path,label\na.png,7\nb.png,17\n", "line 3: label '17' is not 0 to 9"),
    "word": ("path,label\na.png,seven\n", "line 2: label 'seven' is not 0 to 9"),
    "minus": ("path,label\na.png,-1\n", "line 2"),
    "superscript": ("path,label\na.png,\N{SUPERSCRIPT TWO}\n", "line 2"),
    "two labels": ("path,label\na.png,7\n./a.png,7\nx/../a.png,1\n", "line 4: 'x/../a.png' has another label"),
    "fraction": ("path,label\na.png,7.5\n", "line 2"),
    "no column of labels": ("path,truth\na.png,7\n", "its header is 'path,truth'"),
    "no column of paths": ("picture,label\na.png,7\n", "needs a column path or file"),
    "no header": ("a.png,7\n", "needs a column path or file"),
    "empty": ("", "needs a column path or file"),
}


@pytest.mark.parametrize(("content", "words"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_the_table_is_one_line(content, words, data):
    (data / "labels.csv").write_text(content, encoding="utf-8")
    result = infer("images", "--labels", "labels.csv", "-o", "rows.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: labels.csv")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (data / "rows.csv.partial").exists()


@pytest.mark.parametrize("name", ["nonsense", "gone.csv", "images"])
def test_a_table_that_cannot_be_read_is_one_line(name, data):
    result = infer("images", "--labels", name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: cannot read {name}: ")
    assert result.stderr.count("\n") == 1


def test_a_line_without_a_path_is_no_reason_to_give_up(data):
    (data / "labels.csv").write_text("label,path\n7\n8\n3,a.png\n")
    assert read_labels("labels.csv")("a.png") == 3


@pytest.mark.parametrize("content", [b"\0" * 99, b"\xff\xfe" * 99, b'path,label\n"a' + b"a" * 200_000], ids=len)
def test_what_is_no_table_is_refused(content, data):
    (data / "labels.csv").write_bytes(content)
    with pytest.raises(InputError):
        read_labels("labels.csv")


def test_rows_are_not_gone_on_with_where_the_labels_have_changed_under_their_name(data, pictures):
    arguments = "images", "--labels", write_table(data / "labels.csv", dict.fromkeys(pictures, 7)), "-o", "rows.csv"
    infer(*arguments)
    rows, partial = data / "rows.csv", data / "rows.csv.partial"
    half = rows.read_bytes()[: rows.stat().st_size // 2]
    rows.unlink()
    partial.write_bytes(half)
    write_table(data / "labels.csv", dict.fromkeys(pictures, 1))
    result = infer(*arguments, "--resume")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert "another labels_sha256" in result.stderr
    assert "--force" in result.stderr
    assert (partial.read_bytes(), rows.exists()) == (half, False)
