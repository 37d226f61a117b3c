"""Shows a stack: a table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.stack.states import SETTLED, ServiceState, ServiceStatus

_COLOURS = {
    ServiceState.READY: "green",
    ServiceState.STARTING: "yellow",
    ServiceState.UNAVAILABLE: "yellow",
    ServiceState.FAILED: "red",
}
_REFRESH_S = 0.25


_WIDTH_OF_FILES = 200


def make_console() -> Console:
    """Return a console that does not fold tables when its output goes to a file or pipe."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OF_FILES)


def state_table(states: list[ServiceStatus]) -> Table:
    """Return the table that `status` shows."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "pid", "state", "port", "restarts", "reason"):
        table.add_column(column, justify="right" if column in ("pid", "port", "restarts") else "left")
    for s in states:
        table.add_row(
            s.name,
            "" if s.pid is None else str(s.pid),
            Text(s.state, style=_COLOURS.get(ServiceState(s.state), "")),
            str(s.port),
            str(s.restarts),
            Text(s.reason),
        )
    return table


def watch(
    console: Console, states: Callable[[], list[ServiceStatus]], done: Callable[[list[ServiceStatus]], bool]
) -> None:
    """Show the services until `done` says that it is enough."""
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=False) as live:
            while True:
                now = states()
                live.update(state_table(now), refresh=True)
                if done(now):
                    return
                time.sleep(_REFRESH_S)
    said: dict[str, tuple[str, str]] = {}
    while True:
        now = states()
        for line in _changes(now, said):
            console.print(line, markup=False, soft_wrap=True)
        if done(now):
            return
        time.sleep(_REFRESH_S)


def _changes(states: list[ServiceStatus], said: dict[str, tuple[str, str]]) -> list[str]:
    """Return a line for each service whose state is news, and remember it in `said`."""
    lines: list[str] = []
    for s in states:
        now = (s.state, s.reason if s.state in (*SETTLED, ServiceState.FAILED) else "")
        if said.get(s.name) != now:
            said[s.name] = now
            lines.append(f"{s.name}: {s.state}" + (f" ({now[1]})" if now[1] else ""))
    return lines
