"""The commands that the operators' pages tell are commands that there are, with options and services that there are."""

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from cli.main import build_app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("runbook.md", "retention.md", "sizing.md")]
SERVICES = set(yaml.safe_load((ROOT / "compose.kafka.yml").read_text())["services"])
RUNBOOK = (ROOT / "docs/runbook.md").read_text()
ON_THE_STACK = "acceptance/whole_stack/test_runbook.py"
IN_CONTAINERS = "containers/one_host/test_procedures.py"
COMPOSE = "docker compose -f compose.kafka.yml "
RUN_BY = {
    r"\./gateway (status|lag|doctor|logs|job ID --trace|usage --by|dlt list|restore|topics|up|down)\b": ON_THE_STACK,
    r"\./gateway (services (set|list)|keys (create|list|revoke))\b": ON_THE_STACK,
    r"\./gateway dlt (show|replay)\b": "integration/test_dlt_commands.py",
    r"\./gateway services batch-password\b": "acceptance/test_secure.py",
    r"\./gateway bench rolling$": "acceptance/whole_stack/test_proxy.py",
    r"redis-cli ": ON_THE_STACK,
    r"openssl x509 -enddate ": "unit/test_make_secrets.py",
    r"ops/docker/roll\.sh": IN_CONTAINERS,
    r"ops/docker/make-secrets\.sh": "unit/test_make_secrets.py",
    COMPOSE + "up -d --no-recreate --scale ": "containers/one_host/test_compose.py",
    COMPOSE + r"run --rm tools gateway (lag|restore)\b": IN_CONTAINERS,
    COMPOSE + r"(ps -a|logs --no-log-prefix|restart|stop|start)\b": IN_CONTAINERS,
    COMPOSE + "exec redis sh -c .*redis-cli flushall": IN_CONTAINERS,
    COMPOSE + "exec .*/kafka-configs.sh .*--entity-name admin ": IN_CONTAINERS,
    COMPOSE + r"up -d --no-deps --force-recreate (redis|job-state|proxy|kafka)\b": IN_CONTAINERS,
    COMPOSE + r"up -d --no-deps --force-recreate minio\b": "containers/test_s3.py",
}
"""Which test runs what the runbook tells, or what it does."""
OF_COMPOSE = {"up", "down", "ps", "run", "exec", "stop", "start", "restart", "logs", "build"}
COMMAND: Any = typer.main.get_command(build_app())


def spans(begin: str) -> Iterator[str]:
    """Yield what the operators' pages tell to type that begins so."""
    return spans_of(PAGES, begin)


def spans_of(pages: Iterable[Path], begin: str) -> Iterator[str]:
    """Yield each code span, or line of a code block, that begins so; cut where a pipe begins."""
    for page in pages:
        text = page.read_text()
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
        lines = [line for block in blocks for line in block.splitlines()]
        outside = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)
        for span in [*re.findall(r"`([^`]+)`", outside), *lines]:
            if span.startswith(begin):
                yield span.split(" | ")[0]


def refusal(words: list[str]) -> str:
    """Have the command line parse a command, to the end, without doing it; return what is wrong with it, if anything.

    Its library's classes are Typer's own inner ones, so they are known by what they can.
    """
    command, context = COMMAND, None
    try:
        while True:
            context = command.make_context(words[0], words[1:], parent=context)
            left = [*getattr(context, "_protected_args", ()), *context.args]
            if not (left and hasattr(command, "resolve_command")):
                return ""
            name, command, after = command.resolve_command(context, left)
            words = [name, *after]
    except Exception as e:
        if not hasattr(e, "format_message"):
            raise
        return f"{shlex.join(words)}: {e.format_message()}"


@pytest.mark.parametrize("span", sorted(set(spans("./gateway "))))
def test_a_command_can_be_typed_as_it_stands(span: str) -> None:
    assert not refusal(["gateway", *shlex.split(span.replace("…", "x"))[1:]])


@pytest.mark.parametrize("wrong", ["keys make", "lag --of x", "topics --keep", "restore", "job a b"])
def test_a_command_that_there_is_not_is_found(wrong: str) -> None:
    assert refusal(["gateway", *shlex.split(wrong)])


@pytest.mark.parametrize("span", sorted(set(spans("docker compose "))))
def test_a_command_for_containers_names_what_there_is(span: str) -> None:
    words = shlex.split(span.replace("…", "x"))[2:]
    while words and words[0] == "-f":
        assert (ROOT / words[1]).is_file(), span
        words = words[2:]
    assert words[0] in OF_COMPOSE, span
    if "gateway" in words:
        at = words.index("gateway")
        assert words[at - 1] == "tools", span
        assert not refusal(words[at:])
        words = words[:at]
    named = [word.partition("=")[0] for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*(=\d+)?", word)]
    # What follows the service of `exec` is the container's own command.
    assert set(named[:1] if words[0] == "exec" else named) <= SERVICES, span


def told() -> Iterator[tuple[str, bool]]:
    """Yield each command of the runbook, and whether it is marked as one that was never run."""
    marked_block = False
    inside, before = False, ""
    for line in RUNBOOK.splitlines():
        if line.startswith("```"):
            inside = not inside
            marked_block = inside and before.rstrip(":").endswith("†")
        elif inside:
            yield line, marked_block
        else:
            yield from ((span, mark == "†") for span, mark in re.findall(r"`([^`]+)`(†?)", line))
        before = line


def test_every_command_of_the_runbook_is_run_by_a_test_or_marked_as_never_run() -> None:
    commands = re.compile(r"\./gateway |docker compose -f |kubectl |redis-cli |openssl |ops/docker/")
    found = [(span, marked) for span, marked in told() if commands.match(span)]
    assert len(found) > 50
    for span, marked in found:
        assert bool(re.match("|".join(RUN_BY), span)) != marked, f"{span}: {'marked' if marked else 'not marked'}"


@pytest.mark.parametrize(("pattern", "file"), sorted(RUN_BY.items()))
def test_what_is_said_to_be_run_by_a_test_is_told_and_the_test_is_there(pattern: str, file: str) -> None:
    assert (ROOT / "tests" / file).is_file()
    assert any(re.match(pattern, span) for span, _ in told()), "the runbook tells it no more"
