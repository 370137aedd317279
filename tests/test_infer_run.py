"""One run over mixed pictures: the same rows from any number of workers, whatever happens to a picture."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess

import pytest
from click.testing import CliRunner
from PIL import Image

from digit_infer import found
from digit_infer.cli import main


def infer(*arguments, input=None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=input)


def csv_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def images(samples, tmp_path):
    """Pictures of all kinds and sizes, among them two that cannot be read and a blank one."""
    folder = tmp_path / "images"
    shutil.copytree(samples / "harder", folder / "harder")
    shutil.copytree(samples / "digits" / "7", folder / "7")
    (folder / "7" / "00000.png").write_bytes(b"\x89PNG")
    (folder / "harder" / "0" / "a.jpg").write_bytes(b"")
    Image.new("L", (1200, 900), 250).save(folder / "blank.png")
    return folder


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_any_number_of_workers_writes_the_same_bytes(name, images, tmp_path):
    files = [tmp_path / f"{workers}-{name}" for workers in (1, 2, 3, 16)]
    for workers, path in zip((1, 2, 3, 16), files, strict=True):
        arguments = "--workers", workers, "--batch-size", 3, "--labels", "folders", "-o", path
        assert infer(images, *arguments).exit_code == 3
    assert len(files[0].read_bytes().splitlines()) >= 40
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_a_picture_that_goes_while_the_run_is_on_becomes_an_error(workers, images, monkeypatch):
    images = images / "7"
    last = sorted(images.iterdir())[-1]
    read = found.read_picture

    def read_and_take_away(path):
        last.unlink(missing_ok=True)
        return read(path)

    expected = csv_rows(infer(images).stdout)
    monkeypatch.setattr(found, "read_picture", read_and_take_away)
    result = infer(images, "--workers", workers, "--batch-size", 1)
    rows = csv_rows(result.stdout)
    assert (result.exit_code, len(rows)) == (3, 10)
    assert rows[:-1] == expected[:-1]
    assert rows[-1] == dict.fromkeys(rows[-1], "") | {
        "path": str(last),
        "status": "error",
        "reason": "no such file or directory",
    }


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed its reader (SIGKILL)"),
        (lambda: os._exit(3), "killed its reader (exit 3)"),
    ],
    ids=["SIGKILL", "exit 3"],
)
@pytest.mark.parametrize("names", [["blank.png"], ["7/00017.png", "harder/9/turned_by_exif-00241.jpg"]], ids=len)
def test_a_picture_that_kills_its_reader_gets_its_row_and_so_do_all_others(names, death, reason, images, monkeypatch):
    killers, read = {str(images / name) for name in names}, found.read_picture
    assert all(map(os.path.exists, killers))
    expected = csv_rows(infer(images, "--labels", "folders").stdout)
    monkeypatch.setattr(found, "read_picture", lambda path: death() if path in killers else read(path))
    result = infer(images, "--labels", "folders")
    assert result.exit_code == 3
    for row, before in zip(csv_rows(result.stdout), expected, strict=True):
        if row["path"] in killers:
            given_up = {"path": row["path"], "status": "error", "reason": reason, "expected": before["expected"]}
            assert row == dict.fromkeys(row, "") | given_up
        else:
            assert row == before


def test_the_summary_as_json_holds_the_counts(images, tmp_path):
    (images / "notes.txt").write_text("no picture")
    result = infer(images, "--labels", "folders", "--summary", tmp_path / "summary.json", "--quiet")
    summary, rows = json.loads((tmp_path / "summary.json").read_text()), csv_rows(result.stdout)
    counts = summary["counts"]
    statuses = [row["status"] for row in rows]
    assert {name: counts[name] for name in ("ok", "rejected", "error")} == {
        name: statuses.count(name) for name in ("ok", "rejected", "error")
    }
    assert (counts["pictures"], counts["error"], counts["skipped"]) == (len(rows), 2, 1)
    known = [row for row in rows if row["expected"]]
    assert counts["expected"] == len(known) == len(rows) - 1
    assert counts["right"] == sum(row["status"] == "ok" and row["digit"] == row["expected"] for row in known)
    assert sum(map(sum, counts["confusion"])) == sum(bool(row["digit"]) for row in known)
    assert summary["parity"] is None
    assert summary["seconds"] > 0


def test_the_summary_has_the_comparison_too(images, tmp_path):
    infer(images / "7", "--against", "base", "--summary", tmp_path / "summary.json")
    assert json.loads((tmp_path / "summary.json").read_text())["parity"]["agreement"] == 1


def test_a_summary_goes_through_a_link_and_into_a_pipe(images, tmp_path, run_cli):
    (tmp_path / "link.json").symlink_to("summary.json")
    command = str(images / "7"), "-m", "nano", "--quiet", "--summary"
    run_cli(*command, str(tmp_path / "link.json"))
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["pictures"]
    piped = run_cli(*command, "/dev/stdout").stdout
    with (tmp_path / "both").open("wb") as both:
        run_cli(*command, "/dev/stdout", stdout=both)
    for written in (piped, (tmp_path / "both").read_bytes()):
        rows, summary = written[: written.index(b"{")], written[written.index(b"{") :]
        assert json.loads(summary)["counts"]["pictures"] == rows.count(b"\n") - 1 > 0


OTHERS = {
    "picture": b"\x89PNG",
    "table": b"path,label\n",
    "list": b"[]",
    "rows": b'{"path": "a"}\n{"path": "b"}\n',
    "number": b"7",
    "null": b"null",
    "text": b'"steps"',
    "run record": b'{"counts": {}, "parity": null, "options": {}}',
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("arguments", [[], ["--benchmark"]], ids=["counts", "benchmark"])
def test_a_summary_replaces_an_earlier_summary_alone(arguments, content, images, tmp_path):
    (tmp_path / "other").write_bytes(content)
    result = infer(images / "7", *arguments, "--summary", tmp_path / "other")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path}/other is no summary; give --summary another name\n"
    assert (tmp_path / "other").read_bytes() == content


@pytest.mark.parametrize("arguments", [[], ["--benchmark"]], ids=["counts", "benchmark"])
def test_an_earlier_summary_is_replaced(arguments, images, tmp_path):
    (tmp_path / "summary.json").touch()
    for _ in range(2):
        result = infer(images / "7", "-m", "nano", *arguments, "--summary", tmp_path / "summary.json")
        assert (tmp_path / "summary.json").read_bytes().endswith(b"}\n"), result.stderr
        (tmp_path / "summary.json").write_bytes((tmp_path / "summary.json").read_bytes() + b" ")


def test_rows_never_replace_the_table_of_labels(images, tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.png,7\n")
    given = tmp_path / "labels.csv", tmp_path / "images/../labels.csv"
    result = infer(images / "7", "--labels", given[0], "-o", given[1], "--force")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "-o would replace the table" in result.stderr
    assert (tmp_path / "labels.csv").read_text() == "path,label\na.png,7\n"


def test_a_summary_that_cannot_be_written_is_one_line(images):
    result = infer(images / "7", "--summary", "/proc/summary.json", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot write /proc/summary.json: ")
    assert result.stderr.count("\n") == 1


def test_a_list_on_stdin_is_read_in_its_order(images):
    paths = sorted(map(str, (images / "harder").glob("*/*.*")), reverse=True)
    result = infer("-", input="\n".join(["", *paths, str(images / "gone.png"), ""]))
    rows = csv_rows(result.stdout)
    assert result.exit_code == 3
    assert [row["path"] for row in rows] == [*paths, str(images / "gone.png")]
    assert rows[-1]["reason"] == "no such file or directory"
    with_status = {row["path"]: row for row in csv_rows(infer(images / "harder").stdout)}
    assert rows[:-1] == [with_status[path] for path in paths]


def test_a_list_on_stdin_stands_where_it_was_named(images):
    first, last = str(images / "blank.png"), str(images / "7")
    listed = sorted(map(str, (images / "harder" / "3").iterdir()))
    rows = csv_rows(infer(first, "-", last, input="".join(f"{path}\n" for path in listed)).stdout)
    assert [row["path"] for row in rows][: 1 + len(listed)] == [first, *listed]
    assert len(rows) == 1 + len(listed) + len(list((images / "7").iterdir()))


def test_each_name_of_a_slow_list_has_its_row_before_the_next_is_there(sample_files, start_cli, time_limit):
    with time_limit(30), start_cli("-", "--quiet", stdin=subprocess.PIPE) as process:
        for path in sample_files[:3]:
            process.stdin.write(os.fsencode(path) + b"\n")
            process.stdin.flush()
            while not (line := process.stdout.readline()).startswith(os.fsencode(path)):
                assert line.startswith(b"path,")
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_list_on_a_stdin_that_does_not_block_is_read_to_its_end(sample_files, start_cli, time_limit):
    listed, written = os.pipe()
    os.set_blocking(listed, False)
    with time_limit(30), start_cli("-", "--quiet", stdin=listed) as process, open(written, "wb", buffering=0) as names:
        for path in sample_files[:3]:
            names.write(os.fsencode(path) + b"\n")
            while not process.stdout.readline().startswith(os.fsencode(path)):
                pass
        names.close()
        assert process.stdout.read() == b""
    os.close(listed)
    assert process.returncode == 0


def test_a_list_written_on_windows_is_read(sample_files):
    result = infer("-", input="".join(f"{path}\r\n" for path in sample_files[:2]).encode("utf-8-sig"))
    assert [row["path"] for row in csv_rows(result.stdout)] == list(map(str, sample_files[:2]))


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_list_on_stdin_may_hold_any_name(encoding, images, run_cli):
    odd = os.fsencode(images) + b"/a\xff\xc3\xa4.png"
    shutil.copy(images / "7" / "00017.png", odd)
    done = run_cli("-", input=odd + b"\n", env={"PYTHONIOENCODING": encoding})
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert done.stdout.count(b",ok,7,") == 1


def test_a_list_on_stdin_may_end_its_names_with_nul(images, monkeypatch):
    monkeypatch.setattr("digit_infer.sources.LIST_PART", 100)
    paths = sorted(map(str, (images / "7").iterdir()))
    odd = shutil.copy(paths[0], images / "7/x\n\n.png")
    result = infer("-", input="".join(f"{path}\0" for path in [*paths, odd]))
    assert [row["path"] for row in csv_rows(result.stdout)] == [*paths, str(odd)]
    assert "no such file" not in result.stdout
    lines = infer("-", input="\r\n".join(paths) + f"\0{odd}\n")
    assert [row["path"] for row in csv_rows(lines.stdout)] == [*paths, f"{images}/7/x", ".png"]


def test_the_last_name_of_a_list_needs_no_line_feed(sample_files):
    paths = list(map(str, sample_files[:3]))
    assert [row["path"] for row in csv_rows(infer("-", input="\n".join(paths)).stdout)] == paths


def test_a_name_that_begins_like_a_picture_is_a_name(png, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GIF89a.png").write_bytes(png)
    assert "\nGIF89a.png,ok," in infer("-", input="GIF89a.png\n").stdout


def test_a_picture_on_stdin_is_one_line(png):
    result = infer("-", input=png)
    line = "Error: - stands for a list of paths, and this is a picture; save it to a file and name that\n"
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_an_empty_list_on_stdin_is_one_line():
    result = infer("-", input="\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: no pictures there")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_list_on_stdin_can_be_gone_on_with(suffix, images, tmp_path):
    listed = "".join(f"{path}\n" for path in sorted((images / "harder").glob("*/*.*")))
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"rows{suffix}"
    for output in (whole, path):
        infer("-", "-o", output, input=listed)
    content = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.partial").write_bytes(content[: len(content) // 2])
    assert infer("-", "-o", path, "--resume", input=listed).exit_code == 3
    assert path.read_bytes() == whole.read_bytes()
