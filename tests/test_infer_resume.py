"""--resume keeps the rows of an interrupted run, where it was of the same kind, and the file is the same in the end."""

import json
import os
import shutil
from itertools import accumulate

import pytest
from click.testing import CliRunner

from digit_infer.cli import main
from digit_infer.sinks import RowFile

NAMES = ["a,b.png", 'c"d.png', "e\nf.png", "g\rh.png", 'i,"\n\r"\'.png', "j.png", 'x"\n.png']


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, *words):
    """Exit code 1, nothing on stdout, and one line on stderr that has these words."""
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    for word in words:
        assert word in line


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def images(sample_files, tmp_path):
    """Pictures with odd names in a folder 7, and one that is corrupt, fourth in order."""
    folder = tmp_path / "7"
    folder.mkdir()
    for name, source in zip(NAMES, sample_files[::14], strict=False):
        shutil.copy(source, folder / name)
    (folder / "f.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def out(tmp_path):
    """An empty folder for output."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture(params=[".csv", ".jsonl"])
def whole(request, images, out):
    """The path and the content of a complete run's rows."""
    path = out / f"rows{request.param}"
    assert infer(images, "-o", path).exit_code == 3
    return path, path.read_bytes()


@pytest.fixture
def torn(images, out):
    """A run of CSV interrupted in the middle of its fifth row: the path it is to have, and the content to come."""
    path = out / "rows.csv"
    infer(images, "-o", path)
    content = path.read_bytes()
    tear(path, content, content.index(b"f.png") + 70)
    return path, content


def tear(path, content, length):
    """As a run that was killed leaves it: so many bytes under another name."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.partial").write_bytes(content[:length])


def test_every_torn_byte_of_the_last_rows_is_read_again(whole, images):
    path, content = whole
    for length in range(content.rindex(b"/7/", 0, content.rindex(b"/7/")), len(content), 9):
        tear(path, content, length)
        assert infer(images, "-o", path, "--resume").exit_code == 3
        assert path.read_bytes() == content
        assert not path.with_name(f"{path.name}.partial").exists()


def test_all_whole_rows_and_no_others_are_kept_wherever_the_file_is_torn(whole):
    path, content = whole
    rows = RowFile(path)
    header = len(rows.kind.header)
    everything = list(rows.kept_rows(path))
    assert [row.path[row.path.index("/7/") + 3 :] for row in everything] == sorted([*NAMES, "f.png"])
    ends = list(accumulate((len(rows.kind.text([row]).encode()) for row in everything), initial=header))
    assert ends[-1] == len(content)
    for length in [*range(ends[1]), *range(ends[-4], len(content) + 1)]:
        tear(path, content, length)
        keep = sum(end <= length for end in ends[1:])
        assert list(rows.kept_rows(rows.partial)) == everything[:keep]
        rows.open(keep)
        rows.file.close()
        assert rows.partial.read_bytes() == content[: ends[keep]]


def test_the_counts_are_those_of_all_rows(torn, images, out):
    path, _ = torn
    result = infer(images, "-o", path, "--resume", "--summary", out / "summary.json")
    assert "8 pictures: 7 ok, 0 rejected, 1 errors" in result.stderr
    record = json.loads((out / "rows.csv.run.json").read_text())
    assert record["status"] == "complete"
    assert record["counts"] == json.loads((out / "summary.json").read_text())["counts"]
    assert (record["counts"]["pictures"], record["counts"]["error"]) == (8, 1)


def test_what_has_its_row_is_not_read_again(torn, images):
    path, content = torn
    for name in NAMES[:3]:
        (images / name).write_bytes(b"no picture any more")
    infer(images, "-o", path, "--resume")
    assert path.read_bytes() == content


def test_resume_without_anything_to_go_on_with_starts(images, out):
    assert infer(images, "-o", out / "rows.csv", "--resume").exit_code == 3
    infer(images, "-o", out / "other.csv")
    assert (out / "rows.csv").read_bytes() == (out / "other.csv").read_bytes()


def test_resume_of_a_complete_run_changes_nothing(whole, images, out):
    path, _ = whole
    before = contents(out)
    result = infer(images, "-o", path, "--resume")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "8 pictures: 7 ok, 0 rejected, 1 errors" in result.stderr
    assert contents(out) == before


@pytest.mark.parametrize("change", ["one more", "one less"])
def test_resume_of_a_complete_run_whose_inputs_have_changed_is_refused(change, whole, images, out):
    path, _ = whole
    before = contents(out)
    last = sorted(images.iterdir())[-1]
    if change == "one more":
        shutil.copy(last, images / "zz.png")
    else:
        last.unlink()
    named = "zz.png' is not in it" if change == "one more" else "the inputs have changed"
    assert_refused(infer(images, "-o", path, "--resume"), named, "--force")
    assert contents(out) == before


def test_rows_that_another_run_was_to_replace_do_not_pass_for_its_own(whole, images, out):
    record = next(out.glob("*.run.json"))
    record.write_text(record.read_text().replace('"complete"', '"interrupted"'))
    assert_refused(infer(images, "-o", whole[0], "--resume"), "did not end", "--force")


def test_a_run_that_was_to_replace_other_rows_is_gone_on_with(torn, images, out):
    path, content = torn
    path.write_bytes(content[: content.index(b"\n") + 1])  # of a run before the one with --force
    assert infer(images, "-o", path, "--resume").exit_code == 3
    assert path.read_bytes() == content


@pytest.mark.parametrize("options", ["{}", "[]", "null", '{"min_confidence": null}'])
def test_a_record_of_other_options_is_named_whatever_it_holds(options, torn, images, out):
    record = next(out.glob("*.run.json"))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"options": json.loads(options)}))
    assert_refused(infer(images, "-o", torn[0], "--resume"), "another options", "--force")


def test_a_slash_behind_a_folder_makes_no_other_run(torn, images):
    assert infer(f"{images}/", "-o", torn[0], "--resume").exit_code == 3
    assert torn[0].read_bytes() == torn[1]


def test_an_interrupted_run_is_not_overwritten_by_accident(torn, images, out):
    path, _ = torn
    before = contents(out)
    assert_refused(infer(images, "-o", path), "rows.csv.partial exists", "--resume", "--force")
    assert contents(out) == before


def test_force_starts_over(torn, images, out):
    path, content = torn
    (images / NAMES[0]).write_bytes(b"no picture any more")
    assert infer(images, "-o", path, "--force").exit_code == 3
    assert path.read_bytes() != content
    assert path.read_text().count("not an image") == 2
    assert sorted(contents(out)) == ["rows.csv", "rows.csv.run.json"]


def other_folder(images):
    return shutil.copytree(images, images.parent / "8")


@pytest.mark.parametrize(
    "change",
    [
        ("model", lambda images: ["-m", "nano"]),
        ("options: min_confidence: null, not 0.9;", lambda images: ["--min-confidence", "0.9"]),
        ('options: labels: null, not "folders";', lambda images: ["--labels", "folders"]),
        ("inputs: ", lambda images: [images]),
    ],
    ids=["model", "threshold", "labels", "one folder more"],
)
def test_rows_of_another_run_are_not_gone_on_with(change, torn, images, out):
    named, more = change
    before = contents(out)
    assert_refused(infer(images, "-o", torn[0], "--resume", *more(images)), f"another {named}", "--force")
    assert contents(out) == before


def test_rows_of_another_folder_are_not_gone_on_with(torn, images, out):
    before = contents(out)
    assert_refused(infer(other_folder(images), "-o", torn[0], "--resume"), "another inputs")
    assert contents(out) == before


def test_the_same_names_in_another_working_folder_are_not_gone_on_with(images, out, monkeypatch):
    monkeypatch.chdir(images.parent)
    infer("7", "-o", out / "rows.csv")
    tear(out / "rows.csv", (out / "rows.csv").read_bytes(), 300)
    before = contents(out)
    shutil.copytree(images, images.parent / "elsewhere/7")
    monkeypatch.chdir(images.parent / "elsewhere")
    assert_refused(infer("7", "-o", out / "rows.csv", "--resume"), "another working_folder", "--force")
    assert contents(out) == before
    monkeypatch.chdir(images.parent)
    assert infer("7", "-o", out / "rows.csv", "--resume").exit_code == 3


CHANGES = {
    "one added before": lambda images: shutil.copy(images / "j.png", images / "b.png"),
    "the first removed": lambda images: (images / NAMES[0]).unlink(),
    "one renamed": lambda images: (images / NAMES[2]).rename(images / "e.png"),
    "only the first left": lambda images: [path.unlink() for path in sorted(images.iterdir())[1:]],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_inputs_that_have_changed_where_rows_are_kept_are_refused(change, torn, images, out):
    change(images)
    before = contents(out)
    assert_refused(infer(images, "-o", torn[0], "--resume"), "the inputs have changed", "--force")
    assert contents(out) == before


def test_a_picture_added_behind_the_place_reached_is_read_too(torn, images):
    path, content = torn
    shutil.copy(images / "j.png", images / "zz.png")
    infer(images, "-o", path, "--resume")
    assert path.read_bytes().startswith(content)
    assert path.read_bytes()[len(content) :].startswith(os.fsencode(images / "zz.png"))


@pytest.mark.parametrize("record", [None, b"", b"{", b"[]", b"null", b"7", b"\xff\xfe"], ids=repr)
def test_without_a_readable_run_record_nothing_is_gone_on_with(record, torn, images, out):
    path, _ = torn
    beside = out / "rows.csv.run.json"
    beside.unlink()
    if record is not None:
        beside.write_bytes(record)
    before = contents(out)
    assert_refused(infer(images, "-o", path, "--resume"), "--force")
    assert contents(out) == before


DAMAGES = {
    "two fields": (".csv", b"a,b\n"),
    "one field more": (".csv", b"a,ok,1,1,1,1,1,,,more\n"),
    "no number": (".csv", b",,,x,,,,,\n"),
    "zeros": (".csv", b"\0" * 50 + b"\n"),
    "not UTF-8": (".csv", b"a" * 99 + b"\xff,ok,1,1,1,1,1,,\n"),
    "a field larger than csv reads": (".csv", b"a" * 200_000 + b",ok,1,1,1,1,1,,\n"),
    "json of a number": (".jsonl", b"7\n"),
    "json of other keys": (".jsonl", b'{"path": "a", "more": 1}\n'),
}


@pytest.mark.parametrize(("suffix", "line"), DAMAGES.values(), ids=DAMAGES)
def test_rows_that_somebody_has_damaged_are_refused(suffix, line, images, out):
    path = out / f"rows{suffix}"
    infer(images, "-o", path)
    path.unlink()
    (out / f"{path.name}.partial").write_bytes(RowFile(path).kind.header + line)
    before = contents(out)
    assert_refused(infer(images, "-o", path, "--resume"), f"{path.name}.partial is damaged", "--force")
    assert contents(out) == before


def test_a_run_killed_just_before_its_file_had_its_name_needs_no_picture_read_again(whole, images, monkeypatch):
    path, content = whole
    path.rename(path.with_name(f"{path.name}.partial"))
    monkeypatch.setattr("digit_infer.found.read_picture", lambda _: pytest.fail("a picture was read"))
    assert infer(images, "-o", path, "--resume").exit_code == 3
    assert path.read_bytes() == content
