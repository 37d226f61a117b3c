"""What public and private Korean letters share: body, requests, amounts, events, attachments, citations."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.attachments import read_attachments
from processors.llm.gongmun.contacts import body_contacts
from processors.llm.gongmun.deadlines import find_actions
from processors.llm.gongmun.events import find_events
from processors.llm.gongmun.items import Item, body_text, items_tree, read_items, walk
from processors.llm.gongmun.placed import Placed, Read
from processors.llm.gongmun.related import find_related
from processors.llm.gongmun.result import Tree
from processors.llm.gongmun.table_sums import find_table_sums
from processors.llm.gongmun.zones import Zones

_INQUIRY = re.compile(r"문\s*의(?:\s*처|\s*사항|\s*전화)?(?![가-힣])")
_WHO = re.compile(r"(?:문\s*의(?:\s*처|\s*사항|\s*전화)?|담\s*당(?:\s*자|\s*부\s*서)?|연\s*락\s*처)\s*:?")


def body_fields(zones: Zones, issued: str | None) -> Tree:
    """Read everything that the body and the 붙임 hold; `issued` (ISO) completes years."""
    items = read_items(zones.body)
    texts = [item.text for item in walk(items) if item.text]
    tree: Tree = {}
    if items:
        tree["body"] = {"text": body_text(items), "items": items_tree(items)}
    tables = [table for item in walk(items) for table in item.tables]
    tree["requested_actions"] = find_actions(texts, tables, issued)
    tree["events"] = find_events(items, issued)
    tree["amounts"] = [amount.tree() for text in texts for amount in find_amounts(text)]
    tree["amounts"] += [
        amount.tree() for item in walk(items) for table in item.tables for amount in find_table_sums(table, item.text)
    ]
    tree["related_documents"] = find_related(texts)
    tree["attachments"] = read_attachments(zones.attachments)
    return tree


def contacts_of(zones: Zones, block: dict[str, Read]) -> list[dict[str, Read]]:
    """Return the letterhead's or tail's block first, then the people named in the body."""
    texts = body_paragraphs(read_items(zones.body))
    known = {(name, str(read.value)) for name, read in block.items()}
    further = [
        contact
        for contact in body_contacts(texts)
        if any((name, str(read.value)) not in known for name, read in contact.items() if name in ("phone", "email"))
    ]
    return [*([block] if block else []), *further]


def body_paragraphs(items: Sequence[Item]) -> list[Placed]:
    """Return the texts of all items, and the table cells that say whom to ask; other tables list other people."""
    texts: list[Placed] = []
    for item in walk(items):
        if item.text:
            texts.append(item.text)
        for table in item.tables:
            for row in (table.header, *table.rows):
                texts += [cell for cell in row if _INQUIRY.search(cell.plain)]
                if len(row) == 2 and _WHO.fullmatch(row[0].plain):
                    texts.append(row[1])
    return texts
