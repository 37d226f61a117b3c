"""A company's or association's letter in Korean."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.contacts import read_block
from processors.llm.gongmun.dates import find_dates
from processors.llm.gongmun.head_name import head_name
from processors.llm.gongmun.korean import body_fields, contacts_of
from processors.llm.gongmun.lines import Line, letter_spaced
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written, joined
from processors.llm.gongmun.recipients import read_parties
from processors.llm.gongmun.repairs import repaired_office, repaired_title, same_domain
from processors.llm.gongmun.result import Tree
from processors.llm.gongmun.seal import without_omitted
from processors.llm.gongmun.sender_name import company_sender
from processors.llm.gongmun.signature import TITLES
from processors.llm.gongmun.zones import Zones

_SIGNED = re.compile(
    rf"^(?P<organisation>.*?)\s*(?P<title>{TITLES})\s*[:]?\s*(?:(?P<name>[가-힣](?:\s*[가-힣]){{1,3}})|(?=\S*[^가-힣\s])\S{{1,5}})?"
    r"(?:(?<=[가-힣])\s+[^가-힣\s]{1,3})?\s*$"
)
"""What a seal leaves behind the name is no part of it."""
_NUMBER_BRACKET = re.compile(r"\s*\(\s*(?:전화|☎|담당).*$")


def read_private(zones: Zones, stamp: dict[str, Read]) -> Tree:
    """Read a private letter from its zones; `stamp` is what the receipt stamp says."""
    date = _date(zones)
    issued = str(date.value) if date else None
    tree: Tree = {"origin": "domestic_private", "language": "ko"}
    signature = _signature(zones.tail)
    tree["sender"] = _sender(zones, signature)
    tree["recipients"] = read_parties(zones.field("recipient"))
    references = zones.field("references")
    if references:
        tree["references"] = read_parties(references)
    via = zones.field("via")
    if via:
        tree["via"] = as_written(via)
    if zones.title:
        tree["title"] = repaired_title(zones.title)
    number = _without(zones.field("number"), _NUMBER_BRACKET)
    if number:
        tree["document_number"] = as_written(number)
    if date:
        tree["issue_date"] = date
    tree["receipt"] = stamp
    tree["direction"] = Read("incoming", next(iter(stamp.values())).at) if stamp else "unknown"
    tree |= body_fields(zones, issued)
    tree["contacts"] = contacts_of(zones, same_domain(read_block([*zones.above, *zones.tail]), public=False))
    return tree


def _date(zones: Zones) -> Read | None:
    value = zones.field("date")
    dates = find_dates(value.plain)
    if not dates:
        # Some letters give the date alone, above the signature.
        for line in zones.tail[:4]:
            alone = find_dates(line.plain)
            if alone and len(line.plain) - (alone[0].end - alone[0].start) < 6:
                value, dates = line.text, alone
                break
    iso = dates[0].iso() if dates else None
    return Read(iso, value.cut(dates[0].start, dates[0].end), dates[0].certainty) if iso else None


def _sender(zones: Zones, signature: dict[str, Placed]) -> Tree:
    sender: Tree = {}
    name = head_name(zones.above)
    readings = [Read(name[0].single_spaced().text, *name)] if name else []
    readings += [as_written(text) for text in (zones.field("sender"), signature.get("organisation", EMPTY)) if text]
    readings = [repaired_office(read) for read in readings]
    organisation = company_sender(readings)
    if organisation:
        sender["organisation"] = organisation
    if signature.get("title"):
        sender["signatory_title"] = as_written(signature["title"].squeeze())
    if signature.get("name"):
        sender["signatory_name"] = as_written(signature["name"].squeeze())
    return sender


def _signature(lines: Sequence[Line]) -> dict[str, Placed]:
    """Read organisation, title and name from the signature, on one line or two."""
    for i, line in enumerate(lines):
        text = without_omitted(line.text)
        match = _SIGNED.match(text.plain)
        if not match or re.search(r"담당|@|\d{3,4}-\d{4}", line.plain):
            continue
        parts = {
            name: text.cut(match.start(name), match.end(name))
            for name in ("organisation", "title", "name")
            if match[name]
        }
        if not parts.get("organisation") and i:
            parts["organisation"] = letter_spaced(joined(cell.text for cell in lines[i - 1].cells))
        return parts
    return {}


def _without(text: Placed, pattern: re.Pattern[str]) -> Placed:
    match = pattern.search(text.plain)
    return text.cut(0, match.start()) if match else text
