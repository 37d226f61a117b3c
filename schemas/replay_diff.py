"""Two results of one letter, field by field: what changed, what was gained, what was lost. Pure.

Fields are the leaves of the JSON, named by JSON Pointer (RFC 6901); in counts, places in lists are `-`.
Nothing (null, an empty text, list or object) counts as not there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

_SHOWN = 200
_SPARE = 100


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; `kind` is `changed`, `gained` or `lost`."""

    pointer: str
    kind: str
    before: Any = None
    after: Any = None


@dataclass(slots=True)
class JobDiff:
    """What a replay made of one job. `problem` tells why nothing could be compared."""

    job_id: str
    replayed: str
    changes: list[FieldChange] = field(default_factory=list[FieldChange])
    same: int = 0
    problem: str = ""


def compare(job_id: str, replayed: str, before: Any, after: Any) -> JobDiff:
    """Compare two results."""
    old, new = dict(leaves(before)), dict(leaves(after))
    diff = JobDiff(job_id, replayed)
    for pointer in sorted(old.keys() | new.keys()):
        if pointer not in new:
            diff.changes.append(FieldChange(pointer, "lost", before=old[pointer]))
        elif pointer not in old:
            diff.changes.append(FieldChange(pointer, "gained", after=new[pointer]))
        elif _same(old[pointer], new[pointer]):
            diff.same += 1
        else:
            diff.changes.append(FieldChange(pointer, "changed", old[pointer], new[pointer]))
    return diff


def leaves(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values that stand in a JSON document, with their pointers."""
    match value:
        case dict():
            for name, inner in cast("dict[str, Any]", value).items():
                yield from leaves(inner, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
        case list():
            for place, inner in enumerate(cast("list[Any]", value)):
                yield from leaves(inner, f"{pointer}/{place}")
        case None | "":
            return
        case _:
            yield pointer, value


class Comparison:
    """The comparisons of a replay's jobs, as they come; what is kept of them does not grow with their number."""

    def __init__(self, replay_id: str, examples: int) -> None:
        self._replay_id, self._examples = replay_id, examples
        self._totals: Counter[str] = Counter()
        self._by_field: dict[str, Counter[str]] = {}
        self._problems: Counter[str] = Counter()
        self._jobs = self._compared = self._identical = 0
        self._shown: list[JobDiff] = []

    def add(self, diff: JobDiff) -> None:
        """Take one job's comparison."""
        self._jobs += 1
        if diff.problem:
            self._problems[diff.problem] += 1
        else:
            self._compared += 1
            self._identical += not diff.changes
        self._totals["same"] += diff.same
        for change in diff.changes:
            self._totals[change.kind] += 1
            self._by_field.setdefault(_general(change.pointer), Counter())[change.kind] += 1
        self._shown.append(diff)
        if len(self._shown) > 2 * self._examples + _SPARE:
            self._shown = self._first()

    def document(self) -> dict[str, Any]:
        """Return the comparison as it is shown: totals, counts by field, and some jobs in full.

        The totals count fields over all jobs; `jobs` lists those that differ first.
        """
        totals = self._totals
        fields = sorted(self._by_field.items(), key=lambda one: (-one[1].total(), one[0]))
        return {
            "id": self._replay_id,
            "changed": totals["changed"],
            "gained": totals["gained"],
            "lost": totals["lost"],
            "same": totals["same"],
            "compared": self._compared,
            "identical": self._identical,
            "not_compared": dict(self._problems),
            "fields": [
                {"field": name, "changed": c["changed"], "gained": c["gained"], "lost": c["lost"]} for name, c in fields
            ],
            "jobs": [_job(diff) for diff in self._first()],
            "jobs_left_out": max(0, self._jobs - self._examples),
        }

    def _first(self) -> list[JobDiff]:
        return sorted(self._shown, key=lambda d: (not d.problem, -len(d.changes), d.job_id))[: self._examples]


def diff_document(replay_id: str, diffs: Iterable[JobDiff], examples: int) -> dict[str, Any]:
    """Return the comparison of some jobs, with at most `examples` in full."""
    comparison = Comparison(replay_id, examples)
    for diff in diffs:
        comparison.add(diff)
    return comparison.document()


def _job(diff: JobDiff) -> dict[str, Any]:
    body: dict[str, Any] = {
        "job_id": diff.job_id,
        "replayed": diff.replayed,
        "same": diff.same,
        **{kind: sum(c.kind == kind for c in diff.changes) for kind in ("changed", "gained", "lost")},
        "fields": [
            {"field": c.pointer, "kind": c.kind, "before": _shown(c.before), "after": _shown(c.after)}
            for c in diff.changes
        ],
    }
    return {**body, "problem": diff.problem} if diff.problem else body


def _shown(value: Any) -> Any:
    return f"{value[:_SHOWN]}…" if isinstance(value, str) and len(value) > _SHOWN else value


def _same(a: Any, b: Any) -> bool:
    # In Python 1 == True and 1 == 1.0; in JSON only the second is so.
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _general(pointer: str) -> str:
    return "/".join("-" if part.isdecimal() else part for part in pointer.split("/"))
