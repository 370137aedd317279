"""digit-infer where it cannot go on: one line, the right exit code, nothing half written."""

import json
import os
import re
import shutil
import signal

import pytest
from click.testing import CliRunner

import digit_infer
from digit_infer import found
from digit_infer.bundle import SHIPPED, read_bundle
from digit_infer.cli import main


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_one_line(result, exit_code=1):
    """Exit code, nothing on stdout, one line on stderr and no traceback."""
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert re.fullmatch(r"Error: .+\n", result.stderr)


@pytest.fixture
def digits(samples, tmp_path):
    """A folder with the ten sevens of the samples."""
    return shutil.copytree(samples / "digits" / "7", tmp_path / "7")


@pytest.fixture
def out(tmp_path):
    """An empty folder for output."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_an_existing_output_is_refused_and_left_alone(digits, out):
    (out / "rows.csv").write_text("precious")
    result = infer(digits, "-o", out / "rows.csv")
    assert_one_line(result)
    assert "--force" in result.stderr
    assert [path.name for path in out.iterdir()] == ["rows.csv"]
    assert (out / "rows.csv").read_text() == "precious"


def test_force_replaces_an_existing_output(digits, out):
    (out / "rows.csv").write_text("old")
    assert infer(digits, "-o", out / "rows.csv", "--force").exit_code == 0
    assert len((out / "rows.csv").read_text().splitlines()) == 11
    assert sorted(path.name for path in out.iterdir()) == ["rows.csv", "rows.csv.run.json"]


def test_force_leaves_the_old_output_where_the_run_fails(out):
    (out / "rows.csv").write_text("precious")
    assert_one_line(infer(out, "-o", out / "rows.csv", "--force"))
    assert (out / "rows.csv").read_text() == "precious"


@pytest.fixture
def nothing_read(tmp_path, monkeypatch):
    """Fails the test where a picture was read; the workers are processes of their own, and leave a note."""
    note = tmp_path / "read"
    monkeypatch.setattr(found, "read_picture", lambda path: note.write_text(path))
    yield
    assert not note.exists(), f"{note.read_text()} was read"


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.csv.gz", "rows.xlsx"])
def test_an_unknown_suffix_is_refused_before_anything_is_read(name, digits, out, nothing_read):
    result = infer(digits, "-o", out / name)
    assert_one_line(result)
    assert ".csv or .jsonl" in result.stderr
    assert list(out.iterdir()) == []


def test_a_folder_without_pictures_is_an_error_that_leaves_nothing(out):
    (out / "notes.txt").write_text("no picture")
    result = infer(out, "-o", out / "rows.csv")
    assert_one_line(result)
    assert "no pictures there" in result.stderr
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_missing_input_is_named_before_anything_is_read(digits, out, nothing_read):
    result = infer(digits, out / "gone", "-o", out / "rows.csv")
    assert_one_line(result)
    assert str(out / "gone") in result.stderr
    assert list(out.iterdir()) == []


def test_a_missing_input_leaves_stdout_empty(out):
    assert_one_line(infer(out / "gone"))


def test_an_output_below_a_file_is_refused_in_one_line(digits, out):
    (out / "file").write_text("no folder")
    assert_one_line(infer(digits, "-o", out / "file" / "rows.csv"))


def test_an_output_where_nothing_can_be_written_is_refused_in_one_line(digits):
    assert_one_line(infer(digits, "-o", "/proc/rows.csv"))


def test_force_replaces_what_a_link_points_to(digits, out):
    (out / "kept").mkdir()
    (out / "rows.csv").symlink_to("kept/rows.csv")
    for _ in range(2):
        assert infer(digits, "-o", out / "rows.csv", "--force").exit_code == 0
    assert (out / "rows.csv").is_symlink()
    assert len((out / "kept/rows.csv").read_text().splitlines()) == 11
    assert [path.name for path in (out / "kept").iterdir()] == ["rows.csv"]


def test_an_output_that_is_a_pipe_is_refused(digits, out, time_limit):
    os.mkfifo(out / "rows.csv")
    with time_limit(20):
        assert_one_line(infer(digits, "-o", out / "rows.csv", "--force"))
    assert (out / "rows.csv").is_fifo()


ROWS = "rows.csv", "rows.csv.run.json", "rows.csv.partial", "../7/rows.csv"


@pytest.mark.parametrize("name", ["00017.png", "labels.csv", "other", *ROWS])
@pytest.mark.parametrize(("option", "other"), [("--summary", "--report"), ("--report", "--summary")])
def test_what_is_told_of_the_rows_takes_no_other_files_place(option, other, name, digits, nothing_read):
    (digits / "labels.csv").write_text("path,label\n00017.png,7\n")
    before = {path: path.read_bytes() for path in digits.iterdir()}
    command = [digits / "00017.png", "-o", digits / "rows.csv", "--labels", digits / "labels.csv"]
    result = infer(*command, other, digits / "other", option, digits / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "would replace a file that is read or written" in result.stderr
    assert {path: path.read_bytes() for path in digits.iterdir()} == before


@pytest.mark.parametrize("option", ["--summary", "--report"])
def test_what_is_told_of_the_rows_needs_a_name(option, digits, nothing_read):
    result = infer(digits, option, "-")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{option} needs the name of a file" in result.stderr


@pytest.mark.parametrize(
    "option", ["--model", "--output", "--labels", "--against", "--debug-dir", "--report", "--summary"]
)
def test_an_option_that_is_empty_is_refused(option, digits, nothing_read):
    result = infer(digits, option, "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{option} is empty" in result.stderr


def test_an_input_that_is_empty_is_refused(digits, nothing_read):
    result = infer(digits, "")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "an INPUT is empty" in result.stderr


@pytest.mark.parametrize("option", ["--summary", "--report"])
def test_where_nothing_can_be_told_of_the_rows_none_are_made(option, digits, out, nothing_read):
    if option == "--report":
        pytest.importorskip("jinja2")
    result = infer(digits, "-o", out / "rows.csv", option, "/proc/nowhere/file")
    assert_one_line(result)
    assert result.stderr.startswith("Error: cannot write /proc/nowhere/file: ")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("option", ["--resume", "--watch"])
def test_what_goes_on_with_rows_says_that_it_needs_a_file_and_what_it_goes_without(option, digits, out):
    assert f"{option} goes on with a file of rows: add -o rows.csv" in infer(digits, option).stderr
    without = infer(digits, option, "-o", out / "rows.csv", "--report", "page.html", "--debug-dir", out / "cards")
    assert without.exit_code == 2
    assert f"{option} goes without --debug-dir and --report" in without.stderr


@pytest.mark.parametrize("length", [245, 300])
@pytest.mark.parametrize("option", ["-o", "--debug-dir"])
def test_too_long_a_name_is_one_line(option, length, digits, out):
    result = infer(digits, option, out / f"{'x' * (length if option == '-o' else 300)}.csv")
    assert_one_line(result)
    assert result.stderr.startswith(f"Error: cannot write {out}/x")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--min-confidence", "1.5"],
        ["--min-confidence", "-0.1"],
        ["--min-confidence", "nan"],
        ["--batch-size", "0"],
        ["--workers", "0"],
        ["--resume"],
        ["--resume", "-o", "-"],
        ["--resume", "-o", "rows.csv", "--against", "base"],
        ["--resume", "-o", "rows.csv", "--debug-dir", "cards"],
        ["--resume", "-o", "rows.csv", "--report", "page.html"],
        ["--resume", "-o", "rows.csv", "--force"],
        ["--retry-errors", "-o", "rows.csv"],
        ["--format", "xml"],
        ["--format", "csv", "-o", "rows.jsonl"],
        ["--runtime", "onnx"],
        ["--min-agreement", "99"],
        ["--max-accuracy-drop", "1"],
        ["--max-accuracy-drop", "1", "--against", "base"],
        ["--against", "base", "--min-agreement", "nan"],
        ["--against", "base", "--min-agreement", "-1"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2_with_a_line_of_error(arguments, digits):
    result = infer(digits, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def test_without_arguments_the_help_is_shown():
    result = infer()
    assert result.exit_code == 2
    assert "Usage: " in result.output


def test_options_without_an_input_exit_2():
    assert infer("--quiet").exit_code == 2


@pytest.mark.parametrize("option", ["--model", "--against"])
def test_a_missing_model_is_one_line(option, digits, out):
    result = infer(digits, option, out / "gone.tflite", "-o", out / "rows.csv")
    assert_one_line(result)
    assert "gone.tflite" in result.stderr
    assert list(out.iterdir()) == []


def junk(length):
    return b"\x10\0\0\0TFL3" + bytes(range(256)) * length


@pytest.mark.parametrize(
    "make",
    [
        lambda model: b"",
        lambda model: b"no model " * 99,
        lambda model: junk(0),
        lambda model: junk(40),
        lambda model: model[: len(model) // 50],
        lambda model: model[: len(model) // 2],
        lambda model: model[: len(model) - 30_000],
    ],
    ids=["empty", "text", "name only", "noise", "first 2 %", "first half", "all but the end"],
)
def test_a_garbage_model_is_one_line_and_never_a_crash(make, digits, out, run_cli):
    (out / "model.tflite").write_bytes(make(read_bundle("base").content))
    done = run_cli(str(digits), "-m", str(out / "model.tflite"), "-o", str(out / "rows.csv"), "--quiet")
    assert done.returncode == 1
    assert re.fullmatch(r"Error: .+\n", done.stderr.decode())
    assert [path.name for path in out.iterdir()] == ["model.tflite"]


def test_a_model_given_by_path_reads_like_the_shipped_one(digits, out):
    (out / "mine.tflite").write_bytes(read_bundle("base").content)
    assert infer(digits, "-m", out / "mine.tflite").stdout == infer(digits).stdout


def test_a_bare_model_works_with_a_warning(digits, out):
    bundle = read_bundle("base")
    (out / "bare.tflite").write_bytes(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    result = infer(digits, "-m", out / "bare.tflite")
    assert result.exit_code == 0
    assert "no contract" in result.stderr
    assert result.stdout == infer(digits).stdout


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_an_interrupt_exits_130_and_leaves_whole_rows_under_another_name(number, after, digits, out, monkeypatch):
    read, seen, main_process = found.read_picture, [], os.getpid()

    def interrupted(path):
        seen.append(path)
        if len(seen) > after:
            os.kill(main_process, number)
        return read(path)

    infer(digits, "-o", out / "whole.csv")
    monkeypatch.setattr(found, "read_picture", interrupted)
    result = infer(digits, "-o", out / "rows.csv", "--batch-size", "1", "--workers", "1", "--quiet")
    assert result.exit_code == 130
    assert result.stderr.splitlines() == ["interrupted: --resume goes on"]
    assert not (out / "rows.csv").exists()
    whole = (out / "whole.csv").read_text().splitlines()
    rows = (out / "rows.csv.partial").read_text().splitlines()
    assert rows == whole[: len(rows)]
    assert after + 2 <= len(rows) <= after + 3  # the header, what was read, and what was taken already


def test_a_runtime_that_is_not_installed_is_one_line(digits, monkeypatch):
    monkeypatch.setattr("digit_infer.engine.util.find_spec", lambda name: None)
    result = infer(digits, "--runtime", "tflite-runtime")
    assert_one_line(result)
    assert "tflite-runtime: not installed" in result.stderr
    assert "pip install" in result.stderr


@pytest.mark.parametrize("model", SHIPPED)
def test_the_selftest_of_each_model_passes(model):
    result = infer("--selftest", "-m", model)
    assert result.exit_code == 0
    assert f"golden vectors of {model}" in result.stdout


def test_the_selftest_of_a_bare_model_is_one_line(out):
    bundle = read_bundle("base")
    (out / "bare.tflite").write_bytes(bundle.content[: bundle.contract["flatbuffer"]["bytes"]])
    assert_one_line(infer("--selftest", "--quiet", "-m", out / "bare.tflite"))


@pytest.mark.parametrize("model", SHIPPED)
def test_the_model_info_shows_digest_and_contract(model):
    bundle = read_bundle(model)
    result = infer("--model-info", "-m", model)
    assert result.exit_code == 0
    assert f"sha256: {bundle.sha256}" in result.stdout
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert json.loads(lines["normaliser"]) == bundle.contract["normaliser"]


def test_the_version_is_that_of_the_package():
    assert digit_infer.__version__ in infer("--version").stdout
