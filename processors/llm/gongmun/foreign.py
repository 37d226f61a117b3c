"""A foreign letter in English: letterhead, references, addressee block, subject, body, signature, enclosures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.english_contacts import read_english_block
from processors.llm.gongmun.english_dates import EnglishDate, find_english_dates, month_first
from processors.llm.gongmun.english_deadlines import find_english_actions
from processors.llm.gongmun.english_events import find_english_events
from processors.llm.gongmun.items import body_text, items_tree, read_items, walk
from processors.llm.gongmun.lines import Line, letter_spaced
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written, joined
from processors.llm.gongmun.result import Tree

_OUR_REF = re.compile(
    r"(?:^|\s)(?:Our\s+ref(?:erence)?|"
    r"Our\s+no)\s?\.?(?:\s?no\.?)?\s*[:.;]?\s*(?P<value>[A-Z0-9][\w/.\-()]*(?:\s?[/\-]\s?[\w.\-]+)*(?:\s\d[\w\-/]*)?)",
    re.I,
)
_REF = re.compile(
    r"(?:^|\s{2})(?:Ref(?:erence)?\s?\.?(?:\s?(?:no|number)\.?)?|Letter\s+no\.?|Document\s+no\.?|"
    r"File\s+(?:no|ref)\.?|No\.)\s*[:;]?\s*(?P<value>[A-Z0-9][\w/.\-()]*(?:\s?[/\-]\s?[\w.\-]+)*)",
    re.I,
)
_YOUR = re.compile(r"\byour\s+ref", re.I)
_SUBJECT = re.compile(r"^\s*(?:Subject|Subj\.?|RE|Re|Regarding|Title)\s*[:;.]\s*")
_SALUTATION = re.compile(r"^\s*(?:Dear\b|To whom it may concern|Ladies and Gentlemen)", re.I)
_CLOSE = re.compile(
    r"^\s*(?:Yours\s+(?:sincerely|faithfully|truly)|Sincerely|(?:Best|Kind|Warm|With\s+(?:best|kind|"
    r"warm))\s+regards|Respectfully|Very\s+truly|Regards|Cordially|With\s+thanks)\b",
    re.I,
)
_ENCLOSURES = re.compile(
    r"^\s*(?:Enclosures?|Encls?|Enc|Attachments?)\s?(?:\(s\))?\s?(?:\(\d+\))?\s?[.:;]{0,2}(?=\s|$)\s*:?\s*", re.I
)
_COPY = re.compile(r"^\s*(?:c\s?c|copy(?:\s+to)?|copies\s+to)\s*[.:;]?\s*:?\s+", re.I)
_ATTENTION = re.compile(r"^\s*(?:Attn|Attention|FAO|For\s+the\s+attention\s+of)\s*[.:;]*\s*", re.I)
_PERSON = re.compile(r"^(?:Mr|Ms|Mrs|Miss|Dr|Prof(?:essor)?|Sir|Dame)\b\.?\s", re.I)
_TO = re.compile(r"^\s*To\s*[:;]\s*", re.I)
_ORGANISATION = re.compile(
    r"\b(?:Agency|Ministry|Department|Institute|University|Council|City|County|Province|Office|Company|"
    r"Co\.|Ltd|Inc|Corp(?:oration)?|Authority|Association|Foundation|Bureau|Commission|Centre|Center|"
    r"Government|Trust|Society|Union|Federation|Board|Committee|Group|GmbH|LLC|LLP|PLC|Pty|B\.?V|S\.?A|AG|"
    r"Museum|Library|Hospital|School|College|Laboratory|Network|Service|Bank|Energy|Trading|Systems|Park|"
    r"Hall|Fund|Partners|Works|Industries|Division|Administration|Organisation|Organization)\b"
)
_ADDRESS = re.compile(
    r"^\d+[\w\-]*,?\s|\b(?:Street|Road|Avenue|Lane|Drive|Square|-ro|-gil|-daero|Boulevard|Way|"
    r"P\.?\s?O\.?\s?Box|Floor|Suite)\b|\b\d{4,6}\b|^(?:Republic of Korea|South Korea|Korea|United Kingdom|"
    r"Germany|France|Japan)$|, (?:Republic of )?Korea",
    re.I,
)
_AMERICAN = re.compile(r"\b(?:USA|U\.S\.A\.|United States)\b|,\s[A-Z]{2}\s\d{5}(?:-\d{4})?\b|\bUS\$|\+1[\s(.-]")
_POSITION = re.compile(
    r"\b(?:Director|Manager|Coordinator|Head|Officer|President|Chair(?:man|woman|person)?|Secretary|"
    r"Professor|Curator|Lead|Chief|Partner|Editor|Engineer|Representative|Dean|Minister|Commissioner|"
    r"Executive|Consultant|Adviser|Advisor|Specialist|Fellow|Administrator|Registrar|Attach[eé]|"
    r"Counsellor|Ambassador|Controller|Assistant|Planner|Treasurer|CEO|CFO|Analyst|Scientist|Buyer|"
    r"Auditor)\b"
)
_ITEM = re.compile(r"^\s*(?:\(?\d{1,2}[.)]|[-•*·])\s*")
_COPIES = re.compile(r"\s*\((?P<written>(?P<n>\d+|one|two|three|four)\s+(?:copies|copy|pages?|sets?))\)\s*$", re.I)
_REFERENCE = re.compile(r"\s*(?:(?:our|your)\s+)?ref(?:erence)?\b\.?\s*(?:no\.?)?\s*[:.]", re.I)
_REACHED = re.compile(r"\w@\w|www\.|https?:|\+\d|\b(?:Tel|Fax|Phone)\b", re.I)
_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4}


@dataclass(frozen=True, slots=True)
class _Parts:
    head: Sequence[Line]
    address: Sequence[Line]
    title: Placed
    body: Sequence[Line]
    after: Sequence[Line]


def read_foreign(lines: Sequence[Line], stamp: dict[str, Read]) -> Tree:
    """Read an English letter from its lines; `stamp` is what the Korean receipt stamp says."""
    whole = "\n".join(line.plain for line in lines)
    leads = month_first(whole, bool(_AMERICAN.search(whole)))
    date_at = _issue_date(lines, leads)
    issued = date_at[1].iso() if date_at else None
    parts = _parts(lines, date_at[0] if date_at else None)
    tree: Tree = {"origin": "foreign", "language": "en"}
    signature = _signature(parts.after)
    tree["sender"] = _sender(parts.head) | signature
    tree["recipients"] = _recipients(parts.address)
    tree["references"] = _copies(parts.after)
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
    tree["attachments"] = _enclosures(parts.after)
    tree["contacts"] = _contacts(parts)
    return tree


def _issue_date(lines: Sequence[Line], leads: bool) -> tuple[int, EnglishDate] | None:
    """The letter's date stands before the salutation, alone in a cell or behind `Date:`."""
    end = next((i for i, line in enumerate(lines) if _SALUTATION.match(line.plain)), len(lines))
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


