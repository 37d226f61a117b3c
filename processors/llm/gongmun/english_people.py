"""Who writes and who is written to in an English letter: letterhead, addressee block and signature."""

import re
from collections.abc import Sequence

from processors.llm.gongmun.english_dates import find_english_dates
from processors.llm.gongmun.english_marks import COPY, ENCLOSURES
from processors.llm.gongmun.english_numbers import is_reference
from processors.llm.gongmun.lines import Line, letter_spaced
from processors.llm.gongmun.placed import EMPTY, Placed, as_written
from processors.llm.gongmun.result import Tree

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
_STREETS = r"Street|Road|Avenue|Lane|Drive|Square|Boulevard|Way"
_ADDRESS = re.compile(
    rf"^(?:No\.?\s?)?\d+[\w\-]*,?\s|\b(?:{_STREETS}|-ro|-gil|-daero|"
    r"P\.?\s?O\.?\s?Box|Floor|Suite)\b|\b\d{4,6}\b|^(?:Republic of Korea|South Korea|Korea|United Kingdom|"
    r"Germany|France|Japan)$|, (?:Republic of )?Korea",
    re.I,
)
_STREET_IN_NAME = re.compile(rf"^[^\d,]*\b(?:{_STREETS})\b(?P<behind>[^\d,]*)")
_NAMED_FOR = re.compile(
    rf"\b(?:Ministry|Department|Office|Agency|Bureau|Institute|Division|Centre|Center|Commission|Council|Board|"
    rf"Authority|Society|Association|Friends)\s+(?:of|for|on)\b[^\d,]*\b(?:{_STREETS})\b"
)
_POSITION = re.compile(
    r"\b(?:Director|Manager|Coordinator|Head|Officer|President|Chair(?:man|woman|person)?|Secretary|"
    r"Professor|Curator|Lead|Chief|Partner|Editor|Engineer|Representative|Dean|Minister|Commissioner|"
    r"Executive|Consultant|Adviser|Advisor|Specialist|Fellow|Administrator|Registrar|Attach[eé]|"
    r"Counsellor|Ambassador|Controller|Assistant|Planner|Treasurer|CEO|CFO|Analyst|Scientist|Buyer|"
    r"Auditor)\b"
)
_REFERENCE = re.compile(r"\s*(?:(?:our|your)\s+)?ref(?:erence)?\b\.?\s*(?:no\.?)?\s*[:.]", re.I)
_REACHED = re.compile(r"\w@\w|www\.|https?:|\+\d|\b(?:Tel|Fax|Phone)\b", re.I)


def find_sender(head: Sequence[Line]) -> Tree:
    """Return `organisation`, the largest text of the letterhead, and the `department` below it; {} for neither."""
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


def find_recipients(lines: Sequence[Line]) -> list[Tree]:
    """Return who is addressed: one `name` with the person for its `attention`, or [] for an empty block."""
    organisation, person = EMPTY, EMPTY
    names: list[Placed] = []
    for line in lines:
        text = line.cells[0].text if len(line.cells) > 1 else line.text
        plain = text.plain
        if is_reference(plain) or find_english_dates(plain):
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
        elif text and not _is_address(text.plain):
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


def _is_address(plain: str) -> bool:
    """Tell whether a line is part of an address; `Silk Road Foundation` and `Office of Road Safety` are somebody."""
    if not _ADDRESS.search(plain):
        return False
    street = _STREET_IN_NAME.match(plain)
    return not street or not (_ORGANISATION.search(street["behind"]) or _NAMED_FOR.search(plain))


def find_signatory(lines: Sequence[Line]) -> Tree:
    """Return `signatory_name` and `signatory_title` from below the close.

    There stands a hand-written name perhaps, then the printed name and the title.
    """
    block: list[Line] = []
    for line in lines[1:]:
        if ENCLOSURES.match(line.plain) or COPY.match(line.plain) or re.search(r"@|www\.|\bTel\b", line.plain):
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
