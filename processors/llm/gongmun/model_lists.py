"""A model's addressees, attachments, deadlines, contacts, citations and 공개구분. Pure.

Each is taken only from where a letter has it, and only as its grammar has it: an addressee from behind 수신 or from the
addressee block, an attachment from the list of 붙임, a deadline from the body where a date is followed by 까지 or led
by `by`. What the rules read there stays; the model adds what they missed and corrects doubtful letters.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from processors.llm.gongmun.dates import complete_year, find_dates
from processors.llm.gongmun.disclosure import read_disclosure
from processors.llm.gongmun.english_deadlines import find_english_actions
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.model_find import Found, squeezed
from processors.llm.gongmun.model_places import IN_BODY, OTHER_FIELD, OUT_OF_PLACE, Places, Spot, spots_of, touch
from processors.llm.gongmun.model_settle import UNSURE, drop, is_wanted, locate, put, settle, warn
from processors.llm.gongmun.numbers import find_unit_number
from processors.llm.gongmun.phones import find_reachables
from processors.llm.gongmun.placed import Placed, Read, joined
from processors.llm.gongmun.recipients import read_parties, see_list
from processors.llm.gongmun.unsure import is_name

_COUNT = re.compile(r"\s*(?:각\s*)?\d{1,3}\s*[부매식종장권]\s*\.?\s*(?:끝\s*\.?\s*)?$|\s+끝\s*\.?\s*$")
_ITEM = re.compile(
    r"^(?:(?:붙\s*임|별\s*첨|첨\s*부)\s*[:.]?\s+|Encl\w*\.?\s*(?:\(s\))?\s*[:.]\s*)?(?:\(?\d{1,2}\s?[.)]\s*)?"
)
_UNTIL = re.compile(
    r"^[\s(월화수목금토일)]*(?:\d{1,2}:\d{2}|\d{1,2}시)?\s*(?:까\s?지|[깨끼까]지)(?!\s*(?:의\s|유효|시행|운영))"
)
_DUE = re.compile(r"(?:기\s?한|마\s?감|기\s?일)\s*[:;]?\s*$")
_NO_DEADLINE = re.compile(
    r"(?:사업|공사|계약|전시|운영|시행|유효|점검|행사|교육|개최)\s*기\s?간|하겠|드리겠|예정|지난\s"
)
_BLOCK = re.compile(r"@|https?:|www\.|전\s*화|팩\s*스|전\s*송|/\s*\S+\s*$|우\s*\)?\s*\d{5}")
_ASKS = re.compile(r"바랍|주시|바람|요청|제출|회신|신청|접수|납부|통보|알려")
_NUMBER_IN = "model_value_is_no_number"

Tree = dict[str, Any]
Entry = Mapping[str, Any]
_Merge = Callable[[Tree, Mapping[str, Line], Entry, Places], None]


def merge_lists(merged: Tree, lines: Mapping[str, Line], answer: Mapping[str, Any], places: Places) -> None:
    """Take from a model's lists what the letter has and the rules do not; `merged` is written to."""
    if "origin" not in merged:
        return
    for name, merge_one in _MERGERS.items():
        entries: object = answer.get(name)
        if isinstance(entries, Sequence) and not isinstance(entries, str):
            for entry in cast(Sequence[object], entries):
                if isinstance(entry, Mapping):
                    merge_one(merged, lines, cast(Entry, entry), places)


def merge_disclosure(merged: Tree, lines: Mapping[str, Line], given: object, places: Places) -> None:
    """Take a 공개구분 from the tail of a public letter that the rules found none in."""
    if not isinstance(given, Mapping) or "disclosure" in merged or places.origin != "domestic_public":
        return
    entry = cast(Entry, given)
    found = locate(entry, lines)
    if isinstance(found, str):
        drop(merged, found, "/disclosure", entry)
        return
    line_id = str(entry.get("line", ""))
    tree = read_disclosure(found.at) if found.exact and _ends_block(lines[line_id], found.at) else None
    if tree is None or line_id in places.body | places.listed or places.is_anothers("disclosure", found.at):
        drop(merged, OUT_OF_PLACE if tree else "model_value_is_no_disclosure", "/disclosure", entry)
    elif not is_wanted(merged, found, "/disclosure"):
        drop(merged, UNSURE, "/disclosure", entry)
    else:
        for name in ("level", "as_written"):
            _put_read(merged, f"/disclosure/{name}", cast(Read, tree[name]), found)
        for i, reason in enumerate(cast(list[Read], tree.get("reasons", []))):
            merged["disclosure"].setdefault("reasons", []).append(reason.value)
            merged["evidence"][f"/disclosure/reasons/{i}"] = _entries(reason, found)


