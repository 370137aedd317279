"""Draw the README's picture from a real run: python docs/make_overview.py (needs the train extra)."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples" / "harder"
SHOWN = {  # kind of sample: which of its three digits
    "paper": 2,
    "blue_on_yellow": 1,
    "small_in_corner": 0,
    "light_on_transparent": 2,
    "turned_by_exif": 1,
    "thick_marker": 0,
}


def main() -> None:
    pictures = [sorted(SAMPLES.glob(f"*/{kind}-*"))[which] for kind, which in SHOWN.items()]
    figure = Figure(figsize=(9, 3.7), facecolor="white")
    for place, path in enumerate(pictures):
        axes = figure.add_axes((0.02 + place * 0.162, 0.56, 0.15, 0.42), facecolor="#9db4c0")
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
        side = max(image.size)
        left, top = (side - image.width) / 2, (side - image.height) / 2
        axes.imshow(image, extent=(left, left + image.width, top + image.height, top))
        axes.set(xlim=(0, side), ylim=(side, 0), xticks=[], yticks=[])
    lines = ["$ digit-infer ./images", "digit  confidence  status    path"]
    lines += [
        f"{row['digit']:>5}  {100 * float(row['confidence']):>8.1f} %  {row['status']:<8}  {row['path']}"
        for row in read(pictures)
    ]
    figure.text(0.02, 0.5, "\n".join(lines), family="monospace", fontsize=11, va="top", linespacing=1.35)
    figure.savefig(HERE / "overview.png", dpi=110)


def read(pictures: list[Path]) -> list[dict[str, str]]:
    """The rows that digit-infer makes of the pictures, in a folder of their own and in the order given."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/images")
        for number, path in enumerate(pictures, 1):
            kind = path.stem.split("-")[0]
            shutil.copy(path, f"{folder}/images/{number}-{kind}{path.suffix}")
        command = [sys.executable, "-m", "digit_infer", "./images", "--quiet", "-o", "rows.csv"]
        subprocess.run(command, check=True, cwd=folder)
        with open(f"{folder}/rows.csv", newline="") as file:
            return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
