"""Ports: which are free, who has those that are not, and which were chosen for good."""

import random
import socket
from dataclasses import dataclass
from pathlib import Path

import orjson
import psutil

from cli.stack.states import write_atomically
from schemas.errors import InvalidInput

HOST = "127.0.0.1"

STACK_MARK = "GATEWAY_STACK"
"""Set in the environment of every process of a stack, to its data directory: so that `down` finds them all."""

_CHOSEN_FROM = range(20_000, 32_000)
"""Below the ports that Linux hands to outgoing connections (32768 up), which could take a chosen one any time."""


@dataclass(frozen=True, slots=True)
class PortUse:
    """A port that is wanted: what for, and the variable that moves it."""

    port: int
    purpose: str
    variable: str


class PortTaken(InvalidInput):
    """A port that the stack needs belongs to somebody else."""

    default_code = "port_taken"


def is_free(port: int, host: str = HOST) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        # As servers do: connections that linger in TIME_WAIT are no hindrance, a listener is.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            s.listen(1)
        except OSError:
            return False
    return True


def owner(port: int) -> str:
    """Describe the process that listens on `port`; empty when that cannot be read."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                process = psutil.Process(connection.pid)
                stack = process.environ().get(STACK_MARK)
                return f"{process.name()}, pid {process.pid}" + (f", of the stack in {stack}" if stack else "")
    except psutil.Error:
        return ""
    return ""


def require_free(uses: list[PortUse]) -> None:
    """Check every port before anything starts.

    Raises PortTaken naming each port that is taken (or wanted twice), what it is for, who has it and what to set.
    """
    problems: list[str] = []
    remedies: list[str] = []
    claimed: dict[int, str] = {}
    for use in uses:
        if use.port in claimed:
            problems.append(f"port {use.port} is wanted for {claimed[use.port]} and for {use.purpose}")
            remedies.append(f"set {use.variable} to another port")
        elif not is_free(use.port):
            who = owner(use.port)
            problems.append(f"port {use.port} ({use.purpose}) is taken" + (f" by {who}" if who else ""))
            remedies.append(f"stop that process or set {use.variable} to a free port, such as {pick_free()}")
        claimed.setdefault(use.port, use.purpose)
    if problems:
        raise PortTaken("; ".join(problems), remedy="; ".join(remedies))


def pick_free(avoid: frozenset[int] = frozenset()) -> int:
    """Return a port that is free now and not in `avoid`."""
    for port in random.sample(_CHOSEN_FROM, len(_CHOSEN_FROM)):
        if port not in avoid and is_free(port):
            return port
    raise PortTaken(f"no port between {_CHOSEN_FROM.start} and {_CHOSEN_FROM.stop} is free", remedy="close some")


class PortBook:
    """Ports chosen by name and kept in a file, so that a service keeps its port over restarts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handed_out: set[str] = set()
        try:
            self._ports: dict[str, int] = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            self._ports = {}

    def of(self, name: str) -> int:
        """Return the port of `name`: the one of last time if it is still free, else a new one."""
        port = self._ports.get(name)
        # A port that was handed out before is not free because its service listens on it.
        if port is None or (name not in self._handed_out and not is_free(port)):
            port = self._ports[name] = pick_free(frozenset(self._ports.values()))
            write_atomically(self._path, orjson.dumps(self._ports))
        self._handed_out.add(name)
        return port
