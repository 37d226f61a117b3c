"""The body of Korean letters: items, tables, deadlines, amounts, attachments; content first, drawing after."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from reportlab.lib.colors import Color

from tests.letters import rare_forms, words
from tests.letters.korean_forms import amount, due_phrase, later, written_date
from tests.letters.rare_forms import taken
from tests.letters.sheet import Sheet, plain

_LEVELS = ("1.", "가.", "1)", "가)", "(1)", "①")


@dataclass
class Item:
    """An item to draw: marker, text with markup, table, children."""

    marker: str | None
    markup: str
    level: int = 1
    table: tuple[list[str], list[list[str]]] | None = None
    children: list["Item"] = field(default_factory=list)


@dataclass
class Body:
    """Everything between the title and the signature."""

    items: list[Item]
    attachments: list[dict[str, Any]]
    label: str
    closing: bool
    centred: str | None = None


def public_body(rng: random.Random, issued: date, truth: dict[str, Any], private: bool = False) -> Body:
    """Make up a body and put what it says into the truth."""
    truth["requested_actions"], truth["events"], truth["amounts"], truth["contacts"], truth["related_documents"] = (
        [],
        [],
        [],
        [],
        [],
    )
    paragraphs: list[Item] = []
    if private:
        paragraphs.append(Item("", rng.choice(words.GREETINGS)))
    elif rng.random() < 0.7:
        paragraphs.append(Item("", _related(rng, issued, truth)))
    topic = truth["_topic"]
    paragraphs.append(Item("", _lead(rng, issued, truth, topic)))
    if rng.random() < 0.35:
        paragraphs[-1].table = _table(rng)
    if rng.random() < 0.6:
        paragraphs.append(_details(rng, issued, truth))
    if rng.random() < 0.25:
        value, written = rng.choice(rare_forms.SUMS) if taken(rng) else amount(rng)
        pointer = f"/amounts/{len(truth['amounts'])}/value"
        label = rng.choice(["총사업비", "지원 금액", "예산액", "납부 금액"])
        truth["amounts"].append({"value": value, "currency": "KRW", "as_written": written, "words_match": True})
        paragraphs.append(Item("", f"{label}: {{{pointer}|{written}}}"))
    if rng.random() < 0.3:
        paragraphs.append(Item("", _inquiry(rng, truth)))
    if rng.random() < 0.08:
        paragraphs = [paragraphs[1] if len(paragraphs) > 1 else paragraphs[0]]
        _forget_unused(truth, paragraphs)
    truth["amounts"] += [entry for item in paragraphs if item.table for entry in _sums_of(*item.table)]
    single = len(paragraphs) == 1
    for i, item in enumerate(paragraphs):
        item.marker = None if single else f"{i + 1}."
    truth["attachments"] = _attachments(rng)
    truth["body"] = {"items": [_truth(item) for item in paragraphs]}
    closing = not private or rng.random() < 0.7
    label = (
        rng.choice(["붙임", "붙임", "붙임", "붙 임", "붙임:"])
        if not private
        else rng.choice(["붙임", "첨부", "붙임 :"])
    )
    return Body(paragraphs, truth["attachments"], label, closing)


def _forget_unused(truth: dict[str, Any], paragraphs: list[Item]) -> None:
    text = " ".join(part.markup for item in paragraphs for part in (item, *item.children))
    for name in ("requested_actions", "amounts", "related_documents"):
        if f"/{name}/" not in text:
            truth[name] = []
    # Of two deadlines one may be left, which then is the first.
    kept = [index for index in range(len(truth["requested_actions"])) if f"/requested_actions/{index}/" in text]
    if kept:
        truth["requested_actions"] = [truth["requested_actions"][index] for index in kept]
        for part in (part for item in paragraphs for part in (item, *item.children)):
            for place, index in enumerate(kept):
                part.markup = part.markup.replace(f"/requested_actions/{index}/", f"/requested_actions/{place}/")
    if "/contacts/" not in text:
        truth["contacts"] = []
    if "/events/" not in text:
        truth["events"] = []


def _related(rng: random.Random, issued: date, truth: dict[str, Any]) -> str:
    earlier = issued.replace(day=1)
    number = f"{rng.choice(words.UNITS)}-{rng.randint(1, 20000)}"
    truth["related_documents"].append({"document_number": number, "issue_date": earlier.isoformat()})
    marked = f"{{/related_documents/0/document_number|{number}}}"
    return rng.choice(
        [
            f"관련: {marked}({written_date(earlier, 0)})호",
            f"관련 : {marked}({written_date(earlier, 0)})",
            f"{marked}({written_date(earlier, 0)})호와 관련입니다.",
        ]
    )


def _lead(rng: random.Random, issued: date, truth: dict[str, Any], topic: str) -> str:
    roll = rng.random()
    if roll < 0.2:
        return (
            f"위 호와 관련하여 「{topic.strip('「」')}」에 관한 사항을 다음과 같이 알려드리니 "
            f"업무에 참고하시기 바랍니다."
        )
    if roll < 0.3:
        truth["requested_actions"].append({"action": "조치", "due_as_written": "이 공문을 받은 날부터 15일 이내"})
        return f"{topic} 관련 지적사항을 이 공문을 받은 날부터 15일 이내에 조치하여 주시기 바랍니다."
    rare = taken(rng)
    due = later(rng, issued, *((5, 120) if rare else ()))
    text, until, time = due_phrase(rng, due, issued if not rare else issued.replace(year=due.year))
    n = len(truth["requested_actions"])
    action: dict[str, Any] = {"action": "제출", "due_date": due.isoformat(), "due_as_written": f"{text}{until}"}
    if time:
        action["due_time"] = time
    truth["requested_actions"].append(action)
    marked = f"{{/requested_actions/{n}/due_date|{text}}}{until}"
    if rare:
        past, since = due + timedelta(days=rng.randint(1, 9)), issued + timedelta(days=1)
        return rng.choice(rare_forms.LEADS).format(
            topic=topic, due=marked, past=written_date(past, 0), since=written_date(since, 0)
        )
    return rng.choice(
        [
            f"{topic} 추진을 위하여 관련 자료를 수합하오니, 각 기관에서는 붙임 서식을 작성하여 "
            f"{marked} 제출하여 주시기 바랍니다.",
            f"{topic}와 관련하여 귀 기관의 의견을 조회하오니 {marked} 회신하여 주시기 바라며, "
            f"기한 내 회신이 없는 경우 의견이 없는 것으로 보겠습니다.",
            f"{topic}을(를) 아래와 같이 추진하오니, 참여를 희망하는 기관은 {marked} 신청하여 주시기 바랍니다.",
            f"우리 기관에서 추진하는 {topic} 업무에 협조하여 주시기 바라며, 담당자 지정 결과를 "
            f"{marked} 알려 주시기 바랍니다.",
            f"{topic} 대상자를 추천하고자 하니 {marked} 공문으로 통보하여 주시고, 기타 사항은 "
            f"붙임을 참고하시기 바랍니다.",
        ]
    )


def _details(rng: random.Random, issued: date, truth: dict[str, Any]) -> Item:
    item = Item("", rng.choice(["세부 내용", "사업 개요", "행사 개요", "협조 사항", "추진 개요"]), children=[])
    lines: list[str] = []
    roll = rng.random()
    if roll < 0.4:
        day = later(rng, issued, 10, 60)
        hour = rng.randint(9, 16)
        text = f"{written_date(day, 1)} {hour:02d}:00"
        event: dict[str, Any] = {
            "start": f"{day.isoformat()}T{hour:02d}:00",
            "place": rng.choice(
                ["시청 2층 대회의실", "가람문화회관 소공연장", "다온도서관 세미나실", "온라인 화상회의"]
            ),
        }
        n = len(truth["events"])
        if rng.random() < 0.5:
            event["end"] = f"{day.isoformat()}T{hour + 2:02d}:00"
            lines.append(f"일시: {{/events/{n}/start|{text}}} ~ {hour + 2:02d}:00")
        else:
            lines.append(f"일시: {{/events/{n}/start|{text}}}")
        lines.append(f"장소: {{/events/{n}/place|{event['place']}}}")
        truth["events"].append(event)
    elif roll < 0.6:
        start = later(rng, issued, 3, 10)
        end = later(rng, start, 7, 20)
        n = len(truth["requested_actions"])
        label = rng.choice(["신청 기간", "접수기간", "제출기간", "모집 기간"])
        form = 6 if end.year == start.year else 1
        truth["requested_actions"].append({"action": label, "due_date": end.isoformat()})
        lines.append(
            f"{label}: {written_date(start, 1)} ~ {{/requested_actions/{n}/due_date|{written_date(end, form)}}}"
        )
    elif roll < 0.75:
        start = later(rng, issued, 3, 10)
        end = later(rng, start, 30, 90)
        lines.append(
            f"{rng.choice(['사업 기간', '운영기간', '교육 기간', '공사기간'])}: {written_date(start, 0)} "
            f"~ {written_date(end, 0)}"
        )
    elif roll < 0.9:
        due = later(rng, issued, 4, 30)
        text, _, _ = due_phrase(rng, due, issued)
        n = len(truth["requested_actions"])
        truth["requested_actions"].append({"action": "제출", "due_date": due.isoformat(), "due_as_written": text})
        lines.append(
            rng.choice(["제출 기한", "회신 기한", "신청 마감", "납부기한"])
            + f": {{/requested_actions/{n}/due_date|{text}}}"
            + rng.choice(["", "까지", " 18:00까지"])
        )
    lines += rng.sample(words.BULLETS, rng.randint(1, 4))
    mode = rng.random()
    for line in lines:
        item.children.append(Item("가" if mode < 0.8 else rng.choice(["○"]), line, 2))
    if rng.random() < 0.3:
        item.children[-1].children = [
            Item("1", text, 3)
            for text in rng.sample(
                ["세부 점검 항목", "안전 관리 대책", "비상 연락망 구축", "홍보 계획 수립", "결과 보고"],
                rng.randint(2, 3),
            )
        ]
    _number(item.children)
    return item


def _number(items: list[Item]) -> None:
    for i, item in enumerate(items):
        if item.marker == "가":
            item.marker = f"{'가나다라마바사아자차카타파하'[i]}."
        elif item.marker == "1":
            item.marker = f"{i + 1})"
        _number(item.children)


def _inquiry(rng: random.Random, truth: dict[str, Any]) -> str:
    contact: dict[str, str] = {
        "phone": words.phone(rng, rng.choice([0, 0, 1])),
        "person": words.person(rng),
        "title": rng.choice(["주무관", "사무관", "팀장", "연구사"]),
        "department": rng.choice(words.UNITS),
    }
    truth["contacts"].append(contact)
    person = f"{{/contacts/1/person|{contact['person']}}}"
    number = f"{{/contacts/1/phone|{contact['phone']}}}"
    return rng.choice(
        [
            f"문의: {contact['department']} {person} {contact['title']}({number})",
            f"문의처: {contact['department']} {contact['title']} {person}, 전화 {number}",
            f"기타 자세한 사항은 {contact['department']} {person} {contact['title']}({number})에게 "
            f"문의하시기 바랍니다.",
        ]
    )


def _table(rng: random.Random) -> tuple[list[str], list[list[str]]]:
    kind = rng.randrange(3)
    if kind == 0:
        header = ["연번", "기관명", "배정 인원", "비고"]
        rows = [
            [str(i + 1), words.office(rng)[0], f"{rng.randint(1, 30)}명", rng.choice(["-", "신규", "계속", ""])]
            for i in range(rng.randint(2, 7))
        ]
    elif kind == 1:
        header = ["구분", "예산액(천원)", "집행액(천원)", "집행률"]
        rows = [
            [name, f"{rng.randint(1000, 99999):,}", f"{rng.randint(100, 9999):,}", f"{rng.randint(10, 99)}%"]
            for name in rng.sample(["인건비", "운영비", "여비", "시설비", "자산취득비"], rng.randint(2, 4))
        ]
    else:
        header = ["점검 항목", "점검 결과", "조치 내용"]
        rows = [
            [name, rng.choice(["양호", "보통", "미흡"]), rng.choice(["보수 완료", "교체 예정", "해당 없음"])]
            for name in rng.sample(
                ["비상구 표지", "소화기 비치", "누전차단기", "난간 고정 상태", "대피로 확보"], rng.randint(2, 4)
            )
        ]
    return header, rows


def _sums_of(header: list[str], rows: list[list[str]]) -> list[dict[str, Any]]:
    columns = [i for i, heading in enumerate(header) if heading.endswith("(천원)")]
    figures = [row[i] for row in rows for i in columns]
    return [{"value": int(text.replace(",", "")) * 1000, "currency": "KRW"} for text in figures]


def _attachments(rng: random.Random) -> list[dict[str, Any]]:
    count = rng.choice([0, 1, 1, 2, 2, 3, 4, 6])
    entries: list[dict[str, Any]] = []
    for i, name in enumerate(rng.sample(words.ATTACHMENTS, count)):
        prefix = rng.choice(["", "", "2025년 ", "기관별 "])
        entry: dict[str, Any] = {"name": f"{prefix}{name}"}
        if count > 1:
            entry["number"] = i + 1
        if rng.random() < 0.93:
            entry |= {"count": rng.choice([1, 1, 1, 2, 3]), "unit": rng.choice(["부", "부", "부", "매", "식"])}
            if rng.random() < 0.12:
                entry["count_as_written"] = f"각 {entry['count']}{entry['unit']}"
        entries.append(entry)
    return entries


def _truth(item: Item) -> dict[str, Any]:
    tree: dict[str, Any] = {"level": item.level, "text": plain(item.markup)}
    if item.marker:
        tree["marker"] = item.marker
    if item.table:
        tree["tables"] = [{"header": item.table[0], "rows": item.table[1]}]
    if item.children:
        tree["children"] = [_truth(child) for child in item.children]
    return tree


def draw_body(sheet: Sheet, rng: random.Random, body: Body, size: float, leading: float, breaks: str) -> None:
    """Draw items, tables, 붙임 and 끝. from the cursor down."""
    step = size
    hanging = rng.random() < 0.75
    ends_with_table = _draw_items(sheet, rng, body.items, size, leading, breaks, step, hanging)
    end_text = "  끝." if body.closing else ""
    if not body.attachments:
        if body.closing and ends_with_table:
            sheet.text(sheet.left, "끝.", size)
            sheet.y += leading
        elif body.closing:
            sheet.text(sheet.last_end, end_text, size, y=sheet.last_y)
        return
    sheet.y += leading * 0.3
    sheet.room(leading * 2)
    label_end = sheet.text(sheet.left, body.label, size)
    x = label_end + size * 0.9
    if taken(rng):
        shown = "  ".join(_attachment(i, entry) for i, entry in enumerate(body.attachments)) + end_text
        sheet.paragraph(x, x, shown, size, leading, breaks=breaks)
        sheet.y += leading
        return
    for i, entry in enumerate(body.attachments):
        number = f"{entry['number']}. " if "number" in entry else ""
        last = i == len(body.attachments) - 1
        markup = f"{_attachment(i, entry)}{end_text if last else ''}"
        rest = x + sheet.measure(number, size)
        sheet.paragraph(x, rest, markup, size, leading, breaks=breaks)
        sheet.y += leading
        sheet.room(leading)


def _attachment(i: int, entry: dict[str, Any]) -> str:
    number = f"{entry['number']}. " if "number" in entry else ""
    written = entry.get("count_as_written") or (f"{entry['count']}{entry['unit']}" if "count" in entry else "")
    return f"{number}{{/attachments/{i}/name|{entry['name']}}}" + (f" {written}." if written else ".")


def _draw_items(
    sheet: Sheet,
    rng: random.Random,
    items: list[Item],
    size: float,
    leading: float,
    breaks: str,
    step: float,
    hanging: bool,
) -> bool:
    table_last = False
    for item in items:
        sheet.room(leading * 1.5)
        x = sheet.left + (item.level - 1) * step
        marker = f"{item.marker} " if item.marker else ""
        text_x = sheet.text(x, marker, size) if marker else x
        rest = text_x if hanging else sheet.left
        sheet.last_end = sheet.paragraph(text_x, rest, item.markup, size, leading, breaks=breaks)
        sheet.last_y = sheet.y
        sheet.y += leading
        table_last = False
        if item.table:
            _draw_table(sheet, rng, item.table, size)
            sheet.y += leading
            table_last = True
        if item.children:
            table_last = _draw_items(sheet, rng, item.children, size, leading, breaks, step, hanging)
    return table_last


def _draw_table(sheet: Sheet, rng: random.Random, table: tuple[list[str], list[list[str]]], size: float) -> None:
    header, rows = table
    size = size * 0.92
    widths = [max(sheet.measure(row[i], size) for row in (header, *rows)) + 24 for i in range(len(header))]
    total = sheet.inner_right - sheet.left
    extra = (total - sum(widths)) / len(widths)
    widths = [width + extra for width in widths]
    height = size * 1.9
    sheet.y -= size * 0.4
    grey = Color(0.9, 0.92, 0.95)
    for r, row in enumerate((header, *rows)):
        sheet.room(height * 1.5)
        x = sheet.left
        for i, cell in enumerate(row):
            sheet.frame(x, sheet.y, x + widths[i], sheet.y + height, fill=grey if r == 0 else None, thickness=0.5)
            centred = r == 0 or len(cell) < 5
            offset = (widths[i] - sheet.measure(cell, size)) / 2 if centred else 5
            if cell:
                sheet.text(x + offset, cell, size, y=sheet.y + height * 0.66, bold=False)
            x += widths[i]
        sheet.y += height
    sheet.y += size * 0.9
