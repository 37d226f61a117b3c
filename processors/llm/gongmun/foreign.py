"""A foreign letter in English: letterhead, references, addressee block, subject, body, signature, enclosures."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.citations import find_english_citations
from processors.llm.gongmun.english_contacts import read_english_block
from processors.llm.gongmun.english_dates import EnglishDate, find_english_dates, month_first
from processors.llm.gongmun.english_deadlines import find_english_actions
from processors.llm.gongmun.english_events import find_english_events
from processors.llm.gongmun.english_lists import find_copies, find_enclosures
from processors.llm.gongmun.english_marks import COPY, SALUTATION
from processors.llm.gongmun.english_numbers import own_number
from processors.llm.gongmun.english_parts import EnglishParts, divide
from processors.llm.gongmun.english_people import find_recipients, find_sender, find_signatory
from processors.llm.gongmun.items import body_text, items_tree, read_items, walk
from processors.llm.gongmun.lines import Line
from processors.llm.gongmun.placed import Read, as_written
from processors.llm.gongmun.result import Tree

_AMERICA = re.compile(r"\b(?:USA|U\.S\.A\.|United States)(?!\w)")
_AMERICAN_PLACE = re.compile(r",\s[A-Z]{2}\s\d{5}(?:-\d{4})?\b|(?<![\w+])\+\s?1[\s(.-]")


def read_foreign(lines: Sequence[Line], stamp: dict[str, Read]) -> Tree:
    """Read an English letter from its lines; `stamp` is what the Korean receipt stamp says."""
    parts = foreign_parts(lines)
    leads = months_lead(lines, parts)
    date_at = _issue_date(lines, leads)
    issued = date_at[1].iso() if date_at else None
    tree: Tree = {"origin": "foreign", "language": "en"}
    signature = find_signatory(parts.after)
    tree["sender"] = find_sender(parts.head) | signature
    tree["recipients"] = find_recipients(parts.address)
    tree["references"] = find_copies(parts.after)
    if parts.title:
        tree["title"] = as_written(parts.title)
    number = own_number(lines[: len(lines) - len(parts.body) - len(parts.after)])
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
    tree["related_documents"] = find_english_citations(texts, leads)
    tree["attachments"] = find_enclosures(parts.after)
    tree["contacts"] = _contacts(parts)
    return tree


def foreign_parts(lines: Sequence[Line]) -> EnglishParts:
    """Divide a letter. Which line has the date is known before its order is, which depends on who writes."""
    return divide(lines, next((at[0] for order in (False, True) if (at := _issue_date(lines, order))), None))


def months_lead(lines: Sequence[Line], parts: EnglishParts) -> bool:
    """Tell whether the letter's dates in figures have the month first."""
    return month_first("\n".join(line.plain for line in lines), is_american(parts))


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


def is_american(parts: EnglishParts) -> bool:
    """Tell whether the sender is American, by letterhead and footer; sums in dollars and addressees say nothing."""
    if any(_AMERICA.search(line.plain) or _AMERICAN_PLACE.search(line.plain) for line in parts.head):
        return True
    copied = False
    for line in parts.after:
        copied = COPY.match(line.plain) is not None or (copied and "@" not in line.plain)
        if not copied and _AMERICAN_PLACE.search(line.plain):
            return True
    return False


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
