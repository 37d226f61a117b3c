"""Which benchmark takes which option: one table, held by the command and by every program."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from bench.options import chosen_parts, options_of
from cli import bench_commands
from cli.bench_options import OPTIONS, TAKES
from cli.environment import PROJECT_ROOT
from cli.main import build_app
from schemas.errors import InvalidInput

VALUES: dict[str, list[str]] = {"part": ["--part", "sleep"], "events": ["--events", "50"]}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run."""
    commands: list[list[str]] = []

    monkeypatch.setattr(bench_commands, "become", lambda *command: commands.append(["-m", *command]))
    return commands


def bench(*arguments: str) -> None:
    """Run `gateway bench` with these arguments."""
    result = CliRunner().invoke(build_app(), ["bench", *arguments])
    if isinstance(result.exception, InvalidInput):
        raise result.exception
    assert result.exit_code == 0, result.output


def test_the_table_names_the_programs_that_there_are() -> None:
    programs = {path.stem for path in (PROJECT_ROOT / "bench").glob("*.py") if "def main" in path.read_text()}
    assert set(TAKES) == programs
    for name in programs:
        assert f'options_of("{name}")' in (PROJECT_ROOT / "bench" / f"{name}.py").read_text()


@pytest.mark.parametrize("name", TAKES)
@pytest.mark.parametrize("option", OPTIONS)
def test_a_benchmark_takes_what_the_table_says_and_refuses_the_rest(
    name: str, option: str, started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = VALUES.get(option, [f"--{option}"])
    if option in TAKES[name]:
        bench(name, "--json", *arguments)
        assert started == [["-m", f"bench.{name}", "--json", *arguments]]
        assert getattr(options_of(name, arguments), option)
        return
    with pytest.raises(InvalidInput, match=f"the benchmark {name} does not take --{option}") as refused:
        bench(name, *arguments)
    assert f"{name} takes --json" in refused.value.remedy
    assert not started
    with pytest.raises(SystemExit):
        options_of(name, arguments)
    assert f"unrecognized arguments: --{option}" in capsys.readouterr().err


def test_a_benchmark_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(InvalidInput, match="no benchmark 'speed'") as refused:
        bench("speed")
    assert "spine, jobs" in refused.value.remedy


def test_parts_are_those_asked_for_else_all_and_an_unknown_one_is_named() -> None:
    assert chosen_parts([], ("a", "b")) == ("a", "b")
    assert chosen_parts(["b"], ("a", "b")) == ("b",)
    with pytest.raises(SystemExit, match="there is no part 'c'"):
        chosen_parts(["c"], ("a", "b"))


def test_every_program_starts_with_its_options() -> None:
    for name in ("jobs", "usage"):
        command = [sys.executable, "-m", f"bench.{name}", "--help"]
        told = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
        assert all(f"--{option}" in told for option in TAKES[name])
