"""From scored letters to figures by kind and variant, and the difference to an earlier run. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cli.evaluation.examples import Example
from cli.evaluation.fields import FIELDS
from cli.evaluation.origins import Wrong
from cli.evaluation.readers import Reading
from cli.evaluation.scoring import Counts, Evidence, LetterScore

MAIN = ("core_f1", "wrong", "misplaced", "nowhere", "body", "evidence", "valid", "failed", "seconds_a_page")
"""The figures that a run is judged by.

`wrong` is the share of the core values given that differ from the truth, be it in one letter; parts of it are
`misplaced`, which stand elsewhere in the letter, and `nowhere`, which stand nowhere in it, slips of the OCR allowed.
"""

_LESS_IS_BETTER = frozenset({"wrong", "misplaced", "nowhere", "failed", "seconds_a_page"})

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scored:
    """One example, what was read of it, and what that scores."""

    example: Example
    reading: Reading
    score: LetterScore
    valid: bool


def report(scored: Sequence[Scored]) -> Figures:
    """Return all figures: of everything, by kind, by variant, and letter by letter."""
    groups: dict[str, list[Scored]] = {"all": list(scored)}
    for each in scored:
        groups.setdefault(f"kind:{each.example.kind}", []).append(each)
        groups.setdefault(f"variant:{each.example.variant}", []).append(each)
    return {
        "made_by": sorted({each.reading.made_by for each in scored if each.reading.made_by}),
        "groups": {name: _figures(members) for name, members in groups.items()},
        "letters": {each.example.name: _letter(each) for each in scored},
    }


def _figures(members: Sequence[Scored]) -> Figures:
    core = sum((each.score.core for each in members), Counts())
    evidence = sum((each.score.evidence for each in members), Evidence())
    wrong = sum((each.score.wrong for each in members), Wrong())
    given = max(1, core.right + core.extra)
    pages = sum(each.example.pages for each in members)
    return {
        "letters": len(members),
        "pages": pages,
        "core_f1": round(core.f1, 4),
        "wrong": round(core.wrong, 4),
        "misplaced": round(wrong.misplaced / given, 4),
        "nowhere": round(wrong.nowhere / given, 4),
        "body": round(fmean(each.score.body for each in members), 4),
        "evidence": round(evidence.rate, 4),
        "valid": round(sum(each.valid for each in members) / len(members), 4),
        "failed": sum(bool(each.reading.error) for each in members),
        "seconds_a_page": round(sum(each.reading.seconds for each in members) / max(1, pages), 3),
        "fields": {each.name: _field(each.name, members) for each in FIELDS},
    }


def _field(name: str, members: Iterable[Scored]) -> float | None:
    counts = sum((each.score.fields[name] for each in members), Counts())
    return round(counts.f1, 4) if counts.known else None


def _letter(each: Scored) -> Figures:
    return {
        "core_f1": round(each.score.core.f1, 4),
        "body": round(each.score.body, 4),
        "seconds": round(each.reading.seconds, 3),
        "faults": list(each.score.faults),
        **({"error": each.reading.error} if each.reading.error else {}),
    }


def difference(now: Figures, before: Mapping[str, Any]) -> Figures:
    """Return what changed since an earlier report: figures of groups that both have, and letters that differ."""
    groups: Figures = {}
    for name in now["groups"].keys() & before["groups"].keys():
        new, old = now["groups"][name], before["groups"][name]
        changed = {key: round(new[key] - old[key], 4) for key in MAIN if key in old and new[key] != old[key]}
        fields = {
            key: round(value - old["fields"][key], 4)
            for key, value in new["fields"].items()
            if value is not None and old["fields"].get(key) is not None and value != old["fields"][key]
        }
        if changed or fields:
            groups[name] = {**changed, "fields": fields}
    letters: Figures = {}
    for name in sorted(now["letters"].keys() & before["letters"].keys()):
        new, old = set(now["letters"][name]["faults"]), set(before["letters"][name]["faults"])
        if new != old:
            letters[name] = {"mended": sorted(old - new), "broken": sorted(new - old)}
    return {
        "groups": {name: groups[name] for name in now["groups"] if name in groups},
        "letters": letters,
        "only_now": sorted(now["letters"].keys() - before["letters"].keys()),
        "only_before": sorted(before["letters"].keys() - now["letters"].keys()),
    }


def as_text(body: Figures) -> str:
    """Return the report for people: a column a group."""
    groups: Figures = body["groups"]
    titles = [name.partition(":")[2].removeprefix("domestic_") or name for name in groups]
    wide = [max(8, len(title)) for title in titles]

    def row(label: str, values: Iterable[object]) -> str:
        cells = (f"{_cell(value):>{width}}" for value, width in zip(values, wide, strict=True))
        return f"{label:<20} {'  '.join(cells)}"

    lines = [f"read by: {', '.join(body['made_by']) or 'nothing'}", "", row("", titles)]
    lines += [row(name, (figures[name] for figures in groups.values())) for name in ("letters", "pages", *MAIN)]
    lines += ["", "F1 by field (* = core)"]
    for field in FIELDS:
        mark = "* " if field.core else "  "
        lines.append(row(mark + field.name, (figures["fields"][field.name] for figures in groups.values())))
    return "\n".join(lines)


def difference_as_text(changes: Figures) -> str:
    """Return a difference for people; better and worse are said, since not every figure should grow."""
    lines = ["Since the earlier run:"]
    for name, figures in changes["groups"].items():
        shown = [_change(key, value) for key, value in figures.items() if key != "fields"]
        shown += [_change(key, value) for key, value in figures["fields"].items()]
        lines.append(f"  {name}: {', '.join(shown)}")
    for name, faults in changes["letters"].items():
        lines += [f"  {name} mended: {fault}" for fault in faults["mended"]]
        lines += [f"  {name} broken: {fault}" for fault in faults["broken"]]
    lines += [f"  only in this run: {name}" for name in changes["only_now"]]
    lines += [f"  only in the earlier run: {name}" for name in changes["only_before"]]
    return "\n".join(lines) if len(lines) > 1 else "Nothing has changed since the earlier run."


def _change(name: str, by: float) -> str:
    better = (by < 0) == (name in _LESS_IS_BETTER)
    return f"{name} {by:+g} ({'better' if better else 'worse'})"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
