"""What the recipient is asked to do, and until when: absolute dates with their year, relative ones as written."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processors.llm.gongmun.dates import WrittenDate, complete_year, find_dates, find_times
from processors.llm.gongmun.placed import Placed, Read, as_written
from processors.llm.gongmun.tables import Table

_ASKED = (
    "제출|회신|신청|접수|납부|모집|응모|공모|등록|의견|참가|참석|지급|회보|통보|송부|반환|이행|조치|보고|"
    "추천|예약|지원|응답|반납|입금|납입|제안|투찰|입찰|수강|동의|작성|입력|청구|보완|시정|개선|정비|회수|"
    "변제|상환|답변|협의|검토|확인|원서|서류|자료|설문|조사"
)
_DUE_LABEL = re.compile(
    rf"(?:{_ASKED})[가-힣\s·및]{{0,8}}(?:기\s?한|기\s?간|기\s?일|마\s?감|일\s?자|시\s?한|마감일)|(?:^|"
    rf"\s)기\s?한|마\s?감|납\s?기|시\s?한|(?:{_ASKED})\s*$"
)
_PERIOD_LABEL = re.compile(
    r"기\s?간|일\s?시|일\s?정|행\s?사|교\s?육|공\s?사|사\s?업|운\s?영|시\s?행|적\s?용|유\s?효|계\s?약|"
    r"점\s?검|개\s?최|전\s?시|축\s?제|회의"
)
_UNTIL = re.compile(
    r"^\s*(?P<time>(?:오전|오후|낮)?\s*(?:(?:[01]?\d|2[0-4])\s*:\s*[0-5]\d|(?:[01]?\d|"
    r"2[0-4])\s*시(?:\s*[0-5]?\d\s*분)?))?\s*[,)]?\s*(?P<until>까\s?지|[깨끼까]지|한(?=[\s)]|$)|限|이전|"
    r"내로|중으로)"
)
_REQUEST = re.compile(rf"(?:{_ASKED}|알려|보내|참여|완료|협조|마쳐|마치|등재|제공|전달|선정|점검|게시|홍보|안내)")
_RUNNING = re.compile(
    r"(?:운영|시행|실시|개최|통제|추진|진행|계속|유효|연장|휴관|전시|적용|제한|중단|열리|열립|이루어)"
)
_PROMISE = re.compile(r"(?:하겠|드리겠|예정입|예정임|예정이|할\s?계획|계획입|될\s?예정|되었|하였|했|받았|요청한\s?바)")
_SENTENCE_END = re.compile(r"(?:다|오|요|함|임|것)\s?[.]|[;。\n]|다\.|[.]\s*$")
_RELATIVE = re.compile(
    r"(?:이\s?)?(?:공문|통지|문서|본\s?공문|고지서|통보|납부서|안내문)?(?:을|를|서를)?\s?(?:받은|접수한|"
    r"접수|수령한|수령|도달한|송달받은|통지받은|공고한|공고|시행|발송|계약)\s?(?:날|일)(?:로)?\s?(?:부터|"
    r"후)\s?\d{1,3}\s?(?:일|주|개월)\s?(?:이내|내)(?:까지|에)?"
)
_ASK = re.compile(
    r"(?:하여|해|어|아|여)\s?(?:주시기|주실\s?것을|주시길|주십시오|주시면)|(?:하시기|드리오니|"
    r"주시기)\s?바랍니다|(?:요청|부탁)\s?(?:드립니다|합니다)|바랍니다"
)
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

    def tree(self) -> dict[str, Read]:
        """Return the action as the result's fields."""
        pairs = (
            ("action", self.action),
            ("due_date", self.due),
            ("due_time", self.time),
            ("due_as_written", self.written),
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
        iso = complete_year(written, issued)
        if iso is None or (issued and iso < issued):
            continue
        rest = plain[written.end :]
        until = _UNTIL.match(rest)
        before = plain[dates[i - 1].end : written.start] if i else ""
        ranged = bool(
            i and re.fullmatch(r"\s*(?:\d{1,2}:\d{2}|오[전후]\s?\d{1,2}시|\d{1,2}시)?\s*(?:~|-|부터)\s*", before)
        )
        starts_range = bool(re.match(r"\s*(?:\d{1,2}:\d{2}|\d{1,2}시)?\s*(?:~|-|부터)\s*", rest)) and i + 1 < len(dates)
        label = _label(plain, dates[i - 1].start if ranged else written.start)
        if starts_range and not until:
            continue
        if not _is_deadline(label, until, ranged, rest):
            continue
        end = written.end + (until.end() if until else 0)
        due = Read(iso, text.cut(written.start, written.end), written.certainty)
        actions.append(
            Action(
                action=_action(text, label, end, written),
                due=due,
                time=_time(text, written.end, until),
                written=as_written(text.cut(written.start, end)),
            )
        )
    return actions


def _is_deadline(label: str, until: re.Match[str] | None, ranged: bool, rest: str) -> bool:
    due_label = bool(_DUE_LABEL.search(label))
    period_label = bool(_PERIOD_LABEL.search(label)) and not due_label
    if period_label:
        return False
    if until is None:
        return due_label
    # A word may be broken at the line's end, so spaces do not count.
    clause = re.sub(r"\s+", "", _clause(rest[until.end() :]))
    if _PROMISE.search(clause) and not _ASK.search(clause):
        return False
    if due_label or _REQUEST.search(clause):
        return not (ranged and _RUNNING.search(clause) and not _ASK.search(clause) and not due_label)
    if _RUNNING.search(clause):
        return False
    return not ranged and (bool(label) or bool(_ASK.search(clause)))


def _label(plain: str, position: int) -> str:
    """Return what stands before the colon in front of a date, if the date is the value of a label."""
    match = re.search(r"(?:^|[,.(]|\s-\s)\s*([^:,.]{1,30})[:;]\s*[^:]{0,14}$", plain[:position])
    return re.sub(r"\s+", " ", match.group(1)).strip() if match else ""


def _clause(text: str) -> str:
    match = _SENTENCE_END.search(text)
    return text[: match.end()] if match else text


def _time(text: Placed, start: int, until: re.Match[str] | None) -> Read | None:
    if until is None or not until["time"]:
        return None
    placed = text.cut(start + until.start("time"), start + until.end("time"))
    time = next(find_times(placed.plain), None)
    return Read(time.value, placed) if time else None


def _action(text: Placed, label: str, end: int, written: WrittenDate) -> Read:
    """Name the action: the label without its 기한, else the clause behind the deadline without its courtesy."""
    if label:
        start = text.plain.rfind(label.split()[0], 0, written.start)
        stop = text.plain.find(":", start, written.start)
        placed = text.cut(max(start, 0), stop if stop > 0 else written.start)
        name = re.sub(r"\s*(?:기\s?한|기\s?간|기\s?일|마\s?감(?:일)?|시\s?한)\s*$", "", placed.single_spaced().text)
        if name:
            return Read(name, placed)
    clause = text.cut(end, end + len(_clause(text.plain[end:])))
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
        actions.append(Action(as_written(action or written), written=as_written(written.cut(0, len(trimmed)))))
    return actions


def _tabled(table: Table, issued: str | None) -> list[Action]:
    """Read deadlines from a table whose column or row is headed by a due label."""
    actions: list[Action] = []
    due_columns = [i for i, cell in enumerate(table.header) if _DUE_LABEL.search(cell.plain)]
    for row in (table.header, *table.rows):
        for i, cell in enumerate(row):
            labelled = i in due_columns or (i == 1 and len(row) == 2 and bool(_DUE_LABEL.search(row[0].plain)))
            dates = find_dates(cell.plain)
            iso = complete_year(dates[-1], issued) if labelled and dates else None
            if iso and not (issued and iso < issued):
                placed = cell.cut(dates[-1].start, dates[-1].end)
                actions.append(Action(as_written(row[0]), Read(iso, placed), written=as_written(cell)))
    return actions


def _plain_requests(text: Placed) -> list[Action]:
    plain = text.plain
    actions: list[Action] = []
    for match in re.finditer(r"[^.]*?(?:다|오)\.\s*|[^.]+$", plain):
        sentence = text.cut(match.start(), match.end())
        if _ASK.search(sentence.plain) and not re.search(r"기원|발전을|평안|건승", sentence.plain):
            closing = _CLOSING.search(sentence.plain)
            placed = sentence.cut(0, closing.start() if closing and closing.start() > 0 else None)
            actions.append(Action(as_written(placed or sentence)))
    return actions
