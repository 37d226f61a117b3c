"""`gateway chaos`: breaks a stack of its own while jobs go in, and checks what was promised (`bench/chaos`)."""

from typing import Annotated

import typer

from cli.become import become


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(chaos)


def chaos(
    minutes: Annotated[float, typer.Option(help="How long faults come; starting and checking come on top.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Decides the order of the faults and the jobs.")] = 1,
    fault: Annotated[list[str] | None, typer.Option(help="Only this fault; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
) -> None:
    """Kill, stop and starve everything while jobs go in; exit 1 when one is lost, doubled or miscounted."""
    options = ["--minutes", str(minutes), "--seed", str(seed)]
    for name in fault or ():
        options += ["--fault", name]
    become("bench.chaos", *options, *(["--json"] if json else []))
