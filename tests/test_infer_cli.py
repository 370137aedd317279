"""digit-infer as people run it: rows, summary, run record, comparison, exit codes."""

import csv
import io
import json
import shutil
from collections import Counter

import pytest
from click.testing import CliRunner
from PIL import Image

import digit_infer
from digit_infer import found, parameters
from digit_infer.cli import main

HEADER = ["path", "status", "digit", "confidence", "margin", "second", "second_confidence", "reason", "expected"]


def infer(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def csv_rows(text):
    reader = csv.DictReader(io.StringIO(text))
    assert reader.fieldnames == HEADER
    return list(reader)


@pytest.fixture
def digits(samples, tmp_path):
    """Five clear digits in a folder of their own, and their names in order."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for digit in range(5):
        source = sorted((samples / "digits" / str(digit)).glob("*.png"))[1]
        shutil.copy(source, folder / f"{digit}.png")
    return folder


def test_a_csv_file_has_the_header_and_one_row_per_picture_in_order(digits, tmp_path):
    result = infer(digits, "-o", tmp_path / "rows.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    rows = csv_rows((tmp_path / "rows.csv").read_text())
    assert [row["path"] for row in rows] == [str(digits / f"{digit}.png") for digit in range(5)]
    assert [(row["status"], row["digit"], row["reason"]) for row in rows] == [("ok", str(i), "") for i in range(5)]
    for row in rows:
        margin = float(row["confidence"]) - float(row["second_confidence"])
        assert float(row["margin"]) == pytest.approx(margin, abs=1.1e-4)
        assert row["second"] != row["digit"]
        assert row["expected"] == ""


def test_json_lines_hold_the_same_rows(digits, tmp_path):
    infer(digits, "-o", tmp_path / "rows.csv")
    infer(digits, "-o", tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert all(list(line) == HEADER for line in lines)
    as_text = [{key: "" if value is None else str(value) for key, value in line.items()} for line in lines]
    assert as_text == csv_rows((tmp_path / "rows.csv").read_text())
    assert isinstance(lines[0]["digit"], int)
    assert lines[0]["expected"] is None


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "ROWS.CSV", "ROWS.JSONL"])
def test_stdout_gets_rows_in_the_format_that_is_asked_for(digits, tmp_path, name):
    infer(digits, "-o", tmp_path / name)
    result = infer(digits, "--format", name.lower().removeprefix("rows."))
    assert result.stdout == (tmp_path / name).read_text()


def test_a_pipe_gets_a_table_where_it_is_asked_for(digits):
    header, first, *_ = infer(digits, "--format", "table").stdout.splitlines()
    assert header.split() == ["digit", "confidence", "status", "path"]
    assert first.split()[0] == "0"
    assert first.endswith(f"ok        {digits}/0.png")


def test_a_pipe_gets_csv_and_the_summary_goes_to_stderr(digits):
    result = infer(digits)
    assert [row["digit"] for row in csv_rows(result.stdout)] == list("01234")
    assert "5 pictures: 5 ok, 0 rejected, 0 errors; 0 other files skipped;" in result.stderr


def test_the_first_files_that_are_passed_over_are_named(digits):
    names = ["a.pdf", "b\x1b.txt", "c.zip"]
    for name in names:
        (digits / name).touch()
    listed = ", ".join(f"{digits}/{name}" for name in names).replace("\x1b", "\\x1b")
    assert f"3 other files skipped ({listed});" in infer(digits).stderr
    (digits / "d.txt").touch()
    assert f"4 other files skipped ({listed}, ...);" in infer(digits).stderr


def test_quiet_leaves_stderr_empty(digits):
    assert infer(digits, "--quiet").stderr == ""


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_rows_do_not_depend_on_the_batch_size(size, samples):
    assert infer(samples, "--batch-size", size).stdout == infer(samples).stdout


@pytest.mark.parametrize(("model", "right"), [("base", 100), ("small", 98), ("nano", 98)])
def test_labels_from_folders_give_accuracy_and_confusion(model, right, samples):
    result = infer(samples / "digits", "-m", model, "--labels", "folders")
    assert result.exit_code == 0
    pairs = [(int(row["expected"]), int(row["digit"])) for row in csv_rows(result.stdout)]
    assert [expected for expected, _ in pairs] == sorted([*range(10)] * 10)
    agreed = sum(expected == digit for expected, digit in pairs)
    assert agreed >= right
    assert f"accuracy {agreed}.00 % ({agreed} of 100)" in result.stderr
    matrix = [line.split() for line in result.stderr.splitlines()[-10:]]
    assert matrix == [[str(i), *(str(pairs.count((i, j)) or ".") for j in range(10))] for i in range(10)]


def test_the_harder_samples_are_all_read_right(samples):
    result = infer(samples / "harder", "--labels", "folders")
    rows = csv_rows(result.stdout)
    assert result.exit_code == 0
    assert [row["digit"] for row in rows] == [row["expected"] for row in rows]
    assert {row["status"] for row in rows} == {"ok"}
    assert "accuracy 100.00 % (30 of 30)" in result.stderr


def test_a_corrupt_picture_gets_its_error_row_and_leaves_the_others_alone(digits):
    good = csv_rows(infer(digits).stdout)
    (digits / "2b.png").write_bytes((digits / "2.png").read_bytes()[:150])
    result = infer(digits, "--labels", "folders")
    rows = csv_rows(result.stdout)
    assert result.exit_code == 3
    assert rows.pop(3) == dict.fromkeys(HEADER, "") | {
        "path": str(digits / "2b.png"),
        "status": "error",
        "reason": "truncated PNG",
    }
    assert rows == good
    assert "6 pictures: 5 ok, 0 rejected, 1 errors" in result.stderr


def test_a_run_of_nothing_but_errors_still_writes_its_rows(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    result = infer(tmp_path)
    assert result.exit_code == 3
    assert [row["reason"] for row in csv_rows(result.stdout)] == ["an empty file"]


def test_blank_pages_are_rejected_without_a_digit(digits):
    Image.new("L", (50, 50), 255).save(digits / "blank.png")
    Image.new("RGBA", (50, 50), (9, 9, 9, 0)).save(digits / "transparent.png")
    result = infer(digits)
    assert result.exit_code == 0
    for row in csv_rows(result.stdout)[-2:]:
        assert (row["status"], row["digit"], row["confidence"], row["reason"]) == ("rejected", "", "", "blank")


def test_low_confidence_is_rejected_and_keeps_its_best_guess(samples):
    result = infer(samples / "digits", "--labels", "folders", "--min-confidence", "1.0")
    rows = csv_rows(result.stdout)
    assert result.exit_code == 0
    for row in rows:
        expected = ("ok", "") if float(row["confidence"]) == 1 else ("rejected", "low_confidence")
        assert (row["status"], row["reason"]) == expected
    assert "rejected" in {row["status"] for row in rows}
    assert [row["digit"] for row in rows] == [row["expected"] for row in rows]
    all_accepted = csv_rows(infer(samples / "digits", "--min-confidence", "0").stdout)
    assert {row["status"] for row in all_accepted} == {"ok"}


def test_the_run_record_tells_what_made_the_rows(digits, tmp_path, classifier):
    (digits / "notes.txt").write_text("no picture")
    (digits / "bad.png").write_bytes(b"")
    infer(digits, "-o", tmp_path / "rows.csv", "--min-confidence", 0.3)
    record = json.loads((tmp_path / "rows.csv.run.json").read_text())
    assert (record["version"], record["model"]) == (digit_infer.__version__, "base")
    assert record["model_sha256"] == classifier.bundle.sha256
    assert (record["runtime"], record["runtime_version"]) == (classifier.engine.name, classifier.engine.version)
    assert record["normaliser"]["version"] == parameters.VERSION
    assert record["inputs"] == [str(digits)]
    assert record["options"] == {"min_confidence": 0.3, "labels": None}
    assert record["status"] == "complete"
    assert record["counts"] == {"ok": 5, "rejected": 0, "error": 1, "pictures": 6, "skipped": 1}
    assert record["seconds"] > 0
    assert record["parity"] is None


def test_a_model_compared_with_itself_agrees_and_meets_every_gate(samples, tmp_path):
    gates = "--max-accuracy-drop", 0, "--min-agreement", 100
    options = "--against", "base", *gates, "--labels", "folders", "-o", tmp_path / "rows.csv"
    result = infer(samples / "digits", *options)
    assert result.exit_code == 0
    assert "parity of base with base over 100 pictures" in result.stderr
    assert "gate missed" not in result.stderr
    parity = json.loads((tmp_path / "rows.csv.run.json").read_text())["parity"]
    assert (parity["agreement"], parity["accuracy_change"], parity["flips"]) == (1, 0, [])


def test_a_worse_model_misses_its_gates_and_every_flip_is_named(worse_model, samples, tmp_path):
    gates = "--max-accuracy-drop", 0, "--min-agreement", 100
    output = tmp_path / "rows.csv"
    options = "-m", worse_model, "--against", "base", *gates, "--labels", "folders", "-o", output
    result = infer(samples / "digits", *options)
    assert result.exit_code == 4
    assert result.stderr.count("gate missed: ") == 2
    of_base = csv_rows(infer(samples / "digits").stdout)
    pairs = zip(csv_rows(output.read_text()), of_base, strict=True)
    changed = [(row, base["digit"]) for row, base in pairs if row["digit"] != base["digit"]]
    assert changed
    for row, before in changed:
        flip = f"{row['path']}: base {before}, {worse_model.name} {row['digit']}, truth {row['expected']}"
        assert flip in result.stderr


def test_the_confusion_matrix_has_the_truth_in_rows_and_what_was_read_in_columns(worse_model, samples):
    result = infer(samples / "digits", "-m", worse_model, "--labels", "folders")
    pairs = Counter((int(row["expected"]), int(row["digit"])) for row in csv_rows(result.stdout))
    matrix = [line.split()[1:] for line in result.stderr.splitlines()[-10:]]
    assert matrix == [[str(pairs[truth, read] or ".") for read in range(10)] for truth in range(10)]
    assert pairs != Counter((read, truth) for truth, read in pairs.elements())


def test_the_better_model_of_the_two_misses_no_accuracy_gate(worse_model, samples):
    options = "--against", worse_model, "--max-accuracy-drop", 0, "--labels", "folders"
    assert infer(samples / "digits", *options).exit_code == 0


def test_without_gates_a_difference_is_no_failure(worse_model, digits):
    result = infer(digits, "-m", worse_model, "--against", "base")
    assert result.exit_code == 0
    assert "top-1 agreement" in result.stderr


def test_a_comparison_where_no_picture_has_a_digit_still_writes_its_rows(tmp_path):
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    infer(tmp_path, "--against", "base", "-o", tmp_path / "rows.csv")
    assert [row["reason"] for row in csv_rows((tmp_path / "rows.csv").read_text())] == ["blank"]


def test_a_label_missing_for_some_pictures_leaves_the_accuracy_gate_missed(samples, digits):
    options = "--against", "base", "--max-accuracy-drop", 1, "--labels", "folders"
    result = infer(samples / "digits" / "7", digits, *options)
    assert result.exit_code == 4
    assert "accuracy is unknown" in result.stderr


def test_a_picture_is_read_once_for_both_models(digits, tmp_path, monkeypatch):
    read, seen = found.read_picture, tmp_path / "seen"

    def noted(path):
        with seen.open("a") as file:  # the workers are processes of their own
            file.write(f"{path}\n")
        return read(path)

    monkeypatch.setattr(found, "read_picture", noted)
    assert infer(digits, "--against", "base").exit_code == 0
    assert sorted(seen.read_text().splitlines()) == [str(digits / f"{digit}.png") for digit in range(5)]
