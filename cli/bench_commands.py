"""`gateway bench NAME`: benchmarks, each a program under `bench/`."""

from typing import Annotated, cast

import typer

from cli.become import become
from cli.bench_options import OPTIONS, TAKES, refuse_others, takers


def _help(option: str) -> str:
    return f"{takers(option)}: {OPTIONS[option]}."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    name: Annotated[str, typer.Argument(help=f"Which: {', '.join(TAKES)}.")],
    json: Annotated[bool, typer.Option("--json", help="Figures and aims as JSON.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help=_help("quick"))] = False,
    part: Annotated[list[str] | None, typer.Option("--part", help=_help("part"))] = None,
    faults: Annotated[bool, typer.Option("--faults", help=_help("faults"))] = False,
    events: Annotated[int | None, typer.Option("--events", min=1, help=_help("events"))] = None,
) -> None:
    """Run a benchmark on a stack of its own and print its figures against the aims."""
    values = {"quick": quick, "part": part, "faults": faults, "events": events}
    given = {option: value for option, value in values.items() if value}
    refuse_others(name, given)
    flags = [text for option, value in given.items() for text in _flags(option, value)]
    become(f"bench.{name}", *(["--json"] if json else []), *flags)


def _flags(option: str, value: object) -> list[str]:
    if isinstance(value, list):
        return [text for each in cast(list[str], value) for text in (f"--{option}", each)]
    return [f"--{option}"] if value is True else [f"--{option}", str(value)]
