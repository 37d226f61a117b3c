"""How many cores this process may use: those it may run on, and no more than its container is given.

`os.cpu_count()` tells the machine's: a container with two of sixteen would start eight times the work that it has
cores, and memory, for.
"""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")


def cores(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Return how many cores' worth of time this process gets, at least 1; a part of a core counts as one.

    The limits of all control groups that it is in hold, version 1 or 2. What cannot be read limits nothing.
    """
    limits = [len(os.sched_getaffinity(0)), *(ceil(quota) for quota in _quotas(proc, cgroups))]
    return max(1, min(limits))


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """Yield each limit, in cores."""
    for line in _text(proc / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        # Seen from inside, a container's own group may be the root although its path is told as the host names it.
        inner = PurePosixPath(path.lstrip("/"))
        for folder in {root, *(root / part for part in (inner, *inner.parents))}:
            quota, period = _limit(folder)
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


def _limit(group: Path) -> tuple[str, str]:
    """Return quota and period of one group as they stand in its files; a quota that is none is no number."""
    both = _text(group / "cpu.max").split()
    if len(both) == 2:
        return both[0], both[1]
    return _text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip()


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
