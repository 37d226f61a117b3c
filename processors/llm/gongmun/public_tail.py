"""The tail of a public letter: 발신명의, 수신자 list, approval, 시행/접수, contact block, 공개구분."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from processors.llm.gongmun.dates import WrittenDate, find_dates, find_times
from processors.llm.gongmun.lines import Line, letter_spaced
from processors.llm.gongmun.numbers import find_unit_number, may_be_torn, unit_number
from processors.llm.gongmun.placed import EMPTY, Placed, Read, joined
from processors.llm.gongmun.seal import without_omitted
from processors.llm.gongmun.stamps import receipt_number

_ISSUED = re.compile(r"^\W{0,3}[시사지]\s*[행햄헹앵]\s*[:;]?\s*(?=\S)")
_RECEIVED = re.compile(r"(?:^|\s)[접점집]\s*[수슈]\s*(?=[\s(가-힣]|$)")
_LOST_LABEL = re.compile(r"^\W{0,3}\S?[행햄헹앵]\s+")
_DATE_BELOW = re.compile(r"^\s*[(\[{]\s*['\d]")
"""The date of a number so long that the line had no room for both."""
_RECEIVED_ALONE = re.compile(r"^\W{0,3}[접점집]\s*[수슈]\s*[:;]?\s*(?=[(\[{]|[가-힣A-Z\d]\S*\s?-?\s?\d|$)")
"""접수 on a line of its own, below 시행 or, on a leaning page, above."""
_LIST = re.compile(r"^\W{0,4}수\s*신\s*[자처지]\s*[:;.,\"”“'’]{0,2}\s+(?=\S)")
_COOPERATOR = re.compile(r"^\W{0,3}[협힙]\s*조\s*[자지]?\s*[:;]?(?=\s|$)")
_CONTACT = re.compile(r"^\W{0,2}우\s*[)(:]?\s*\(?\d{3,5}|^\W{0,2}(?:전\s*화|TEL)|@|팩\s*스|https?:|www\.")
_OFFICE = re.compile(r"(?:장|지사|군수|청장|감|관|수|원|처|회|부|청|소|단|국|위원회)$")
_LIST_OFFICE = re.compile(r"(?:[청시도군구서]장|군수|도지사|장관|교육[감장]|[원소관교총]장|장\))$")
_EMPTY_RECEIPT = re.compile(r"\s\s\S{1,4}\s*\(\s*\)?\s*$")
"""Behind the issue date: empty brackets, whatever was made of 접수 before them."""
_TORN = 0.4
_COMMA = Placed(",", (None,))


@dataclass(frozen=True, slots=True)
class Tail:
    """The parts of the tail, each the lines it is made of; `issued` and `received` are the texts behind the labels."""

    signatory: Placed
    recipients: Placed
    approval: tuple[Line, ...]
    cooperators: tuple[Placed, ...]
    issued: Placed
    received: Placed | None
    contact: tuple[Line, ...]


def split_tail(lines: Sequence[Line]) -> Tail:
    """Tell the tail's parts apart, from the 시행 line upwards and downwards."""
    issue = _issue_line(lines)
    contact_from = (
        issue
        if issue is not None
        else next((i for i, line in enumerate(lines) if _CONTACT.search(line.plain)), len(lines))
    )
    cooperation = next((i for i in range(contact_from) if _COOPERATOR.match(lines[i].plain)), None)
    upper_end = cooperation if cooperation is not None else contact_from
    listed = next((i for i in range(upper_end) if _LIST.match(lines[i].plain)), None)
    recipients, list_end = _recipients(lines, listed, upper_end)
    signatory, sign_end = _signatory(lines[: listed if listed is not None else upper_end])
    cooperators = ()
    if cooperation is not None:
        label = _COOPERATOR.match(lines[cooperation].plain)
        values = [lines[cooperation].text.cut(label.end() if label else 0)]
        values += [line.text for line in lines[cooperation + 1 : contact_from] if not _RECEIVED.match(line.plain)]
        cooperators = tuple(value for value in values if value)
    issued, received, contact = _issue(lines, issue, contact_from)
    return Tail(
        signatory=signatory,
        recipients=recipients,
        approval=tuple(lines[max(list_end, sign_end) : upper_end]),
        cooperators=cooperators,
        issued=issued,
        received=received,
        contact=tuple(contact),
    )


def read_issue(issued: Placed) -> tuple[Read | None, Read | None]:
    """Read number and date from what stands behind 시행."""
    dates = find_dates(issued.plain)
    bracket = re.search(r"[(\[{]", issued.plain)
    stop = min([d.start for d in dates[:1]] + ([bracket.start()] if bracket else []) or [len(issued.text)])
    return _number(issued.cut(0, stop).strip("([{ .,:")), _date(issued, dates)


def read_received(received: Placed) -> dict[str, Read]:
    """Read number, date and time from what stands behind 접수; empty on the sender's copy."""
    tree: dict[str, Read] = {}
    dates = find_dates(received.plain)
    bracket = re.search(r"[(\[{]", received.plain)
    stop = bracket.start() if bracket else dates[0].start if dates else len(received.text)
    number = receipt_number(received.cut(0, stop)) if received.cut(0, stop) else None
    if number:
        tree["number"] = number
    date = _date(received, dates)
    if date is None and number and not re.search(r"[가-힣]", str(number.value)):
        return {}  # empty brackets read as a figure: a bare number comes with its date
    if date:
        tree["date"] = date
        rest = received.cut(dates[0].end)
        time = next(find_times(rest.plain), None)
        if time:
            tree["time"] = Read(time.value, rest.cut(time.start, time.end))
    return tree