def _parts(lines: Sequence[Line], date_line: int | None) -> _Parts:
    salutation = next((i for i, line in enumerate(lines) if _SALUTATION.match(line.plain)), None)
    subject = next((i for i, line in enumerate(lines) if _SUBJECT.match(line.plain)), None)
    close = next((i for i, line in enumerate(lines) if _CLOSE.match(line.plain) and len(line.plain) < 40), None)
    body_start = max((salutation if salutation is not None else -1), -1) + 1
    title = EMPTY
    if subject is not None and (close is None or subject < close):
        label = _SUBJECT.match(lines[subject].plain)
        title, title_end = _title(lines, subject, lines[subject].text.cut(label.end() if label else 0))
        body_start = max(body_start, title_end)
    elif salutation is not None and salutation + 1 < len(lines) and _is_heading(lines, salutation + 1):
        title, body_start = _title(lines, salutation + 1, lines[salutation + 1].text)
    end = close if close is not None else _after_body(lines, body_start)
    head_end = _address_start(lines, date_line, min(i for i in (salutation, subject, end) if i is not None))
    address_end = min(i for i in (salutation, subject, end) if i is not None)
    return _Parts(lines[:head_end], lines[head_end:address_end], title, lines[body_start:end], lines[end:])


def _title(lines: Sequence[Line], index: int, first: Placed) -> tuple[Placed, int]:
    parts = [first]
    line = lines[index]
    following = index + 1
    while following < len(lines) and len(parts) < 3:
        candidate = lines[following]
        near = candidate.y - lines[following - 1].y < 2.1 * max(line.em, candidate.em)
        if (
            not near
            or lines[following - 1].x1 < 0.7
            or _SALUTATION.match(candidate.plain)
            or candidate.page != line.page
        ):
            break
        parts.append(candidate.text)
        following += 1
    return joined(parts), following


