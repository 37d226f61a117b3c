"""`gateway up`, `down`, `status`, `logs`: the local stack."""

import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import read_environment
from cli.output import print_json_line
from schemas.errors import InvalidInput
from streams.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from cli.stack.launch import Stack
    from cli.stack.states import ServiceStatus

READY_TIMEOUT_S = 120.0
_FOLLOW_PAUSE_S = 0.2


def register(app: typer.Typer) -> None:
    """Add the commands of the local stack."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(logs)


def local_stack() -> "Stack":
    """Return the stack that the environment names."""
    from cli.stack.launch import Stack

    env = read_environment()
    return Stack(env, Settings.from_env(env))


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready.")] = False,
    scale: Annotated[list[str] | None, typer.Option(help="KIND=NUMBER, such as ocr=2; repeatable.")] = None,
    secure: Annotated[
        bool, typer.Option("--secure", help="Kafka asks everybody for a login and keeps access lists.")
    ] = False,
) -> None:
    """Start the local stack: Kafka, Redis, ingress, streams and processors.

    Without --detach it shows the stack until Ctrl-C, which takes it down. Exit code 1 when something is not ready.
    """
    from cli.stack.services import parse_scale
    from cli.stack.view import make_console, watch

    stack = local_stack()
    wanted = parse_scale(scale or [])
    console = make_console()
    was_secure = stack.secure
    started = stack.start(wanted, None if detach else os.getpid(), secure=secure)
    if started and was_secure and not secure:
        console.print("Kafka asked for logins before; started without --secure it lets everybody in.")
    if not started:
        change = " ".join(f"{kind}={count}" for kind, count in wanted.items())
        console.print("The stack is up already" + (f"; applying {change}." if change else "."))
    if not detach and started:
        _run_in_foreground(stack, console)
        return
    until = time.monotonic() + READY_TIMEOUT_S
    watch(console, stack.states, lambda now: _at_rest(stack, now, wanted) or time.monotonic() > until)
    if not _report(stack, console):
        raise typer.Exit(1)


def down() -> None:
    """Stop the local stack; no process of it is left."""
    stack = local_stack()
    typer.echo(f"Stopping the stack in {stack.settings.data_dir} …", err=True)
    stopped = stack.stop()
    typer.echo(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def status(json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False) -> None:
    """Show the local stack. Exit code 1 when it does not run, or something is starting or failed."""
    from cli.stack.states import SETTLED

    stack = local_stack()
    states = stack.states()
    if json:
        print_json_line([asdict(s) for s in states])
    elif states:
        from cli.stack.view import make_console, state_table

        make_console().print(state_table(states))
    else:
        typer.echo(f"Nothing is running in {stack.settings.data_dir}. Start it with: ./gateway up")
    if not states or any(s.state not in SETTLED for s in states):
        raise typer.Exit(1)


def logs(
    name: Annotated[str, typer.Argument(help="A service's name as `status` shows it, or `supervisor`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show a service's log."""
    from cli.stack.service_log import last_lines

    paths = local_stack().paths
    path = paths.log(name)
    known = sorted(p.stem for p in paths.logs.glob("*.log"))
    if name not in known:
        raise InvalidInput(
            f"there is no log of {name!r} in {paths.logs}",
            remedy=f"logs there are: {', '.join(known)}" if known else "start the stack with: ./gateway up",
        )
    end = path.stat().st_size
    for line in last_lines(path, lines) if lines else []:
        typer.echo(line)
    if follow:
        _follow(path, end)


def _follow(path: Path, position: int) -> None:
    while True:
        size = path.stat().st_size
        if size < position:  # the log was cut
            position = 0
        if size > position:
            with path.open("rb") as file:
                file.seek(position)
                text = file.read(size - position)
            position += len(text)
            typer.echo(text.decode(errors="replace"), nl=False)
        else:
            time.sleep(_FOLLOW_PAUSE_S)


def _run_in_foreground(stack: "Stack", console: "Console") -> None:
    from cli.stack.view import watch

    def leave(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for sig in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, leave)
    console.print("Ctrl-C takes the stack down.")
    try:
        watch(console, stack.states, lambda _: stack.supervisor_pid() is None)
    except KeyboardInterrupt:
        console.print("Stopping …")
    stack.stop()


def _at_rest(stack: "Stack", states: "list[ServiceStatus]", scale: dict[str, int]) -> bool:
    """Tell whether nothing more is to be waited for: each service is settled or failed, or the supervisor is gone."""
    from cli.stack.states import SETTLED, ServiceState

    if stack.supervisor_pid() is None:
        return True
    as_wanted = all(sum(s.kind == kind for s in states) == count for kind, count in scale.items())
    return as_wanted and bool(states) and all(s.state in (*SETTLED, ServiceState.FAILED) for s in states)


def _report(stack: "Stack", console: "Console") -> bool:
    """Say how the stack came up and return whether everything is as it should be."""
    from cli.stack.launch import SUPERVISOR_LOG
    from cli.stack.states import SETTLED, ServiceState

    states = stack.states()
    if not states:
        console.print(f"The stack went down; see {stack.paths.log(SUPERVISOR_LOG)}", soft_wrap=True)
        return False
    troubled = [s for s in states if s.state not in SETTLED]
    for s in troubled:
        line = f"{s.name} is {s.state}: {s.reason or 'not ready in time'}; log: {stack.paths.log(s.name)}"
        console.print(line, soft_wrap=True, markup=False)
    ingress = next((s for s in states if s.kind == "ingress" and s.state == ServiceState.READY), None)
    if not troubled and ingress:
        console.print(f"REST API: http://127.0.0.1:{stack.settings.http_port}/docs")
    return not troubled
