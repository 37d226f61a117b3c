"""Becomes a service that dies with its supervisor, even when that is killed outright.

Run as a script: `python -I -S tether.py SUPERVISOR_PID COMMAND ARG…`. It asks the kernel to send
SIGKILL when its parent is gone, then replaces itself by the command, so the pid stays the service's.
Only the standard library, and little of it: this runs before each service.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent_pid: int, sig: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send `sig` to this process when its parent ends (Linux only).

    Survives exec. Exits at once when the parent is gone already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(sig)) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # Between fork and prctl the parent may have died unnoticed.
    if os.getppid() != parent_pid:
        sys.exit(1)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    try:
        os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 (no shell is wanted)
    except OSError as e:
        sys.exit(f"{sys.argv[2]} cannot be started: {e.strerror}")
