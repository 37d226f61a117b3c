"""Writes what only the stack's owner may read."""

import os
from pathlib import Path


def write_secret(path: Path, text: str) -> None:
    """Write the file anew, with mode 600."""
    path.unlink(missing_ok=True)
    # The mode is given at creation: there is no moment at which others could read it.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
