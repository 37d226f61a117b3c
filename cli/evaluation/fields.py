"""The fields that are scored: where a result has them, and how their values are compared. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cli.evaluation import normal

Tree = Mapping[str, Any]
Values = list[tuple[str, str]]
"""Comparable value and the JSON Pointer where it stands."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name, how its values are read from a result, and whether it is one that matters most.

    `as_set`: a value that is there twice counts once.
    """

    name: str
    values: Callable[[Tree], Values]
    core: bool = False
    as_set: bool = False


def _one(pointer: str, same: Callable[[object], str]) -> Callable[[Tree], Values]:
    def values(tree: Tree) -> Values:
        node: Any = tree
        for part in pointer.split("/")[1:]:
            node = cast("Tree", node).get(part) if isinstance(node, Mapping) else None
        value = same(node) if node not in (None, "") else ""
        return [(value, pointer)] if value else []

    return values


def _each(name: str, key: str, same: Callable[[object], str]) -> Callable[[Tree], Values]:
    def values(tree: Tree) -> Values:
        found = [
            (same(entry[key]), f"/{name}/{index}/{key}")
            for index, entry in _entries(tree, name)
            if entry.get(key) not in (None, "")
        ]
        return [(value, pointer) for value, pointer in found if value]

    return values


def _entries(tree: Tree, name: str) -> list[tuple[int, Tree]]:
    listed = tree.get(name)
    if not isinstance(listed, list):
        return []
    return [(i, cast("Tree", e)) for i, e in enumerate(cast("list[Any]", listed)) if isinstance(e, Mapping)]


def _disclosure(tree: Tree) -> Values:
    found = tree.get("disclosure")
    if not isinstance(found, Mapping) or not cast("Tree", found).get("level"):
        return []
    entry = cast("Tree", found)
    reasons = ",".join(sorted(str(reason) for reason in entry.get("reasons") or ()))
    return [(f"{entry['level']}:{reasons}", "/disclosure")]


def _amounts(tree: Tree) -> Values:
    return [
        (f"{entry.get('currency', '')}{float(entry['value']):.2f}", f"/amounts/{index}/value")
        for index, entry in _entries(tree, "amounts")
        if isinstance(entry.get("value"), int | float)
    ]


def _counts(tree: Tree) -> Values:
    return [
        (f"{normal.text(entry.get('name', ''))}#{entry['count']}", f"/attachments/{index}/count")
        for index, entry in _entries(tree, "attachments")
        if entry.get("count") is not None
    ]


def _approval(tree: Tree) -> Values:
    parts = ("role", "title", "name")
    return [
        (
            "|".join([*(normal.text(entry.get(part, "")) for part in parts), str(bool(entry.get("delegated")))]),
            f"/approval/{index}",
        )
        for index, entry in _entries(tree, "approval")
    ]


FIELDS: tuple[Field, ...] = (
    Field("sender", _one("/sender/organisation", normal.organisation), core=True),
    Field("recipients", _each("recipients", "name", normal.addressee), core=True),
    Field("title", _one("/title", normal.text), core=True),
    Field("document_number", _one("/document_number", normal.text), core=True),
    Field("issue_date", _one("/issue_date", normal.date), core=True),
    Field("due_dates", _each("requested_actions", "due_date", normal.date), core=True, as_set=True),
    Field("attachments", _each("attachments", "name", normal.text), core=True),
    Field("phones", _each("contacts", "phone", normal.phone), core=True, as_set=True),
    Field("emails", _each("contacts", "email", normal.text), core=True, as_set=True),
    Field("disclosure", _disclosure, core=True),
    Field("direction", _one("/direction", normal.text)),
    Field("origin", _one("/origin", normal.text)),
    Field("language", _one("/language", lambda value: normal.text(value)[:2])),
    Field("signatory_title", _one("/sender/signatory_title", normal.text)),
    Field("signatory_name", _one("/sender/signatory_name", normal.text)),
    Field("via", _one("/via", normal.text)),
    Field("references", _each("references", "name", normal.addressee)),
    Field("related_documents", _each("related_documents", "document_number", normal.text)),
    Field("receipt_number", _one("/receipt/number", normal.text)),
    Field("receipt_date", _one("/receipt/date", normal.date)),
    Field("events", _each("events", "start", normal.moment)),
    Field("places", _each("events", "place", normal.text)),
    Field("amounts", _amounts),
    Field("attachment_counts", _counts),
    Field("approval", _approval),
    Field("faxes", _each("contacts", "fax", normal.phone)),
    Field("postal_codes", _each("contacts", "postal_code", normal.text)),
    Field("seal", _one("/seal/status", normal.text)),
)
"""What is scored, the core fields first."""
