"""`gateway bench NAME`: benchmarks, each a program under `bench/`."""

import subprocess
import sys
from typing import Annotated

import typer

from cli.environment import PROJECT_ROOT
from schemas.errors import InvalidInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    name: Annotated[
        str,
        typer.Argument(help="Which: spine, jobs, letters, chat, stt, modules, batch, replay, usage, rolling, metrics."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Figures and aims as JSON.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth (stt: a quarter), where there is so much.")] = False,
    part: Annotated[list[str] | None, typer.Option("--part", help="jobs, chat: this part; repeatable.")] = None,
    faults: Annotated[bool, typer.Option("--faults", help="chat: servers that die, callers who leave.")] = False,
    events: Annotated[int | None, typer.Option("--events", min=1, help="usage: how many; else 1,000,000.")] = None,
) -> None:
    """Run a benchmark on a stack of its own and print its figures against the aims."""
    programs = sorted(p.stem for p in (PROJECT_ROOT / "bench").glob("*.py") if "def main" in p.read_text())
    if name not in programs:
        raise InvalidInput(f"there is no benchmark {name!r}", remedy=f"benchmarks: {', '.join(programs)}")
    wanted = (("--json", json), ("--quick", quick), ("--faults", faults))
    flags = [flag for flag, given in wanted if given]
    if events is not None:
        if name != "usage":
            raise InvalidInput(f"the benchmark {name} has no --events", remedy="only usage takes it")
        flags += ["--events", str(events)]
    flags += [text for one in part or () for text in ("--part", one)]
    command = [sys.executable, "-m", f"bench.{name}", *flags]
    raise typer.Exit(subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode)
