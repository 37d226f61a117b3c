"""Two results of one letter, field by field: what changed, what was gained, what was lost. Pure.

Fields are the leaves of the JSON, named by JSON Pointer (RFC 6901); in counts, places in lists are `-`.
Nothing (null, an empty text, list or object) counts as not there.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

_SHOWN = 200


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


def diff_document(replay_id: str, diffs: list[JobDiff], examples: int) -> dict[str, Any]:
    """Return the comparison as it is shown: totals, counts by field, and at most `examples` jobs in full.

    The totals count fields over all jobs; `jobs` lists those that differ first.
    """
    totals: Counter[str] = Counter()
    by_field: dict[str, Counter[str]] = {}
    for diff in diffs:
        totals["same"] += diff.same
        for change in diff.changes:
            totals[change.kind] += 1
            by_field.setdefault(_general(change.pointer), Counter())[change.kind] += 1
    compared = [d for d in diffs if not d.problem]
    ordered = sorted(diffs, key=lambda d: (not d.problem, -len(d.changes), d.job_id))
    return {
        "id": replay_id,
        "changed": totals["changed"],
        "gained": totals["gained"],
        "lost": totals["lost"],
        "same": totals["same"],
        "compared": len(compared),
        "identical": sum(not d.changes for d in compared),
        "not_compared": dict(Counter(d.problem for d in diffs if d.problem)),
        "fields": [
            {"field": name, "changed": c["changed"], "gained": c["gained"], "lost": c["lost"]}
            for name, c in sorted(by_field.items(), key=lambda one: (-one[1].total(), one[0]))
        ],
        "jobs": [_job(diff) for diff in ordered[:examples]],
        "jobs_left_out": max(0, len(ordered) - examples),
    }


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
