"""What should run beyond one of each kind: written by `up`, read by the supervisor."""

from pathlib import Path

import orjson

from cli.stack.states import write_atomically


def read_scale(path: Path) -> dict[str, int]:
    """Return how many of each kind are wanted; kinds that are not named run once."""
    try:
        return orjson.loads(path.read_bytes())["scale"]
    except (OSError, ValueError, KeyError):
        return {}


def write_scale(path: Path, scale: dict[str, int]) -> None:
    """Write how many of each kind are wanted."""
    write_atomically(path, orjson.dumps({"scale": scale}))