def _is_heading(lines: Sequence[Line], index: int) -> bool:
    """A subject without label is a short line without final stop, with space below it."""
    line = lines[index]
    if re.search(r"[.,;?!]\s*$", line.plain) or len(line.plain) > 110 or index + 1 >= len(lines):
        return False
    if line.plain.isupper():
        return True
    words = [word for word in re.findall(r"[A-Za-z]+", line.plain) if len(word) > 3]
    capital = sum(word[0].isupper() for word in words)
    below = lines[index + 1]
    return (below.y - line.y > 1.9 * line.em or capital >= 0.6 * max(1, len(words))) and line.x1 < 0.86


def _after_body(lines: Sequence[Line], start: int) -> int:
    return next(
        (i for i in range(start, len(lines)) if _ENCLOSURES.match(lines[i].plain) or _COPY.match(lines[i].plain)),
        len(lines),
    )


def _address_start(lines: Sequence[Line], date_line: int | None, end: int) -> int:
    """The addressee block begins behind date and references; without these behind the last letterhead line."""
    start = -1
    for i in range(end):
        plain = lines[i].plain
        if i == date_line or _OUR_REF.search(plain) or _YOUR.search(plain) or _REF.search(plain):
            start = i
    block = _block_above(lines, end)
    if start >= 0 and start + 1 < end:
        return start + 1
    return block


def _block_above(lines: Sequence[Line], end: int) -> int:
    index = end
    while index > 0 and (index == end or lines[index].y - lines[index - 1].y < 2.4 * lines[index].em):
        index -= 1
    return index


def _sender(head: Sequence[Line]) -> Tree:
    best: tuple[float, int, Placed] | None = None
    for i, line in enumerate(head):
        if _REACHED.search(line.plain) or _REFERENCE.match(line.plain) or find_english_dates(line.plain):
            continue
        cells = [cell for cell in line.cells if len(re.findall(r"[A-Za-z]", cell.text.text)) > 3] or list(line.cells)
        largest = max(cell.em for cell in cells)
        # A logo is read as a few letters, larger than the name beside it.
        cell = max(cells, key=lambda c: (c.em > 0.55 * largest, len(c.text.text)))
        text = letter_spaced(line.text if len(line.cells) == 1 else cell.text).strip(".,;:|*·-_")
        size = cell.em * (1.12 if text.plain.isupper() else 1.0)
        if len(re.findall(r"[A-Za-z]", text.text)) >= 3 and (best is None or size > best[0] * 1.06):
            best = (size, i, text)
    if best is None:
        return {}
    sender: Tree = {"organisation": as_written(best[2])}
    following = head[best[1] + 1] if best[1] + 1 < len(head) else None
    if (
        following is not None
        and not _ADDRESS.search(following.plain)
        and not re.search(r"[@|]|www\.|\d|https?:", following.plain)
        and re.search(
            r"\b(?:Department|Division|Office|Programmes?|Programs?|Unit|Section|Team|Bureau|Directorate|Faculty|"
            r"School|Centre|Center|Branch|Services|Affairs|Group)\b",
            following.plain,
        )
    ):
        sender["department"] = as_written(following.text.strip(".,;|"))
    return sender


