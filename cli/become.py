"""Lets a program of the project take the place of the command that was asked for."""

import os
import sys
from typing import NoReturn

from cli.environment import PROJECT_ROOT


def become(module: str, *arguments: str) -> NoReturn:
    """Go on as a module's program, in the project's folder.

    A child would be killed a moment after Ctrl-C, before it has taken its stack down; a program in our place gets the
    signals itself.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(PROJECT_ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - a program of ours
