"""The first TFLite runtime that really works is used, and what was passed over is named."""

import os
import pwd
import subprocess
from pathlib import Path

import numpy
import pytest

from digit_infer.engine import CANDIDATES, find_engine
from digit_infer.errors import EngineError

WORKS = """
class Interpreter:
    def __init__(self, model_path=None, model_content=None, num_threads=None): self.threads = num_threads
    def allocate_tensors(self): pass
    def invoke(self): pass
"""
FAULTS = {
    "numpy 2": (
        "import sys\nsys.stderr.write('AttributeError: _ARRAY_API not found\\n')\n"
        "class Interpreter:\n    def __init__(self, **_): raise ImportError('numpy.core.multiarray')\n",
        "built for numpy 1",
    ),
    "killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n", "killed by signal 4"),
    "fails at the end": (
        WORKS.replace(
            "def invoke(self): pass", "def invoke(self): raise RuntimeError('no kernel for FULLY_CONNECTED')"
        ),
        "RuntimeError: no kernel for FULLY_CONNECTED",
    ),
    "silent": ("import os\nos._exit(3)\n", "failed without a word"),
}


@pytest.fixture
def probes(monkeypatch):
    """The modules probed in a process of their own, in order."""
    seen, real = [], subprocess.run

    def run(command, **options):
        seen.append(command[3])
        return real(command, **options)

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def test_litert_comes_first_then_tflite_runtime_then_tensorflow():
    assert [candidate.name for candidate in CANDIDATES] == ["litert", "tflite-runtime", "tensorflow"]


def test_the_runtime_of_this_environment_is_found(home):
    found = find_engine()
    assert found.name in ("litert", "tflite-runtime", "tensorflow")
    assert found.version[0].isdigit()


def test_the_first_that_works_is_used_and_no_other_probed(install, probes):
    install(one=WORKS, two=WORKS)
    found = find_engine()
    assert (found.name, found.version, found.skipped) == ("one", "unknown", ())
    assert probes == ["fake_one"]


def test_a_forced_runtime_is_used_although_another_comes_first(install, probes):
    install(one=WORKS, two=WORKS)
    assert find_engine("two").name == "two"
    assert probes == ["fake_two"]


def test_one_that_is_not_installed_is_passed_over_without_a_word(install):
    install(one=None, two=WORKS)
    found = find_engine()
    assert (found.name, found.skipped) == ("two", ())


def test_a_forced_runtime_that_is_not_installed_is_named_with_the_pip_command(install):
    install(one=None, two=WORKS)
    with pytest.raises(EngineError, match=r"one: not installed.*pip install fake-one$") as caught:
        find_engine("one")
    assert "two" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("source", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_runtime_that_does_not_work_is_passed_over_with_the_reason(source, expected, install):
    install(one=source, two=WORKS)
    found = find_engine()
    assert found.name == "two"
    (line,) = found.skipped
    assert line.startswith("one: ")
    assert expected in line
    assert "\n" not in line


@pytest.mark.parametrize(("source", "expected"), FAULTS.values(), ids=FAULTS)
def test_when_none_works_the_error_names_each_with_its_reason(source, expected, install):
    install(one=source, two=None)
    with pytest.raises(EngineError, match="two: not installed") as caught:
        find_engine()
    assert f"one: {expected}" in str(caught.value)


def test_the_line_about_numpy_says_what_to_do(install):
    install(one=FAULTS["numpy 2"][0], two=WORKS)
    assert "pip install 'numpy<2'" in find_engine().skipped[0]


def test_a_success_is_remembered(install, probes, home):
    install(one=WORKS)
    assert find_engine() == find_engine()
    assert probes == ["fake_one"]
    assert any((home / ".cache").rglob("one-*"))


def test_a_failure_is_tried_again_so_that_a_repair_helps(install, probes, tmp_path):
    install(one=FAULTS["silent"][0], two=WORKS)
    assert find_engine().name == "two"
    install(one=WORKS, two=WORKS)
    assert find_engine().name == "one"
    assert probes == ["fake_one", "fake_two", "fake_one"]


def test_another_numpy_is_probed_anew(install, probes, tmp_path, monkeypatch):
    install(one=WORKS)
    find_engine()
    (tmp_path / "numpy.py").touch()
    monkeypatch.setattr(numpy.__spec__, "origin", str(tmp_path / "numpy.py"))
    find_engine()
    assert probes == ["fake_one", "fake_one"]


def test_a_runtime_that_was_installed_again_is_probed_anew(install, probes, tmp_path):
    install(one=WORKS)
    find_engine()
    os.utime(tmp_path / "site" / "fake_one.py", (1, 1))
    find_engine()
    find_engine()
    assert probes == ["fake_one", "fake_one"]


@pytest.mark.parametrize("place", [".", ".cache"])
def test_a_cache_that_cannot_be_written_does_no_harm(place, install, probes, home):
    blocked = home / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("a file where a folder should be")
    install(one=WORKS)
    assert find_engine().name == find_engine().name == "one"
    assert probes == ["fake_one", "fake_one"]


@pytest.mark.parametrize("method", ["exists", "stat", "mkdir", "touch"])
def test_a_cache_that_may_not_be_looked_into_does_no_harm(method, install, home, monkeypatch):
    real = getattr(Path, method)

    def refuse(path, *arguments, **options):
        if home in path.parents:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    install(one=WORKS)
    monkeypatch.setattr(Path, method, refuse)
    assert find_engine().name == "one"


def test_a_user_without_a_home_is_served_too(install, monkeypatch):
    def unknown(_):
        raise KeyError("uid not found")

    install(one=WORKS)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert find_engine().name == "one"


def test_the_interpreter_runs_on_one_thread(install):
    install(one=WORKS)
    assert find_engine().interpreter(b"").threads == 1


def test_nothing_is_imported_from_the_working_folder(install, tmp_path, monkeypatch):
    install(good=WORKS)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/fake_good.py").write_text("import os\nos._exit(3)\n")
    monkeypatch.chdir(tmp_path / "pictures")
    assert find_engine().name == "good"