def _recipients(lines: Sequence[Line]) -> list[Tree]:
    organisation, person = EMPTY, EMPTY
    names: list[Placed] = []
    for line in lines:
        text = line.cells[0].text if len(line.cells) > 1 else line.text
        plain = text.plain
        if _OUR_REF.search(plain) or _YOUR.search(plain) or find_english_dates(plain) or _REF.match(plain):
            continue
        to = _TO.match(plain)
        if to:
            text, plain = text.cut(to.end()), plain[to.end() :]
        attention = _ATTENTION.match(plain)
        if attention:
            person = text.cut(attention.end()).strip(".,;:")
            continue
        if re.match(r"\s*(?:By|Via)\s+(?:e-?mail|post|airmail|courier|fax)", plain, re.I):
            continue
        text = text.strip(".,;:")
        if _PERSON.match(text.plain):
            person = person or text
        elif text and not _ADDRESS.search(text.plain):
            names.append(text)
    for name in names:
        if _ORGANISATION.search(name.plain) and not (
            _POSITION.search(name.plain) and len(names) > 1 and name is names[0]
        ):
            organisation = name
            break
    if not organisation and names:
        candidates = [name for name in names if not _POSITION.search(name.plain)]
        organisation = candidates[0] if candidates else EMPTY if person else names[0]
        if (
            not person
            and len(candidates) > 1
            and re.fullmatch(r"[A-Z][a-z\-]+(?:\s[A-Z][a-z\-.]*){1,2}", organisation.plain)
        ):
            person, organisation = candidates[0], candidates[1]
    if not person:
        before = [n for n in names if n is not organisation]
        if (
            before
            and (_POSITION.search(before[0].plain))
            and names.index(before[0]) < (names.index(organisation) if organisation in names else 99)
        ):
            person = before[0]
    if organisation:
        return [{"name": as_written(organisation), **({"attention": as_written(person)} if person else {})}]
    return [{"name": as_written(person)}] if person else []


def _reference(lines: Sequence[Line]) -> Placed:
    end = next((i for i, line in enumerate(lines) if _CLOSE.match(line.plain)), len(lines))
    for pattern in (_OUR_REF, _REF):
        for line in lines[:end]:
            for match in pattern.finditer(line.plain):
                if pattern is _REF and _YOUR.search(line.plain[: match.end()]):
                    continue
                if re.search(r"\d", match["value"]):
                    return line.text.cut(match.start("value"), match.end("value")).strip(".,;:")
    return EMPTY


def _signature(lines: Sequence[Line]) -> Tree:
    """Below the close: a hand-written name perhaps, then the printed name and the title."""
    block: list[Line] = []
    for line in lines[1:]:
        if _ENCLOSURES.match(line.plain) or _COPY.match(line.plain) or re.search(r"@|www\.|\bTel\b", line.plain):
            break
        block.append(line)
    tree: Tree = {}
    position = next((i for i, line in enumerate(block) if _POSITION.search(line.plain)), None)
    name_line = block[position - 1] if position else None
    if name_line is None:
        name_line = next(
            (
                line
                for line in block
                if re.fullmatch(
                    r"(?:(?:Dr|Prof|Mr|Ms|Mrs)\.?\s)?[A-Z][\w.'\-]+(?:\s[A-Z][\w.'\-]*){1,3}(?:,\s\w+)?",
                    line.plain.strip(),
                )
            ),
            None,
        )
    if position is not None:
        own = block[position]
        both = re.match(r"^(?P<name>[A-Z][\w.'\-]+(?:\s[A-Z][\w.'\-]*){1,3}),\s+(?P<title>.+)$", own.plain)
        if both and position == 0:
            tree["signatory_title"] = as_written(own.text.cut(both.start("title")))
            tree["signatory_name"] = as_written(own.text.cut(both.start("name"), both.end("name")))
            return tree
        tree["signatory_title"] = as_written(own.text.strip(".,"))
    if name_line is not None:
        tree["signatory_name"] = as_written(name_line.text.strip(".,;:_-"))
    return tree


