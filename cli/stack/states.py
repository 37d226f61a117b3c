"""What runs, as the supervisor tells it and `status` shows it."""

import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import orjson


class ServiceState(StrEnum):
    """How a service is."""

    STARTING = "starting"
    READY = "ready"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


SETTLED = frozenset({ServiceState.READY, ServiceState.UNAVAILABLE})
"""States with which `up` is content: it serves, or says why it cannot."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One line of `status`. `pid` is the serving process itself, None while there is none."""

    name: str
    kind: str
    pid: int | None
    state: str
    port: int
    restarts: int = 0
    reason: str = ""


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content so that readers see the old or the new, never a part."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(content)
    draft.replace(path)


def write_states(path: Path, states: list[ServiceStatus]) -> None:
    """Write the states for others to read."""
    write_atomically(path, orjson.dumps([asdict(s) for s in states]))


def read_states(path: Path) -> list[ServiceStatus]:
    """Return the states last written; empty when there are none or the file is not one of ours."""
    try:
        return [ServiceStatus(**entry) for entry in orjson.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        return []
