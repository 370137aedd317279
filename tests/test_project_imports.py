"""Imports go one way, and the runtime stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"digit_infer": "runtime", "digit_train": "trainer", "digit_export": "exporter"}
FORBIDDEN = {"digit_infer": {"digit_train", "digit_export"}, "digit_train": {"digit_export"}, "digit_export": set()}
HEAVY = ("tensorflow", "keras", "matplotlib")


def imported_modules(path):
    """Top-level names of everything a source file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package):
    sources = list((ROOT / FOLDERS[package] / package).rglob("*.py"))
    assert sources
    for path in sources:
        assert not FORBIDDEN[package] & set(imported_modules(path)), path


@pytest.mark.parametrize("arguments", [["samples/harder", "--quiet"], ["--selftest"], ["--help"]], ids=" ".join)
def test_the_runtime_never_loads_what_is_heavy(arguments):
    code = (
        "import sys; from digit_infer.cli import main; main(sys.argv[1:], standalone_mode=False); "
        f"print(sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("module", ["cli", "engine"])
def test_neither_numpy_nor_pillow_is_loaded_for_help_or_while_a_runtime_is_tried(module):
    code = f"import sys, digit_infer.{module}; print(sorted({{'numpy', 'PIL'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_png_like_mnists_needs_no_pillow():
    pytest.importorskip("pyspng")
    code = (
        "import sys, digit_infer.job; from digit_infer.decode import read_picture; "
        "from digit_infer.normalise import normalise; normalise(read_picture(sys.argv[1])); print('PIL' in sys.modules)"
    )
    picture = min((ROOT / "samples/digits").rglob("*.png"))
    done = subprocess.run([sys.executable, "-c", code, str(picture)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
