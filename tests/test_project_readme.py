"""The README tells the truth about the commands."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = ("digit-infer", "digit-train", "digit-export")


def help_of(command):
    main = import_module(f"{command.replace('-', '_')}.cli").main
    result = CliRunner().invoke(main, ["--help"], prog_name=command)
    assert result.exit_code == 0
    return main, result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_every_option_is_in_the_readme(command):
    main, text = help_of(command)
    assert re.search(rf"^  {command} .+", text, re.M), "no example"
    for parameter in main.params:
        for option in parameter.opts:
            if option.startswith("--"):
                assert option in README, option


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_help(command):
    main, _ = help_of(command)
    for parameter in main.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_its_python_runs(monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(block, {})
    assert capsys.readouterr().out.startswith("7 ")
