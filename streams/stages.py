"""The stage kinds that there are here: the gateway's own, and those that installed packages add.

A package adds one by an entry point in the group `llm_gateway.processors`. Its name is the kind, from
which the topics follow, so that ingress and the command line need nothing of the package but its
metadata; its value, a Processor, is loaded only where the kind is served (streams.runtime.serve).
"""

import importlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from schemas.topics import STAGES, StageTopics, Topic, all_topics, stage_topics

GROUP = "llm_gateway.processors"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PROCESS_KINDS = frozenset({"admission", "ingress", "job-state", "kafka", "metering", "redis", "supervisor"})
"""What other processes of the gateway are called: a kind is a process's name too."""


_LOOK_AGAIN_S = 1.0
# When a kind was last looked for and not found: to look costs tens of milliseconds, and a batch may ask 2,000 times.
_missed: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class OwnKind:
    """A stage kind of an installed package; `problem` tells why it cannot be used, empty when it can."""

    name: str
    package: str
    entry: EntryPoint
    problem: str = ""


def own_stage(kind: str) -> StageTopics:
    """Declare the topics of a kind of one's own: `<kind>.requests` with its lanes, and `<kind>.done`."""
    return stage_topics(kind, f"{kind}.requests", f"{kind}.done")


def own_kinds() -> tuple[OwnKind, ...]:
    """Return what installed packages add, by name; looked up once a process."""
    return _installed()


def usable_kinds() -> tuple[OwnKind, ...]:
    """Return the kinds of installed packages that can be used."""
    return tuple(kind for kind in own_kinds() if not kind.problem)


def all_stages() -> dict[str, StageTopics]:
    """Return the topics of every stage kind."""
    return {**STAGES, **{kind.name: own_stage(kind.name) for kind in usable_kinds()}}


def find_stage(kind: str) -> StageTopics | None:
    """Return the topics of a kind, or None; looks again for one that may have been installed since the start."""
    found = all_stages().get(kind)
    if found is None and _NAME.fullmatch(kind):
        importlib.invalidate_caches()
        _installed.cache_clear()
        found = all_stages().get(kind)
    return found


def unknown_stage(kinds: Iterable[str]) -> str | None:
    """Return the first of these kinds that there is none of here; looks again for one at most once a second."""
    stages = all_stages()
    for kind in kinds:
        if kind in stages:
            continue
        now = time.monotonic()
        if now - _missed.get(kind, -_LOOK_AGAIN_S) >= _LOOK_AGAIN_S:
            if find_stage(kind) is not None:
                continue
            _missed[kind] = now
        return kind
    return None


def declared_topics() -> Iterator[Topic]:
    """Yield every topic that must exist here before anything starts, dead letter topics included."""
    return all_topics(all_stages())


def judged(entries: Iterable[EntryPoint]) -> tuple[OwnKind, ...]:
    """Return the entry points as kinds, by name, each with what is wrong with it."""
    kinds: dict[str, OwnKind] = {}
    ordered = sorted(entries, key=lambda entry: (entry.name, _package(entry)))
    for entry in ordered:
        before = kinds.get(entry.name)
        if before is not None:
            problem = f"the package {before.package} has a kind of this name already"
            kinds[f"{entry.name} {_package(entry)}"] = OwnKind(entry.name, _package(entry), entry, problem)
        else:
            kinds[entry.name] = OwnKind(entry.name, _package(entry), entry, _problem(entry.name, STAGES))
    return tuple(kinds.values())


@lru_cache(maxsize=1)
def _installed() -> tuple[OwnKind, ...]:
    return judged(entry_points(group=GROUP))


def _problem(name: str, stages: Mapping[str, StageTopics]) -> str:
    if not _NAME.fullmatch(name):
        return "a kind is called by lower-case letters, digits and hyphens, a letter first, at most 40"
    if name in stages or name in _PROCESS_KINDS:
        return "the gateway has a kind of this name itself"
    own = own_stage(name)
    wanted = {topic.name for topic in (*own.requests.values(), own.done) if topic is not None}
    taken = wanted & {topic.name for topic in all_topics(stages)}
    return f"the topic {min(taken)} is the gateway's own" if taken else ""


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.module