def _enclosures(lines: Sequence[Line]) -> list[Tree]:
    start = next((i for i, line in enumerate(lines) if _ENCLOSURES.match(line.plain)), None)
    if start is None:
        return []
    label = _ENCLOSURES.match(lines[start].plain)
    first = lines[start].text.cut(label.end() if label else 0)
    entries: list[Placed] = [part for part in _split_inline(first) if part]
    for line in lines[start + 1 :]:
        if _COPY.match(line.plain) or re.search(r"@|www\.|\bTel\b|\+\d{2}", line.plain):
            break
        numbered = _ITEM.match(line.plain)
        if not numbered and entries and line.y - _last_y(lines, line) > 2.4 * line.em:
            break
        if numbered or not entries or (line.x0 <= lines[start].x0 + 12 * line.em_x and not _wraps(lines, line)):
            entries.append(line.text)
        else:
            entries[-1] = joined([entries[-1], line.text])
    return [entry for entry in map(_enclosure, entries) if entry]


def _last_y(lines: Sequence[Line], line: Line) -> float:
    index = next(i for i, other in enumerate(lines) if other is line)
    return lines[index - 1].y if index else line.y


def _wraps(lines: Sequence[Line], line: Line) -> bool:
    index = next(i for i, other in enumerate(lines) if other is line)
    return index > 0 and lines[index - 1].x1 > 0.8


def _split_inline(text: Placed) -> list[Placed]:
    if not text:
        return []
    starts = [m.start() for m in re.finditer(r"(?:^|(?<=[\s;,]))\(?\d{1,2}[.)]\s", text.plain)]
    if starts and starts[0] == 0:
        return [text.cut(a, b).strip(";,") for a, b in zip(starts, [*starts[1:], len(text.text)], strict=True)]
    parts: list[Placed] = []
    start = 0
    for match in re.finditer(r";\s*", text.plain):
        parts.append(text.cut(start, match.start()))
        start = match.end()
    return [*parts, text.cut(start)]


def _enclosure(text: Placed) -> Tree:
    tree: Tree = {}
    number = re.match(r"^\s*\(?(?P<n>\d{1,2})[.)]\s*", text.plain)
    if number:
        tree["number"] = Read(int(number["n"]), text.cut(number.start("n"), number.end("n")))
        text = text.cut(number.end())
    bullet = re.match(r"^[-•*·]\s*", text.plain)
    if bullet:
        text = text.cut(bullet.end())
    copies = _COPIES.search(text.plain)
    name = (text.cut(0, copies.start()) if copies else text).strip(".,;")
    if not name:
        return {}
    tree["name"] = as_written(name)
    if copies:
        written = text.cut(copies.start("written"), copies.end("written"))
        tree["count"] = Read(_WORDS.get(copies["n"].lower()) or int(copies["n"]), written)
        tree["count_as_written"] = as_written(written)
    return tree


def _copies(lines: Sequence[Line]) -> list[Tree]:
    start = next((i for i, line in enumerate(lines) if _COPY.match(line.plain)), None)
    if start is None:
        return []
    label = _COPY.match(lines[start].plain)
    entries = [lines[start].text.cut(label.end() if label else 0)]
    for line in lines[start + 1 :]:
        if (
            line.y - _last_y(lines, line) > 2.2 * line.em
            or line.x0 < lines[start].x0 + line.em_x
            or re.search(r"@|www\.|\+\d", line.plain)
        ):
            break
        entries.append(line.text)
    names = [part for entry in entries for part in _split_inline(entry)]
    return [{"name": as_written(name.strip(".,;"))} for name in names if name]


def _contacts(parts: _Parts) -> list[Tree]:
    block = read_english_block([*parts.head, *parts.after])
    contacts: list[Tree] = [block] if block else []
    known = {str(read.value) for read in block.values()}
    for line in parts.body:
        for name, read in read_english_block([line], address=False).items():
            if name in ("phone", "email", "fax") and str(read.value) not in known:
                known.add(str(read.value))
                contacts.append({name: read})
    return contacts
