"""The most memory that a command and its children hold together: python benchmarks/peak_memory.py COMMAND...

Prints two numbers in MB: the largest sum of RSS, which counts shared pages once for each process, and of PSS, which
shares them out.
"""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

EVERY = 0.05  # seconds


def main(command: list[str]) -> None:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    peaks = [0, 0]
    while process.poll() is None:
        peaks = [max(pair) for pair in zip(peaks, held(process.pid), strict=True)]
        time.sleep(EVERY)
    print(*(f"{peak * 1024 / 1e6:.1f}" for peak in peaks))
    sys.exit(process.returncode)


def held(session: int) -> tuple[int, int]:
    """RSS and PSS of all processes of a session, in KiB."""
    rss = pss = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # processes end
            # the name, in brackets, may hold spaces; behind it stand state, parent, group, session
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            fields = dict(line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
            rss += int(fields["Rss"].split()[0])
            pss += int(fields["Pss"].split()[0])
    return rss, pss


if __name__ == "__main__":
    main(sys.argv[1:])
