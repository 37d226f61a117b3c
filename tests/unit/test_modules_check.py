"""`./gateway modules check`: what it says of good files and of bad ones."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import build_app
from schemas.errors import InvalidInput
from tests.builders import ECHO_MODULE
from tests.sim.launch import simulator

GOOD = (
    ECHO_MODULE
    + """\
options:
  times: {type: integer, default: 1}
"""
)


def check(*files: Path) -> Result:
    return CliRunner().invoke(build_app(), ["modules", "check", *map(str, files)])


def test_a_good_file_is_told_with_its_stages(tmp_path: Path) -> None:
    file = tmp_path / "echo.yml"
    file.write_text(GOOD)
    told = check(file)
    assert (told.exit_code, told.output) == (0, "ok echo@1: noop\n")


def test_every_error_has_file_line_and_key(tmp_path: Path) -> None:
    """Of every file; no file is said to be good then."""
    one, two, three = tmp_path / "one.yml", tmp_path / "two.yml", tmp_path / "three.yml"
    one.write_text(GOOD.replace("[text]", "[smell]").replace("stages:", "colour: red\nstages:"))
    two.write_text(GOOD.replace("  times:", "  no: {type: string}\n  times:"))
    three.write_text(GOOD)
    told = check(one, two, three)
    assert told.exit_code == 1
    lines = told.output.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["one.yml:6", "colour"],
        ["one.yml:5", "inputs.0"],
        ["two.yml:8", "options.no"],
    ]
    assert 'write it in quotes: "no"' in lines[2]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    """Whether they are named or the folder's; the second one is the error, at its name."""
    one, two = tmp_path / "a.yml", tmp_path / "b.yml"
    one.write_text(GOOD)
    two.write_text("# the same\n" + GOOD)
    told = check(one, two)
    assert told.exit_code == 1
    assert told.output.startswith("b.yml:2: name: another file defines the module 'echo' already")
    assert len(told.output.splitlines()) == 1


def test_the_folder_is_checked_when_no_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_MODULES_DIR", str(tmp_path))
    nothing = check()
    assert isinstance(nothing.exception, InvalidInput)
    (tmp_path / "a.yml").write_text(GOOD)
    assert check().output == "ok echo@1: noop\n"
    (tmp_path / "b.yml").write_text("# the same\n" + GOOD)
    (tmp_path / "c.yml").write_text(GOOD.replace("noop", "nope").replace("echo", "other"))
    told = check()
    assert told.exit_code == 1
    assert sorted(line.split(": ")[0] for line in told.output.splitlines()) == ["b.yml:2", "c.yml:6"]


PROMPTED = GOOD.replace("stages: [noop]", "stages: [llm]\nprompt: Say {{ text }}\nmodel: {name: large}")
MODELS = """\
upstreams:
  one: {kind: ollama, url: "http://127.0.0.1:1"}
models:
  tiny: {upstreams: [{upstream: one, model: "tiny:latest"}]}
"""


def test_a_model_that_models_yml_does_not_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found without asking a server; without any servers configured nothing is known."""
    file, models = tmp_path / "echo.yml", tmp_path / "models.yml"
    file.write_text(PROMPTED)
    monkeypatch.setenv("GATEWAY_MODELS_FILE", str(models))
    monkeypatch.delenv("GATEWAY_OLLAMA_URLS", raising=False)
    assert check(file).exit_code == 0
    models.write_text(MODELS)
    told = check(file)
    assert told.exit_code == 1
    assert told.output.startswith(
        "echo.yml:8: model.name: it names the model 'large', which no model server has → pull"
    )
    file.write_text(PROMPTED.replace("large", "tiny"))
    assert check(file).output == "ok echo@1: llm\n"


def test_a_model_that_no_server_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers are asked; one that does not answer may have it."""
    file = tmp_path / "echo.yml"
    stage = "stages:\n  - kind: llm\n    prompt: Say {{ text }}\n    model: large"
    file.write_text(GOOD.replace("stages: [noop]", stage))
    monkeypatch.setenv("GATEWAY_MODELS_FILE", str(tmp_path / "none.yml"))
    with simulator(models=("tiny:latest", "small:latest")) as sim:
        monkeypatch.setenv("GATEWAY_OLLAMA_URLS", sim.url)
        assert check(file).output.startswith("echo.yml:9: stages.0.model: it names the model 'large'")
        file.write_text(file.read_text().replace("large", "small"))
        assert check(file).exit_code == 0
        file.write_text(file.read_text().replace("small", "large"))
        monkeypatch.setenv("GATEWAY_OLLAMA_URLS", f"{sim.url},http://127.0.0.1:1")
        assert check(file).exit_code == 0
