"""What the recipient is asked to do, and until when: absolute dates with their year, relative ones as written."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from processors.llm.gongmun.assignees import assignee_before, assignee_column
from processors.llm.gongmun.dates import WrittenDate, complete_year, find_dates, find_times
from processors.llm.gongmun.deadline_signs import (
    ASK,
    AT,
    DUE_LABEL,
    TO_NEXT,
    UNTIL,
    Label,
    asked_before,
    clause_of,
    is_deadline,
    label_before,
    shares_verb,
)
from processors.llm.gongmun.placed import EMPTY, Placed, Read, as_written
from processors.llm.gongmun.tables import Table

_RELATIVE = re.compile(
    r"(?:이\s?)?(?:공문|통지|문서|본\s?공문|고지서|통보|납부서|안내문)?(?:을|를|서를)?\s?(?:받은|접수한|"
    r"접수|수령한|수령|도달한|송달받은|통지받은|공고한|공고|시행|발송|계약)\s?(?:날|일)(?:로)?\s?(?:부터|"
    r"후)\s?\d{1,3}\s?(?:일|주|개월)\s?(?:이내|내)(?:까지|에)?"
)
_SENTENCE = re.compile(r".+?(?:다|오|요)\.(?=\s|$)\s*|.+$")
_CLOSING = re.compile(
    r"\s*(?:하여|해|하)?\s*(?:주시기|주실\s?것을|주시길|주십시오|주시면|시기|드리오니)?\s*(?:바랍니다|"
    r"부탁드립니다|요청드립니다|감사하겠습니다|요망|바람)?\s*[.]?\s*$"
)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing asked of the recipient; `due` is None for relative or absent deadlines."""

    action: Read
    due: Read | None = None
    time: Read | None = None
    written: Read | None = None
    who: Placed = EMPTY

    def tree(self) -> dict[str, Read]:
        """Return the action as the result's fields."""
        pairs = (
            ("action", self.action),
            ("due_date", self.due),
            ("due_time", self.time),
            ("due_as_written", self.written),
            ("assignee", as_written(self.who) if self.who else None),
        )
        return {name: read for name, read in pairs if read is not None}


def find_actions(texts: Iterable[Placed], tables: Sequence[Table], issued: str | None) -> list[dict[str, Read]]:
    """Find the requests with a deadline in the body; when none has one, the sentences that ask for something."""
    texts = list(texts)
    actions: list[Action] = []
    for text in texts:
        actions += _dated(text, issued)
        actions += _relative(text)
    for table in tables:
        actions += _tabled(table, issued)
    if not actions:
        actions = [action for text in texts for action in _plain_requests(text)]
    unique: list[Action] = []
    for action in actions:
        if action.due is None or all(o.due is None or o.due.value != action.due.value for o in unique):
            unique.append(action)
    return [action.tree() for action in unique]


def _dated(text: Placed, issued: str | None) -> list[Action]:
    plain = text.plain
    dates = find_dates(plain)
    actions: list[Action] = []
    for i, written in enumerate(dates):
        iso = due_date(written, issued, plain[: written.start])
        if iso is None:
            continue
        rest = plain[written.end :]
        until = UNTIL.match(rest)
        ranged = i > 0 and TO_NEXT.fullmatch(plain[dates[i - 1].end : written.start]) is not None
        starts_range = i + 1 < len(dates) and TO_NEXT.fullmatch(plain[written.end : dates[i + 1].start]) is not None
        if starts_range and not until:
            continue
        start = dates[i - 1].start if ranged else written.start
        label = label_before(plain, start)
        if not is_deadline(plain[:start], label.text, until, ranged, rest):
            continue
        if until and not _is_last(plain, dates[i + 1 :], written.end + until.end()):
            continue
        time = until if until else AT.match(rest)
        end = written.end + (time.end() if time else 0)
        actions.append(
            Action(
                action=_action(text, label, written.start, end),
                due=Read(iso, text.cut(written.start, written.end), written.certainty),
                time=_time(text, written.end, time),
                written=as_written(text.cut(written.start, end)),
                who=assignee_before(text, start, end),
            )
        )
    return actions


