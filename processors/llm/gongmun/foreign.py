"""A foreign letter in English: letterhead, references, addressee block, subject, body, signature, enclosures."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.english_contacts import read_english_block
from processors.llm.gongmun.english_dates import EnglishDate, find_english_dates, month_first
from processors.llm.gongmun.english_deadlines import find_english_actions
from processors.llm.gongmun.english_events import find_english_events
from processors.llm.gongmun.english_lists import find_copies, find_enclosures
from processors.llm.gongmun.english_marks import CLOSE, OUR_REF, REF, SALUTATION, YOUR_REF
from processors.llm.gongmun.english_parts import EnglishParts, divide
from processors.llm.gongmun.english_people import find_recipients, find_sender, find_signatory
from processors.llm.gongmun.items import body_text, items_tree, read_items, walk
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written
from processors.llm.gongmun.result import Tree

_AMERICAN = re.compile(r"\b(?:USA|U\.S\.A\.|United States)\b|,\s[A-Z]{2}\s\d{5}(?:-\d{4})?\b|\bUS\$|\+1[\s(.-]")


def read_foreign(lines: Sequence[Line], stamp: dict[str, Read]) -> Tree:
    """Read an English letter from its lines; `stamp` is what the Korean receipt stamp says."""
    whole = "\n".join(line.plain for line in lines)
    leads = month_first(whole, bool(_AMERICAN.search(whole)))
    date_at = _issue_date(lines, leads)
    issued = date_at[1].iso() if date_at else None
    parts = divide(lines, date_at[0] if date_at else None)
    tree: Tree = {"origin": "foreign", "language": "en"}
    signature = find_signatory(parts.after)
    tree["sender"] = find_sender(parts.head) | signature
    tree["recipients"] = find_recipients(parts.address)
    tree["references"] = find_copies(parts.after)
    if parts.title:
        tree["title"] = as_written(parts.title)
    number = _reference(lines)
    if number:
        tree["document_number"] = as_written(number)
    if date_at and issued:
        line, written = date_at
        tree["issue_date"] = Read(issued, lines[line].text.cut(written.start, written.end))
    tree["receipt"] = stamp
    tree["direction"] = Read("incoming", next(iter(stamp.values())).at) if stamp else "unknown"
    items = read_items(parts.body)
    texts = [item.text for item in walk(items) if item.text]
    if items:
        tree["body"] = {"text": body_text(items), "items": items_tree(items)}
    tree["requested_actions"] = find_english_actions(texts, issued, leads)
    tree["events"] = find_english_events(texts, issued, leads)
    tree["amounts"] = [amount.tree() for text in texts for amount in find_amounts(text)]
    tree["attachments"] = find_enclosures(parts.after)
    tree["contacts"] = _contacts(parts)
    return tree


def _issue_date(lines: Sequence[Line], leads: bool) -> tuple[int, EnglishDate] | None:
    """The letter's date stands before the salutation, alone in a cell or behind `Date:`."""
    end = next((i for i, line in enumerate(lines) if SALUTATION.match(line.plain)), len(lines))
    for index in range(end):
        plain = lines[index].plain
        for written in find_english_dates(plain, leads):
            before = re.split(r"\s{2,}", plain[: written.start])[-1]
            if (
                written.year
                and re.fullmatch(r"\s*(?:Date[d]?\s*[:.;]?|[A-Z][A-Za-z\s]+,)?\s*", before)
                and not re.match(r"\s*\w{3,}", plain[written.end :].split("  ")[0])
            ):
                return index, written
    return None


def _reference(lines: Sequence[Line]) -> Placed:
    end = next((i for i, line in enumerate(lines) if CLOSE.match(line.plain)), len(lines))
    for pattern in (OUR_REF, REF):
        for line in lines[:end]:
            for match in pattern.finditer(line.plain):
                if pattern is REF and YOUR_REF.search(line.plain[: match.end()]):
                    continue
                if re.search(r"\d", match["value"]):
                    return line.text.cut(match.start("value"), match.end("value")).strip(".,;:")
    return EMPTY


def _contacts(parts: EnglishParts) -> list[Tree]:
    block = read_english_block([*parts.head, *parts.after])
    contacts: list[Tree] = [block] if block else []
    known = {str(read.value) for read in block.values()}
    for line in parts.body:
        for name, read in read_english_block([line], address=False).items():
            if name in ("phone", "email", "fax") and str(read.value) not in known:
                known.add(str(read.value))
                contacts.append({name: read})
    return contacts
