"""A service's log file: written by the service itself, kept small by the supervisor."""

import shutil
import signal
from pathlib import Path

import orjson

ROTATE_AT_BYTES = 20 * 1024 * 1024
_TAIL_BYTES = 16 * 1024
_REASON_CHARACTERS = 300


def rotate(path: Path, limit_bytes: int = ROTATE_AT_BYTES) -> bool:
    """Move a log's content to `<name>.log.1` when it is too long; tell whether it was.

    The file is copied and cut, because its writer keeps it open (in append mode). What is written
    between the two steps is lost from the log.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    with path.open("r+b") as file:
        file.truncate(0)
    return True


def last_lines(path: Path, count: int, since: int = 0) -> list[str]:
    """Return up to `count` non-empty lines from the end of a log, none from before byte `since`."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(since if since <= size else 0, size - max(_TAIL_BYTES, count * 1024))
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def death_reason(path: Path, since: int, exit_code: int) -> str:
    """Say why a process ended: how, and the last thing it wrote after byte `since` of its log."""
    if exit_code in (-signal.SIGKILL, -signal.SIGTERM):  # from outside: its own last words are no reason
        return f"ended by {signal.Signals(-exit_code).name}"
    how = f"exit code {exit_code}" if exit_code >= 0 else f"ended by signal {-exit_code}"
    lines = last_lines(path, 1, since)
    return f"{how}: {_plain(lines[0])}" if lines else how


def _plain(line: str) -> str:
    # Our own processes log JSON; a person wants its text.
    text = line.strip()
    if text.startswith("{"):
        try:
            body = orjson.loads(text)
            text = " ".join(str(body[k]) for k in ("event", "error") if k in body) or text
        except orjson.JSONDecodeError:
            pass
    return text[:_REASON_CHARACTERS]