def due_date(written: WrittenDate, issued: str | None, before: str = "") -> str | None:
    """Return a deadline's ISO date, None for one that is past or has no year.

    What is asked for is to come: a day without a year that would be past is next year's, where that is nearer.
    `before` is the text in front of it, which may say that it is past.
    """
    iso = complete_year(written, issued)
    if iso is None or not issued or iso >= issued:
        return iso
    following = None if written.year else written.iso(int(issued[:4]) + 1)
    if following is None or re.search(r"(?:지난|기존)\s*$", before):
        return None
    day, past, coming = (date.fromisoformat(value) for value in (issued, iso, following))
    return following if coming - day < day - past else None


def _is_last(plain: str, later: Sequence[WrittenDate], end: int) -> bool:
    """Tell whether what is asked behind a 까지 is asked until that day, and not until a later one of the sentence."""
    for written in later:
        if UNTIL.match(plain[written.end :]):
            between = plain[end : written.start]
            return len(clause_of(between)) < len(between) or shares_verb(between)
    return True


def _time(text: Placed, start: int, match: re.Match[str] | None) -> Read | None:
    if match is None or not match["time"]:
        return None
    placed = text.cut(start + match.start("time"), start + match.end("time"))
    time = next(find_times(placed.plain), None)
    return Read(time.value, placed) if time else None


def _action(text: Placed, label: Label, start: int, end: int) -> Read:
    """Name the action: the label without its 기한, else the clause with the deadline without its courtesy."""
    if label.text:
        placed = text.cut(label.start, label.end)
        name = re.sub(r"\s*(?:기\s?한|기\s?간|기\s?일|마\s?감(?:일)?|시\s?한)\s*$", "", placed.single_spaced().text)
        if name:
            return Read(name, placed)
    asked = asked_before(text.plain, start, end)
    if asked is not None:
        clause = text.cut(asked, start).strip("([. ")
    else:
        clause = text.cut(end, end + len(clause_of(text.plain[end:])))
    closing = _CLOSING.search(clause.plain)
    placed = clause.cut(0, closing.start() if closing and closing.start() > 0 else None).strip(".,")
    if placed:
        return as_written(placed)
    return as_written(text.cut(0, end))


def _relative(text: Placed) -> list[Action]:
    actions: list[Action] = []
    for match in _RELATIVE.finditer(text.plain):
        end = match.end()
        clause_end = re.search(r"[,.]|하고", text.plain[end:])
        placed = text.cut(end, end + clause_end.start() if clause_end else None)
        closing = _CLOSING.search(placed.plain)
        action = placed.cut(0, closing.start() if closing and closing.start() > 0 else None)
        written = text.cut(match.start(), match.end())
        trimmed = re.sub(r"(?:까지|에)$", "", written.plain)
        who = assignee_before(text, match.start(), end)
        actions.append(Action(as_written(action or written), written=as_written(written.cut(0, len(trimmed))), who=who))
    return actions


def _tabled(table: Table, issued: str | None) -> list[Action]:
    """Read deadlines from a table whose column or row is headed by a due label."""
    actions: list[Action] = []
    doers = assignee_column(table.header)
    due_columns = [i for i, cell in enumerate(table.header) if DUE_LABEL.search(cell.plain)]
    for row in (table.header, *table.rows):
        for i, cell in enumerate(row):
            labelled = i in due_columns or (i == 1 and len(row) == 2 and bool(DUE_LABEL.search(row[0].plain)))
            dates = find_dates(cell.plain)
            iso = due_date(dates[-1], issued) if labelled and dates else None
            if iso:
                placed = cell.cut(dates[-1].start, dates[-1].end)
                who = row[doers] if doers is not None and doers not in (0, i) else EMPTY
                actions.append(Action(as_written(row[0]), Read(iso, placed), written=as_written(cell), who=who))
    return actions


def _plain_requests(text: Placed) -> list[Action]:
    plain = text.plain
    actions: list[Action] = []
    for match in _SENTENCE.finditer(plain):
        sentence = text.cut(match.start(), match.end())
        asked = ASK.search(sentence.plain)
        if asked and not re.search(r"기원|발전을|평안|건승", sentence.plain):
            closing = _CLOSING.search(sentence.plain)
            placed = sentence.cut(0, closing.start() if closing and closing.start() > 0 else None)
            who = assignee_before(sentence, asked.start(), asked.start())
            actions.append(Action(as_written(placed or sentence), who=who))
    return actions
