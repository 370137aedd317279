"""--report writes one page with the counts and the pictures that a person should look at."""

import base64
import csv
import html
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from watching import until

from digit_infer.cli import main
from digit_infer.decode import read_picture
from digit_infer.normalise import normalise

pytest.importorskip("jinja2")


class Page:
    """A page's headings, and below each its figures: their words, and their pictures where they have one."""

    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.sections = {}
        for section in self.text.split("<h2>")[1:]:
            heading, _, rest = section.partition("</h2>")
            self.sections[heading] = re.findall("<figure>(.*?)</figure>", rest, re.DOTALL)

    def words(self, heading):
        return [" ".join(html.unescape(re.sub("<.*?>", " ", figure)).split()) for figure in self.sections[heading]]

    def pictures(self, heading):
        """(168, 336) each, int, grey."""
        found = re.findall('src="data:image/jpeg;base64,(.*?)"', "".join(self.sections[heading]))
        streams = (io.BytesIO(base64.b64decode(content)) for content in found)
        return [np.asarray(Image.open(stream).convert("L")).astype(int) for stream in streams]


class Tags(HTMLParser):
    """The tags of a page as a browser sees them, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page.text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture
def infer(tmp_path, monkeypatch):
    """infer(*arguments) in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_wrong_rejected_and_broken_pictures_stand_in_front_of_the_others(infer, samples, tmp_path):
    shutil.copytree(samples / "harder/3", tmp_path / "images/7")
    shutil.copytree(samples / "digits/2", tmp_path / "images/2")
    (tmp_path / "images/2/broken.png").write_bytes(b"nothing")
    Image.new("L", (50, 50), 200).save(tmp_path / "images/2/blank.png")
    assert infer("images", "--labels", "folders", "--report", "out/page.html").exit_code == 3
    page = Page(tmp_path / "out/page.html")
    assert list(page.sections) == ["Truth and reading", "Read wrongly: 3", "Rejected: 1", "Errors: 1", "Read: 10"]
    assert all("expected 7 images/7/" in words for words in page.words("Read wrongly: 3"))
    assert page.words("Rejected: 1") == ["blank expected 2 images/2/blank.png"]
    assert page.words("Errors: 1") == ["not an image expected 2 images/2/broken.png"]
    assert [len(page.pictures(heading)) for heading in page.sections] == [0, 3, 1, 0, 10]


def test_a_figure_shows_the_picture_and_what_the_network_saw(infer, samples, tmp_path):
    shutil.copy(samples / "harder/3/paper-00230.jpg", tmp_path / "a.jpg")
    infer("a.jpg", "--report", "page.html")
    (pair,) = Page(tmp_path / "page.html").pictures("Read: 1")
    seen = normalise(read_picture(tmp_path / "a.jpg")).pixels
    assert np.abs(pair[3::6, 171::6] - seen).mean() < 6
    picture = Image.open(tmp_path / "a.jpg").convert("L")
    height = round(166 * picture.height / picture.width)
    small = np.asarray(picture.resize((166, height), Image.Resampling.BOX)).astype(int)
    top = (168 - height) // 2
    assert np.abs(pair[top : top + height, 1:167] - small).mean() < 6


def test_the_least_sure_come_first_and_no_more_than_fit(infer, samples, tmp_path):
    infer(samples / "digits", "--report", "page.html", "-o", "rows.csv", "--min-confidence", 0, "-m", "nano")
    paths = [words.split()[-1] for words in Page(tmp_path / "page.html").words("Read: 100")]
    with (tmp_path / "rows.csv").open() as file:
        margins = {row["path"]: float(row["margin"]) for row in csv.DictReader(file)}
    assert len(set(paths)) == 60
    assert [margins[path] for path in paths] == sorted(margins.values())[:60]


def test_names_are_text_whatever_they_hold_and_nothing_is_loaded_from_elsewhere(infer, samples, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    names = [b"<script>alert(1)<.png", b"'onload='x.png", b"{{ 7 * 7 }}.png", b"\xff\x1b[31m.png", b"a\nb.png"]
    for name in names:
        shutil.copy(samples / "digits/1/00002.png", os.path.join(os.fsencode(folder), name))
    assert infer("images", "--report", "page.html").exit_code == 0
    page = Page(tmp_path / "page.html")
    tags = Tags(page).found
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "iframe", "object"})
    assert all(attributes["src"].startswith("data:") for tag, attributes in tags if tag == "img")
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    words = " ".join(page.words("Read: 5"))
    for written in ("<script>alert(1)<.png", "'onload='x.png", "{{ 7 * 7 }}.png", r"\udcff\x1b[31m.png", r"a\nb.png"):
        assert f"images/{written}" in words
    assert "http" not in page.text.replace("http-equiv", "")