def _ends_block(line: Line, place: Placed) -> bool:
    """Tell whether a place is where 공개구분 stands: at the end of the block of addresses, or alone on its line."""
    return _end_in(line, place) == len(line.text.text.rstrip()) and (
        squeezed(line.plain) == squeezed(place.plain) or _BLOCK.search(line.plain) is not None
    )


def _merge_recipient(merged: Tree, lines: Mapping[str, Line], entry: Entry, places: Places) -> None:
    found = locate(entry, lines)
    if isinstance(found, str):
        drop(merged, found, "/recipients", entry)
        return
    if not places.is_addressee(found.at) or places.is_anothers("recipients", found.at) or see_list(found.at):
        drop(merged, OTHER_FIELD, "/recipients", entry)
        return
    parties = read_parties(found.at)
    if len(parties) != 1 or "name" not in parties[0]:
        drop(merged, "model_value_is_no_addressee", "/recipients", entry)
        return
    name = parties[0]["name"].at
    if found.exact:
        found = Found(name.single_spaced().text, name, True)
    _settle_entry(merged, "recipients", "name", found)


def _merge_attachment(merged: Tree, lines: Mapping[str, Line], entry: Entry, places: Places) -> None:
    value = _COUNT.sub("", _ITEM.sub("", str(entry.get("value", "")).strip())).strip(" .,;:")
    found = locate({**entry, "value": value}, lines, 2)
    if isinstance(found, str):
        drop(merged, found, "/attachments", entry)
    elif str(entry.get("line", "")) not in places.listed or places.is_anothers("attachments", found.at):
        drop(merged, OTHER_FIELD, "/attachments", entry)
    elif not is_name(found.value):
        drop(merged, "model_value_is_no_name", "/attachments", entry)
    else:
        _settle_entry(merged, "attachments", "name", found)


def _merge_deadline(merged: Tree, lines: Mapping[str, Line], entry: Entry, places: Places) -> None:
    """A date of the body is a deadline only where the words beside it say so; a model's word for it is not enough."""
    line_id = str(entry.get("line", ""))
    line, found = lines.get(line_id), locate(entry, lines)
    if isinstance(found, str) or line is None:
        drop(merged, str(found), "/requested_actions", entry)
        return
    issued = str(merged["issue_date"]) if "issue_date" in merged else None
    due = _due(_around(line_id, lines, places), found.at, issued, places)
    if line_id not in places.body or due is None or not found.exact:
        drop(merged, "model_value_is_no_deadline", "/requested_actions", entry)
        return
    actions = cast(list[Tree], merged.get("requested_actions", []))
    dated = Found(str(due.value), due.at, True)
    if any(action.get("due_date") == due.value for action in actions):
        return
    if not is_wanted(merged, dated, "/requested_actions"):
        drop(merged, UNSURE, "/requested_actions", entry)
        return
    index = len(actions)
    put(merged, f"/requested_actions/{index}/due_date", dated)
    put(merged, f"/requested_actions/{index}/due_as_written", Found(due.at.single_spaced().text, due.at, True))


def _around(line_id: str, lines: Mapping[str, Line], places: Places) -> Placed:
    """Return a line of the body with those before and behind it: what governs a date may stand there."""
    names = list(lines)
    at = names.index(line_id)
    near = [name for name in names[max(0, at - 1) : at + 2] if name in places.body]
    return joined(lines[name].text for name in near)


def _due(text: Placed, place: Placed, issued: str | None, places: Places) -> Read | None:
    """Return the deadline that stands at a place, None when the words around it name none."""
    inside = {glyph for glyph in place.glyphs if glyph}

    def is_there(part: Placed) -> bool:
        return bool(inside & {glyph for glyph in part.glyphs if glyph})

    if places.origin == "foreign":
        found = [
            action["due_date"]
            for action in find_english_actions([text], issued, places.months_lead)
            if "due_date" in action
        ]
        return next((due for due in found if is_there(due.at)), None)
    plain = text.plain
    for written in find_dates(plain):
        part = text.cut(written.start, written.end)
        iso = complete_year(written, issued)
        if iso is None or (issued and iso < issued) or not is_there(part):
            continue
        until = _UNTIL.match(plain[written.end :]) or _DUE.search(plain[: written.start])
        if until and _ASKS.search(plain) and not _NO_DEADLINE.search(plain):
            return Read(iso, part, written.certainty)
    return None


