"""What the probe does in a child process: each function ends badly."""

import os
import time


def hang() -> None:
    """Never return."""
    while True:
        time.sleep(60)


def crash() -> None:
    """End as a native library does that meets a bug."""
    os.abort()


def eat(mebibytes: int) -> int:
    """Take memory, really."""
    held = [bytearray(os.urandom(1024) * 1024) for _ in range(mebibytes)]
    time.sleep(60)
    return len(held)
