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
        str, typer.Argument(help="Which benchmark: spine, jobs, chat, stt, modules, batch, replay, rolling.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Figures and aims as JSON.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="spine: also set up a fresh clone.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="jobs, chat, replay: a tenth; stt: a quarter.")] = False,
    faults: Annotated[bool, typer.Option("--faults", help="chat: servers that die, callers who leave.")] = False,
) -> None:
    """Run a benchmark on a stack of its own and print its figures against the aims."""
    programs = sorted(p.stem for p in (PROJECT_ROOT / "bench").glob("*.py") if "def main" in p.read_text())
    if name not in programs:
        raise InvalidInput(f"there is no benchmark {name!r}", remedy=f"benchmarks: {', '.join(programs)}")
    wanted = (("--json", json), ("--fresh", fresh), ("--quick", quick), ("--faults", faults))
    flags = [flag for flag, given in wanted if given]
    command = [sys.executable, "-m", f"bench.{name}", *flags]
    raise typer.Exit(subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode)
