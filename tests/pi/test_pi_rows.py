"""On the Pi's userlands digit-infer makes the rows that it makes here."""

import csv
import json
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tests.pi.conftest import MODELS

pytestmark = pytest.mark.pi
# of 200 pictures: kernels for ARM round otherwise than those for x86-64 in up to six of a thousand
MOST = {"litert": 2, "tflite-runtime": 1}


def rows_of(machine, *options):
    """The exit code and the CSV of a run over the 200 pictures."""
    done = machine.run("pictures", *options)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def assert_alike(found, expected, most):
    """The same rows but for so many, and in these the same digit with a confidence one step of a logit away."""
    pairs = list(zip(csv.DictReader(found.splitlines()), csv.DictReader(expected.splitlines()), strict=True))
    assert len(pairs) == 200
    different = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(different) <= most
    for ours, theirs in different:
        for name in ("path", "status", "digit", "reason"):
            assert ours[name] == theirs[name]
        assert abs(float(ours["confidence"]) - float(theirs["confidence"])) < 0.06


@pytest.mark.parametrize("model", MODELS)
def test_the_golden_vectors_come_out(model, pi):
    done = pi.run("--selftest", "-m", model)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"golden vectors of {model} on {pi.runtime} " in done.stdout


@pytest.mark.parametrize(("model", "size"), list(zip(MODELS, (512, 1, 7), strict=True)))
def test_200_pictures_have_the_rows_that_they_have_here(model, size, pi, hosts):
    options = "-m", model, "--batch-size", size
    code, found = rows_of(pi, *options)
    assert code == 3
    assert_alike(found, rows_of(hosts[pi.runtime], *options)[1], MOST[pi.runtime])
    assert_alike(found, rows_of(hosts["litert"], *options)[1], most=6)
    reasons = {row["path"]: row["reason"] for row in csv.DictReader(found.splitlines()) if row["status"] == "error"}
    broken = {"pictures/cut.jpg": "truncated JPEG", "pictures/cut.png": "truncated PNG"}
    assert reasons == broken | {"pictures/text.png": "not an image"}


def test_in_every_batch_size_a_model_gives_the_same(pi, host):
    with np.load(answers(pi)) as found, np.load(answers(host)) as expected:
        assert (found["pixels"] == expected["pixels"]).all()
        assert len(found.files) == 1 + len(MODELS) * 6
        for name in expected.files[1:]:
            different = (found[name] != expected[name]).any(axis=1)
            assert different.sum() <= MOST[pi.runtime], name
            alone = found[f"{name.split()[0]} 1"]
            assert (found[name] == alone).all(), name


def answers(machine):
    """The file that answers.py writes."""
    out = f"answers-{machine.runtime}.npz"
    done = machine.run_script(Path(__file__).with_name("answers.py"), "pictures", machine.runtime, out)
    assert done.returncode == 0, done.stderr
    return machine.work / out


def test_two_models_compare_as_they_do_here(pi, host):
    for machine in (pi, host):
        output = f"parity-{machine.runtime}.csv"
        done = machine.run("pictures", "-m", "small", "--against", "base", "-o", output, "--force")
        assert done.returncode == 3, done.stderr
    found, expected = (
        json.loads((machine.work / f"parity-{machine.runtime}.csv.run.json").read_text())["parity"]
        for machine in (pi, host)
    )
    assert found["pictures"] == 197
    assert found["flips"] == expected["flips"]
    assert found["agreement"] == expected["agreement"]


def lines_in(path):
    """How many, also where it is not there yet or has its other name already."""
    with suppress(FileNotFoundError):
        return path.read_bytes().count(b"\n")
    return 0


def test_a_run_that_was_killed_is_gone_on_with(pi):
    whole, killed = pi.work / "whole.csv", pi.work / "killed.csv"
    pi.run("pictures", "-o", whole.name, "-m", "nano")
    process = pi.start(["digit-infer", "pictures", "-o", killed.name, "-m", "nano", "--batch-size", "4"])
    partial = pi.work / "killed.csv.partial"
    while lines_in(partial) <= 10:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 10 < lines_in(partial) < 200
    done = pi.run("pictures", "-o", killed.name, "-m", "nano", "--resume")
    assert done.returncode == 3, done.stderr
    assert killed.read_bytes() == whole.read_bytes()