def _merge_reachable(kind: str) -> _Merge:
    def merge_one(merged: Tree, lines: Mapping[str, Line], entry: Entry, places: Places) -> None:
        pointer = f"/contacts/0/{kind}"
        line_id = str(entry.get("line", ""))
        line, found = lines.get(line_id), locate(entry, lines)
        if isinstance(found, str) or line is None:
            drop(merged, str(found), pointer, entry)
            return
        block = cast(list[Tree], merged.get("contacts", []))
        if line_id in places.body | places.listed or (block and _is_in_body(merged, places)):
            drop(merged, IN_BODY, pointer, entry)  # who may be asked in a matter is not how the sender is reached
            return
        if places.is_anothers("contacts", found.at) or places.is_beyond(found.at):
            drop(merged, OTHER_FIELD, pointer, entry)
            return
        inside = {glyph for glyph in found.at.glyphs if glyph}
        reached = [
            each
            for each in find_reachables(line.text, foreign=places.origin == "foreign")
            if inside & {glyph for glyph in each.read.at.glyphs if glyph}
        ]
        if [each.kind for each in reached] != [kind]:
            drop(merged, f"model_value_is_no_{kind}", pointer, entry)  # its label says fax, or it is none at all
            return
        read = reached[0].read
        settle(merged, pointer, Found(str(read.value) if found.exact else found.value, read.at, found.exact))

    return merge_one


def _is_in_body(merged: Tree, places: Places) -> bool:
    """Tell whether the first contact is one that the body names, there being no block."""
    evidence = cast(dict[str, list[Tree]], merged.get("evidence", {}))
    return any(touch(spot, other) for spot in _spots(evidence, "/contacts/0/") for other in places.below("body"))


def _merge_related(merged: Tree, lines: Mapping[str, Line], entry: Entry, places: Places) -> None:
    line_id = str(entry.get("line", ""))
    line, found = lines.get(line_id), locate(entry, lines)
    if isinstance(found, str) or line is None:
        drop(merged, str(found), "/related_documents", entry)
        return
    if line_id not in places.body or not found.exact or places.is_anothers("related_documents", found.at):
        drop(merged, OUT_OF_PLACE, "/related_documents", entry)
        return
    dated = next((d for d in find_dates(line.plain[_end_in(line, found.at) :]) if d.start <= 3), None)
    number = find_unit_number(found.value)
    if not (number and number.span() == (0, len(found.value))) and not (dated and re.search(r"\d", found.value)):
        drop(merged, _NUMBER_IN, "/related_documents", entry)
        return
    cited = cast(list[Tree], merged.get("related_documents", []))
    if any(squeezed(str(other.get("document_number", ""))) == squeezed(found.value) for other in cited):
        return
    if not is_wanted(merged, found, "/related_documents"):
        drop(merged, UNSURE, "/related_documents", entry)
        return
    put(merged, f"/related_documents/{len(cited)}/document_number", found)


def _end_in(line: Line, place: Placed) -> int:
    last = next((glyph for glyph in reversed(place.glyphs) if glyph), None)
    return max((i + 1 for i, glyph in enumerate(line.text.glyphs) if glyph is not None and glyph == last), default=0)


def _settle_entry(merged: Tree, field: str, key: str, found: Found) -> None:
    """Settle an entry where the rules read it, else fill the first one whose value they left out, else add one."""
    entries = cast(list[Tree], merged.get(field, []))
    evidence = cast(dict[str, list[Tree]], merged.get("evidence", {}))
    own = spots_of(found.at.evidence())
    for i, entry in enumerate(entries):
        old = spots_of(evidence.get(f"/{field}/{i}/{key}", []))
        if key in entry and any(touch(one, other) for one in own for other in old):
            settle(merged, f"/{field}/{i}/{key}", found)
            return
        if squeezed(str(entry.get(key, ""))) == squeezed(found.value):
            return
    gaps = [i for i, entry in enumerate(entries) if key not in entry]
    beside = [
        i for i in gaps if any(_in_a_row(one, other) for one in own for other in _spots(evidence, f"/{field}/{i}/"))
    ]
    if not gaps:
        settle(merged, f"/{field}/{len(entries)}/{key}", found, root=f"/{field}")
    elif len(beside) == 1:
        settle(merged, f"/{field}/{beside[0]}/{key}", found, root=f"/{field}")
    else:
        warn(merged, UNSURE, f"/{field}", f"which entry the model means is not sure: {found.value[:80]}")


def _spots(evidence: Mapping[str, list[Tree]], root: str) -> list[Spot]:
    return [spot for name, entries in evidence.items() if name.startswith(root) for spot in spots_of(entries)]


def _in_a_row(one: Spot, other: Spot) -> bool:
    return one[0] == other[0] and min(one[4], other[4]) > max(one[2], other[2])


def _put_read(merged: Tree, pointer: str, read: Read, found: Found) -> None:
    put(merged, pointer, replace(found, value=str(read.value), at=read.at))


def _entries(read: Read, found: Found) -> list[Tree]:
    return [{**entry, "source": "model"} for entry in read.at.evidence(found.certainty())]


_MERGERS: dict[str, _Merge] = {
    "recipients": _merge_recipient,
    "attachments": _merge_attachment,
    "deadlines": _merge_deadline,
    "phones": _merge_reachable("phone"),
    "emails": _merge_reachable("email"),
    "related_documents": _merge_related,
}
