"""What the tests have child processes do."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Never

from schemas.errors import InvalidInput


def add(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


def niceness() -> int:
    """Return how much this process yields to others."""
    return os.nice(0)


def noisy(size: int) -> bytes:
    """Print to stdout and stderr as a native library would, and return many bytes."""
    os.write(1, b"noise" * 1000)
    os.write(2, b"")
    return b"x" * size


def refuse() -> Never:
    """Raise an error of ours."""
    raise InvalidInput("the page is upside down", code="upside_down", remedy="turn it")


def foreign() -> Never:
    """Raise an error with a secret in its text."""
    raise ValueError("the secret text of a document")


def crash() -> None:
    """Die as native code does."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(seconds: float = 60) -> None:
    """Do nothing for long."""
    time.sleep(seconds)


def hog(mib: int) -> None:
    """Take memory and hold it."""
    held = bytearray(mib << 20)
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(30)


def start_program(note: str) -> None:
    """Start a program that would outlive us, note its pid, and hang."""
    Path(note).write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    time.sleep(60)


def unpicklable() -> object:
    """Return what cannot be sent."""
    return lambda: None


def pid() -> int:
    """Return the child's pid."""
    return os.getpid()


def threads() -> str | None:
    """Return the limit on threads of native libraries."""
    return os.environ.get("OMP_THREAD_LIMIT")
