"""`gateway doctor`: checks of the whole installation, a line and a remedy each."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from cli.environment import read_environment
from cli.output import print_json_line
from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(json: Annotated[bool, typer.Option("--json", help="A list of objects instead of lines.")] = False) -> None:
    """Check the whole installation. Exit code 1 when something that is required fails."""
    from cli.doctor import Installation, examine
    from cli.stack.launch import Stack

    env = read_environment()
    checks = asyncio.run(examine(Installation(env, Stack(env, Settings.from_env(env)))))
    if json:
        print_json_line([asdict(check) for check in checks])
    else:
        for check in checks:
            mark = "ok" if check.ok else "FAIL" if check.required else "warn"
            typer.echo(f"{mark:<5}{check.name:<15} {check.detail}" + (f" → {check.remedy}" if check.remedy else ""))
    if any(check.required and not check.ok for check in checks):
        raise typer.Exit(1)
