"""Who supervises a data directory: whoever holds the lock, and nobody else whatever a pid file says."""

import fcntl
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_PATIENCE_S = 5.0
_PAUSE_S = 0.02


class AlreadyLocked(Exception):
    """Another process holds the lock."""


@contextmanager
def held(path: Path, content: str, patience_s: float = _PATIENCE_S) -> Generator[None]:
    """Hold the lock for the duration of the context, with `content` in its file.

    Raises AlreadyLocked after `patience_s`: those who only look hold it for a moment, too.
    """
    with path.open("a+") as file:
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as e:
                if time.monotonic() > until:
                    raise AlreadyLocked(str(path)) from e
                time.sleep(_PAUSE_S)
        file.truncate(0)
        file.write(content)
        file.flush()
        yield


def holder(path: Path) -> int | None:
    """Return the pid of the process that holds the lock, None when nobody does."""
    try:
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdecimal() else None
    except FileNotFoundError:
        pass
    return None
