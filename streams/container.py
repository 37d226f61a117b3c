"""What this process's container gives it: cores, and memory. Control groups of version 1 and 2 are read.

`os.cpu_count()` tells the machine's cores: a container with two of sixteen would start eight times the work that it has
cores, and memory, for.
"""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_NO_LIMIT = 1 << 60  # version 1 tells a number near the largest when there is none


class Memory(NamedTuple):
    """Bytes that are in use, and may be, in the narrowest of the groups; 0 for what nobody tells, or limits."""

    used: int = 0
    limit: int = 0


def cores(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Return how many cores' worth of time this process gets, at least 1; a part of a core counts as one.

    The limits of all groups that it is in hold. What cannot be read limits nothing.
    """
    quotas = (_quota(group) for group in _groups("cpu", proc, cgroups))
    return max(1, min([len(os.sched_getaffinity(0)), *(ceil(quota) for quota in quotas if quota)]))


def memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Memory:
    """Return the memory of this process's container, children and all; not what the kernel could take back at once."""
    told = [_memory(group) for group in _groups("memory", proc, cgroups)]
    return min((one for one in told if one.limit), key=lambda one: one.limit, default=max(told, default=Memory()))


def _groups(controller: str, proc: Path, cgroups: Path) -> Iterator[Path]:
    """Yield the folders of the groups that this process is in, and of those above them."""
    for line in _text(proc / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = cgroups / controller if controllers else cgroups
        # Seen from inside, a container's own group may be the root although its path is told as the host names it.
        inner = PurePosixPath(path.lstrip("/"))
        yield from {root, *(root / part for part in (inner, *inner.parents))}


def _quota(group: Path) -> float:
    """Return a group's limit in cores, 0 for none."""
    both = _text(group / "cpu.max").split()
    if len(both) != 2:
        both = [_text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip()]
    quota, period = both
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else 0.0


def _memory(group: Path) -> Memory:
    limit = _number(group / "memory.max") or _number(group / "memory.limit_in_bytes")
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes")
    stat = dict(line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line)
    files = int(stat.get("total_inactive_file", stat.get("inactive_file", "0")))
    return Memory(max(0, used - files), limit if limit < _NO_LIMIT else 0)


def _number(file: Path) -> int:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else 0


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