def _number(placed: Placed) -> Read | None:
    exact = unit_number(placed.text)
    if exact:
        torn = placed.confidence() < 1.0 and may_be_torn(exact[0])
        return Read(exact[0], placed, exact[1] * (_TORN if torn else 1.0))
    match = find_unit_number(placed.plain)
    if match:
        part = placed.cut(match.start(), match.end())
        again = unit_number(part.text)
        # `1행정팀-9` was `AI행정팀-9`: a letter that touches the unit's name belongs to it.
        torn = match.start() > 0 and not placed.plain[match.start() - 1].isspace()
        return Read(again[0], part, again[1] * (_TORN if torn else 0.9)) if again else None
    return None


def _date(text: Placed, dates: Sequence[WrittenDate]) -> Read | None:
    iso = dates[0].iso() if dates else None
    return Read(iso, text.cut(dates[0].start, dates[0].end), dates[0].certainty) if iso and dates else None


def _issue_line(lines: Sequence[Line]) -> int | None:
    """Return the index of the last line that 시행 opens; else of one with number, date and 접수 behind them."""
    backwards = list(reversed(range(len(lines))))
    named = next((i for i in backwards if _is_issue_line(lines[i].plain)), None)
    return named if named is not None else next((i for i in backwards if _may_be_issue_line(lines[i].plain)), None)


def _is_issue_line(plain: str) -> bool:
    return bool(_ISSUED.match(plain) and (find_dates(plain) or find_unit_number(plain)))


def _may_be_issue_line(plain: str) -> bool:
    """The label may be unreadable: number, date in brackets and 접수 are enough, unless all of it was received."""
    return (
        len(plain) < 120
        and bool(find_unit_number(plain) and find_dates(plain) and _RECEIVED.search(plain))
        and not _RECEIVED_ALONE.match(plain)
    )


def _issue(lines: Sequence[Line], issue: int | None, below: int) -> tuple[Placed, Placed | None, list[Line]]:
    """Return what stands behind 시행 and 접수, on one line or apart, and the lines below both."""
    issued, received, end = EMPTY, None, below
    if issue is not None:
        issued, received, end = *_issue_parts(lines[issue]), issue + 1
        if not find_dates(issued.plain) and end < len(lines) and _DATE_BELOW.match(lines[end].plain):
            date, received = _issue_parts(lines[end])
            issued, end = joined([issued, date]), end + 1
    near = range(len(lines)) if issue is None else [i for i in (end, issue - 1) if 0 <= i < len(lines)]
    apart = next((i for i in near if _RECEIVED_ALONE.match(lines[i].plain)), None)
    if received is None and apart is not None:
        label = _RECEIVED_ALONE.match(lines[apart].plain)
        received = lines[apart].text.cut(label.end() if label else 0)
    return issued, received, [line for i, line in enumerate(lines) if i >= end and i != apart]


def _issue_parts(line: Line) -> tuple[Placed, Placed | None]:
    label = _ISSUED.match(line.plain) or _LOST_LABEL.match(line.plain)
    start = label.end() if label else 0
    received = _RECEIVED.search(line.plain, start) or _EMPTY_RECEIPT.search(line.plain, start)
    if received is None:
        return line.text.cut(start), None
    return line.text.cut(start, received.start()), line.text.cut(received.end())


def _recipients(lines: Sequence[Line], start: int | None, end: int) -> tuple[Placed, int]:
    if start is None:
        return EMPTY, 0
    label = _LIST.match(lines[start].plain)
    parts = [lines[start].text.cut(label.end() if label else 0)]
    index = start + 1
    while index < end:
        line, previous = lines[index], lines[index - 1]
        so_far = "".join(part.plain for part in parts)
        unclosed = so_far.count("(") > so_far.count(")")
        goes_on = unclosed or parts[-1].plain.endswith(",") or previous.x1 > 0.82
        if (
            not goes_on
            or line.plain.lstrip().startswith(("★", "⊙", "☆"))
            or ("," not in line.plain and len(line.cells) > 1)
        ):
            break
        if (
            "," not in line.plain
            and not parts[-1].plain.endswith(",")
            and not unclosed
            and not line.plain.rstrip(" .)").endswith(("장", "수", "사", "감", "회", "관"))
        ):
            break
        if not unclosed and _LIST_OFFICE.search(parts[-1].plain):
            parts.append(_COMMA)  # a comma that was wrapped to the next line is a line of its own there
        parts.append(line.text)
        index += 1
    return joined(parts), index


def _signatory(lines: Sequence[Line]) -> tuple[Placed, int]:
    """Return the 발신명의, the largest type of the tail's top, and the index behind it."""
    candidates = [(i, line) for i, line in enumerate(lines) if re.search(r"[가-힣]", line.plain)]
    if not candidates:
        return EMPTY, 0
    largest = max(line.size for _, line in candidates)
    for index, line in candidates:
        if line.size < 0.85 * largest:
            continue
        cells = [cell for cell in line.cells if cell.em > 0.8 * line.size or len(cell.text.text) == 1]
        text = without_omitted(letter_spaced(joined(cell.text for cell in cells)))
        text = text.strip(".,:;|·'\"-_~*")
        tokens = len(text.text.split())
        if not text or tokens > 6 or not (_OFFICE.search(text.plain) or tokens <= 2):
            continue
        if line.size == largest and len([c for c in line.cells if re.search(r"[가-힣]{2}", c.text.text)]) <= 3:
            return text, index + 1
    return EMPTY, 0
