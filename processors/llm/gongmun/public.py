"""A public body's letter (기안문, 시행문)."""

from collections.abc import Sequence

from processors.llm.gongmun.approval import read_approval
from processors.llm.gongmun.contacts import merge_lines, read_block
from processors.llm.gongmun.disclosure import read_disclosure
from processors.llm.gongmun.head_name import head_name
from processors.llm.gongmun.korean import body_fields, contacts_of
from processors.llm.gongmun.numbers import unit_of
from processors.llm.gongmun.placed import Placed, Read, as_written
from processors.llm.gongmun.public_tail import Tail, read_issue, read_received, split_tail
from processors.llm.gongmun.recipients import read_parties, refers_to_list, see_list
from processors.llm.gongmun.repairs import repaired_office, repaired_title, same_domain
from processors.llm.gongmun.result import Tree
from processors.llm.gongmun.sender_name import public_sender, trimmed_office
from processors.llm.gongmun.zones import Zones


def read_public(zones: Zones, stamp: dict[str, Read]) -> Tree:
    """Read a public letter from its zones; `stamp` is what the receipt stamp says."""
    tail = split_tail(zones.tail)
    number, date = read_issue(tail.issued) if tail.issued else (None, None)
    issued = str(date.value) if date else None
    tree: Tree = {"origin": "domestic_public", "language": "ko"}
    tree["sender"] = _sender(zones, tail, number)
    tree["recipients"] = _recipients(zones, tail)
    via = zones.field("via")
    if via:
        tree["via"] = as_written(via)
    if zones.title:
        tree["title"] = repaired_title(zones.title)
    if number:
        tree["document_number"] = number
    if date:
        tree["issue_date"] = date
    receipt = stamp or (read_received(tail.received) if tail.received is not None else {})
    tree["receipt"] = receipt
    tree["direction"] = _direction(receipt, tail)
    tree |= body_fields(zones, issued)
    tree["contacts"] = contacts_of(zones, same_domain(read_block(tail.contact), public=True))
    tree["approval"] = read_approval(tail.approval, tail.cooperators, issued)
    tree["disclosure"] = read_disclosure(merge_lines(tail.contact)) or {}
    return tree


def _direction(receipt: dict[str, Read], tail: Tail) -> Read | str:
    if receipt:
        return Read("incoming", next(iter(receipt.values())).at)
    return Read("outgoing", tail.issued) if tail.received is not None else "unknown"


def _sender(zones: Zones, tail: Tail, number: Read | None) -> Tree:
    sender: Tree = {}
    name = head_name(zones.above)
    signatory = trimmed_office(tail.signatory)
    organisation = public_sender(Read(name[0].text, *name) if name else None, signatory)
    if organisation:
        sender["organisation"] = repaired_office(organisation)
    if number:
        unit = unit_of(str(number.value))
        if unit:
            placed = number.at.cut(0, len(unit)) if number.at.text.startswith(unit) else number.at
            sender["department"] = Read(unit, placed, number.certainty)
    if signatory:
        sender["signatory_title"] = as_written(signatory)
    return sender


def _recipients(zones: Zones, tail: Tail) -> Sequence[dict[str, Read]]:
    value: Placed = zones.field("recipient")
    if tail.recipients and (not value or see_list(value) or refers_to_list(value)):
        return read_parties(tail.recipients)
    return [] if see_list(value) else read_parties(value)