def test_pictures_in_archives_and_arrays_are_shown_too(infer, samples, tmp_path, sample_pixels):
    shutil.make_archive("in", "zip", samples / "digits/4")
    np.save("in.npy", sample_pixels[:5])
    infer("in.zip", "in.npy", "--report", "page.html")
    pictures = Page(tmp_path / "page.html").pictures("Read: 15")
    assert len(pictures) == 15
    assert all(picture[:, :168].std() > 20 for picture in pictures)


def test_the_comparison_with_another_model_stands_there(infer, samples, worse_model, tmp_path):
    result = infer(samples / "digits", "--against", worse_model, "--report", "page.html")
    table = result.stderr[result.stderr.index("parity of") :].strip()
    assert html.escape(table) in Page(tmp_path / "page.html").text


def test_a_page_is_replaced_and_nothing_else(infer, samples, tmp_path):
    assert infer(samples / "digits/1", "--report", "page.html").exit_code == 0
    assert infer(samples / "digits/2", "--report", "page.html").exit_code == 0
    assert "digits/2" in Page(tmp_path / "page.html").text
    (tmp_path / "index.html").write_text("<!doctype html>\nmine")
    result = infer(samples / "digits/1", "-o", "rows.csv", "--report", "index.html")
    assert (result.exit_code, result.stderr) == (1, "Error: index.html is no report; give --report another name\n")
    assert (tmp_path / "index.html").read_text() == "<!doctype html>\nmine"
    assert not (tmp_path / "rows.csv").exists()


def test_what_was_read_before_an_interrupt_is_on_the_page(start_cli, tmp_path, sample_files):
    command = ["-", "-m", "nano", "--workers", "1", "--report", "page.html", "-o", "rows.csv"]
    process = start_cli(*command, cwd=tmp_path, stdin=subprocess.PIPE)
    process.stdin.write(os.fsencode(f"{sample_files[0]}\n"))
    process.stdin.flush()
    rows = tmp_path / "rows.csv.partial"
    until(lambda: rows.exists() and b",ok," in rows.read_bytes())
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr.splitlines()[-1]) == (130, b"interrupted: --resume goes on, without --report")
    page = Page(tmp_path / "page.html")
    assert list(page.sections) == ["Read: 1"]
    assert "interrupted" in page.text


@pytest.mark.parametrize("option", ["--report", "--summary"])
def test_an_open_stream_is_gone_on_with_whatever_it_holds(option, samples, tmp_path, start_cli):
    (tmp_path / "log").write_text("begun\n")
    command = str(samples / "digits/1"), "-o", str(tmp_path / "rows.csv"), option, "/dev/stdout"
    with (tmp_path / "log").open("ab") as log:
        process = start_cli(*command, stdout=log)
        assert process.communicate()[1].count(b"\n") == 1
    text = (tmp_path / "log").read_text()
    assert text.startswith(f"begun\n{'<!doctype html>' if option == '--report' else '{'}")
    assert text.rstrip().endswith("</html>" if option == "--report" else "}")


def test_a_page_goes_into_a_pipe(samples, tmp_path, run_cli):
    command = str(samples / "digits/1"), "-o", str(tmp_path / "rows.csv"), "--report", "/dev/stdout"
    done = run_cli(*command)
    assert done.returncode == 0
    assert done.stdout.startswith(b"<!doctype html>")
    assert done.stdout.endswith(b"</html>")


def test_a_pipe_with_a_name_stays_one(samples, tmp_path, start_cli, time_limit):
    os.mkfifo(tmp_path / "pipe")
    with time_limit(30), start_cli(str(samples / "digits/1"), "--report", str(tmp_path / "pipe")) as process:
        page = (tmp_path / "pipe").read_bytes()
        process.communicate()
    assert page.endswith(b"</html>")
    assert (tmp_path / "pipe").is_fifo()


def test_without_jinja_a_line_says_what_to_install(infer, samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    result = infer(samples / "digits/1", "--report", "page.html")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: jinja2 is not installed: pip install 'digit-edge[report]'\n"
