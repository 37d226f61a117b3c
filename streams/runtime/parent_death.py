"""Child processes end with their parent, however it ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux).

    Usable as `preexec_fn`: a program that a child starts (such as an OCR engine) must not outlive it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def exit_if_orphaned(parent_pid: int) -> None:
    """End at once when the parent died before `die_with_parent` took effect."""
    if os.getppid() != parent_pid:
        os._exit(1)
