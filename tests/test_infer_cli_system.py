"""digit-infer where the system or who starts it refuses something: one line, and the rows where they can be had."""

import os
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from digit_infer.bundle import read_bundle


@pytest.fixture
def sevens(samples):
    return samples / "digits" / "7"


@pytest.mark.parametrize("option", ["--help", "--version", "--model-info", "--selftest"])
def test_what_cannot_be_said_on_stdout_is_one_line(option, run_cli):
    with open("/dev/full", "wb") as full:
        done = run_cli(option, stdout=full)
    assert (done.returncode, done.stderr) == (1, b"Error: no space left on device\n")


def test_rows_are_written_although_nothing_can_be_said_on_stderr(sevens, tmp_path, run_cli):
    with open("/dev/full", "wb") as full:
        done = run_cli(str(sevens), "-o", str(tmp_path / "rows.csv"), stderr=full)
    assert done.returncode == 0
    assert (tmp_path / "rows.csv").read_text().count(",ok,7,") == 10


def test_a_working_folder_that_is_gone_is_one_line(sevens, tmp_path, run_cli):
    gone = tmp_path / "gone"

    def leave():
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()

    done = run_cli("-", "--summary", "s.json", input=os.fsencode(sevens / "00017.png"), preexec_fn=leave)
    assert (done.returncode, done.stderr) == (1, b"Error: no such file or directory\n")


def test_too_few_file_descriptors_ask_for_fewer_workers(sevens, run_cli):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    done = run_cli(str(sevens), "--workers", "10", "--batch-size", "1", preexec_fn=few)
    line = b"Error: cannot start a process (Too many open files); --workers asks for fewer\n"
    assert (done.returncode, done.stderr) == (1, line)


def test_too_little_memory_for_an_array_is_one_line(tmp_path, run_cli):
    def little():
        resource.setrlimit(resource.RLIMIT_AS, (800_000_000, 800_000_000))  # less than twice the array

    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": True, "shape": (2**19, 784)})
        file.truncate(2**19 * 784 + file.tell())
    done = run_cli(str(tmp_path / "a.npy"), "-m", "nano", "--workers", "1", preexec_fn=little)
    assert (done.returncode, done.stderr) == (1, b"Error: not enough memory; a smaller --batch-size needs less\n")


def test_started_by_who_ignores_the_end_of_processes_it_comes_to_its_own(sevens, tmp_path, run_cli):
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    done = run_cli(str(sevens), "-o", str(tmp_path / "rows.csv"), preexec_fn=ignore)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert (tmp_path / "rows.csv").read_text().count(",ok,7,") == 10


def test_a_model_name_that_is_not_utf8_is_shown_escaped(tmp_path, run_cli):
    name = os.fsdecode(b"m\xff.tflite")
    (tmp_path / name).write_bytes(read_bundle("nano").content)
    done = run_cli("--model-info", "-m", name, cwd=tmp_path, env={"PYTHONIOENCODING": "utf-8:strict"})
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, b"model: m\\udcff.tflite")


def test_a_pillow_that_cannot_be_loaded_is_an_error_of_one_line(tmp_path):
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL/__init__.py").write_text("raise ImportError('libfoo.so.7: cannot open shared object file')")
    command = [sys.executable, "-m", "digit_infer", "samples/harder"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    line = "libfoo.so.7: cannot open shared object file: digit-infer --doctor says how to fix it"
    assert done.stderr == f"Error: {line}\n"
