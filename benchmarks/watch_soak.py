"""Kill a watcher again and again while pictures come: python benchmarks/watch_soak.py [--files 10000] [--kills 10].

Exits with 1 where the rows are not, but for their order, those of a batch run over the same folder. Then, with the
watcher left in peace, 100 pictures come one by one, and the time from each one's arrival to its row is measured.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import click
from PIL import Image

from digit_train.mnist import load_mnist

DIGIT_INFER = str(Path(sys.executable).with_name("digit-infer"))
ONE_BY_ONE = 100


@click.command()
@click.option("--files", default=10_000, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--seconds", default=20.0, show_default=True, help="In which the pictures come.")
@click.option("--model", default="base", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments to kill at.")
def main(files: int, kills: int, seconds: float, model: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "inbox").mkdir()
        write_pictures(work / "source", files + ONE_BY_ONE)
        coming = threading.Thread(target=drop, args=(work, files, seconds))
        coming.start()
        moments = random.Random(seed)
        waits = [moments.uniform(0.1, 2 * seconds / (kills + 1)) for _ in range(kills)]
        counts = [killed_after(work, model, wait) for wait in waits]
        watcher = start(work, model)
        coming.join()
        wait_for_rows(work, files, watcher)
        print(
            f"{files:,} pictures in {seconds:.0f} s; killed {kills} times, with {counts} rows; then {rows(work):,} rows"
        )
        latencies = [arrive(work, number) for number in range(files, files + ONE_BY_ONE)]
        stop(watcher)
        print(
            f"{ONE_BY_ONE} more, one by one: row after {1000 * statistics.median(latencies):.0f} ms, at most "
            f"{1000 * max(latencies):.0f} ms"
        )
        fault = compare(work, model, files + ONE_BY_ONE)
    print(fault or "every picture has its one row, the same as in a batch run")
    sys.exit(bool(fault))


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    digits = load_mnist()["x_train"]
    for number in range(count):
        Image.fromarray(digits[number % len(digits)]).save(folder / f"{number:05}.png")


def drop(work: Path, files: int, seconds: float) -> None:
    """Bring the pictures in, evenly: by rename, by copying, and one in ten in two halves with a pause between."""
    since = time.monotonic()
    for number in range(files):
        time.sleep(max(0.0, since + seconds * number / files - time.monotonic()))
        name = f"{number:05}.png"
        if number % 10 == 5:
            content = (work / "source" / name).read_bytes()
            with (work / "inbox" / name).open("wb", buffering=0) as file:
                file.write(content[:100])
                time.sleep(0.005)
                file.write(content[100:])
        elif number % 2:
            shutil.copyfile(work / "source" / name, work / "inbox" / name)
        else:
            os.link(work / "source" / name, work / "arriving")
            (work / "arriving").rename(work / "inbox" / name)


def start(work: Path, model: str) -> subprocess.Popen[str]:
    command = [DIGIT_INFER, "--watch", "inbox", "-o", "rows.csv", "-m", model]
    return subprocess.Popen(command, cwd=work, stderr=subprocess.PIPE, text=True, start_new_session=True)


def killed_after(work: Path, model: str, seconds: float) -> int:
    """Run a watcher for so long, and kill it with its workers; the rows that there are then."""
    watcher = start(work, model)
    time.sleep(seconds)
    if watcher.poll() is not None:
        sys.exit(f"the watcher ended by itself: {watcher.communicate()[1]}")
    os.killpg(watcher.pid, signal.SIGKILL)
    watcher.communicate()
    return rows(work)


def rows(work: Path) -> int:
    """In the file so far."""
    path = work / "rows.csv"
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def wait_for_rows(work: Path, count: int, watcher: subprocess.Popen[str]) -> None:
    """Until there are so many; exits where they do not come."""
    late = time.monotonic() + 60
    while rows(work) < count:
        if watcher.poll() is not None or time.monotonic() > late:
            watcher.kill()
            sys.exit(f"{rows(work)} rows for {count} pictures: {watcher.communicate()[1]}")
        time.sleep(0.01)


def arrive(work: Path, number: int) -> float:
    """Rename a picture in; seconds until its row is there."""
    (work / "source" / f"{number:05}.png").rename(work / "inbox" / f"{number:05}.png")
    since, size = time.monotonic(), (work / "rows.csv").stat().st_size
    while (work / "rows.csv").stat().st_size == size:
        time.sleep(0.0005)
    return time.monotonic() - since


def stop(watcher: subprocess.Popen[str]) -> None:
    watcher.terminate()
    _, said = watcher.communicate(timeout=60)
    if watcher.returncode:
        sys.exit(f"the watcher ended with {watcher.returncode}: {said}")


def compare(work: Path, model: str, count: int) -> str:
    """What is not as it should be, or ''."""
    command = [DIGIT_INFER, "inbox", "-o", "batch.csv", "-m", model, "--quiet"]
    subprocess.run(command, cwd=work, check=True)
    watched, batch = (sorted((work / name).read_text().splitlines()) for name in ("rows.csv", "batch.csv"))
    if len(watched) != count + 1:
        return f"{len(watched) - 1} rows for {count} pictures"
    different = sum(ours != theirs for ours, theirs in zip(watched, batch, strict=True))
    return f"{different} rows are not those of a batch run" if different else ""


if __name__ == "__main__":
    main()
