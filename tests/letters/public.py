"""Letters of public bodies: 두문, 본문, 결문."""

import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tests.letters import rare_forms, words
from tests.letters.body import Body, draw_body, public_body
from tests.letters.korean_forms import written_date
from tests.letters.rare_forms import taken
from tests.letters.seals import receipt_stamp, square_seal
from tests.letters.sheet import PAGE_HEIGHT, PAGE_WIDTH, Sheet


@dataclass
class Style:
    """The layout of one letter."""

    size: float
    leading: float
    breaks: str
    label_gap: float
    name_size: float
    tail_size: float


def style(rng: random.Random) -> Style:
    """Choose a layout."""
    size = rng.choice([10.5, 11.0, 11.5, 12.0, 12.5])
    return Style(
        size=size,
        leading=size * rng.uniform(1.5, 1.85),
        breaks="word" if rng.random() < 0.8 else "letter",
        label_gap=rng.choice([8, 12, 16]),
        name_size=rng.uniform(17, 24),
        tail_size=rng.uniform(8.8, 10.2),
    )


@dataclass
class _Tail:
    lines: list[Any] = field(default_factory=list)


def draw_public(sheet: Sheet, rng: random.Random) -> dict[str, Any]:
    """Draw a public letter and return its truth."""
    look = style(rng)
    issued = date(rng.choice([2024, 2025, 2025, 2026]), 1, 1) + timedelta(days=rng.randint(0, 364))
    organisation, signatory = words.office(rng)
    unit = rng.choice(words.UNITS)
    number = f"{unit}-{rng.randint(1, 29999)}"
    if taken(rng):
        unit = rng.choice(rare_forms.UNITS)
        number = f"{unit}-{rng.randint(1, 60000)}"
    internal = rng.random() < 0.06
    truth: dict[str, Any] = {"schema_version": "1.0", "language": "ko", "origin": "domestic_public"}
    truth["sender"] = {"organisation": organisation, "department": unit}
    if not internal:
        truth["sender"]["signatory_title"] = signatory
    truth["document_number"] = number
    truth["issue_date"] = issued.isoformat()
    receipt = rng.choice(["none", "none", "stamp", "line", "absent"]) if not internal else "none"
    if receipt in ("stamp", "line"):
        received = issued + timedelta(days=rng.randint(0, 6))
        received_unit = rng.choice(words.UNITS)
        truth["receipt"] = {"number": f"{received_unit}-{rng.randint(1, 29999)}", "date": received.isoformat()}
        truth["direction"] = "incoming"
    else:
        truth["direction"] = "outgoing" if receipt == "none" else "unknown"
    if receipt == "stamp":
        written = f"{{/receipt/date|{written_date(received, 0)}}}"
        if rng.random() < 0.5:
            truth["receipt"]["time"] = f"{rng.randint(9, 17):02d}:{rng.randint(0, 59):02d}"
            written += f" {{/receipt/time|{truth['receipt']['time']}}}"
        receipt_stamp(sheet, truth["receipt"]["number"], written, received_unit, rng)
    _head(sheet, rng, look, truth, organisation, internal, receipt == "stamp")
    body = public_body(rng, issued, truth)
    draw_body(sheet, rng, body, look.size, look.leading, look.breaks)
    _tail(sheet, rng, look, truth, issued, signatory, internal, receipt)
    return truth


def _head(
    sheet: Sheet,
    rng: random.Random,
    look: Style,
    truth: dict[str, Any],
    organisation: str,
    internal: bool,
    stamped: bool,
) -> None:
    sheet.y = rng.uniform(55, 80)
    if rng.random() < 0.4 and not stamped:
        sheet.centred(rng.choice(words.SLOGANS), 9)
        sheet.y += 14
    if stamped:
        sheet.y += 48
    sheet.y += look.name_size
    if rng.random() < 0.6:
        sheet.logo(sheet.left, sheet.y - 6)
    shown = organisation
    spread = len(organisation) <= 5 and rng.random() < 0.35
    if spread:
        shown = (" " * rng.choice([1, 2])).join(organisation.replace(" ", ""))
    sheet.centred(f"{{/sender/organisation|{shown}}}", look.name_size, bold=True)
    sheet.y += rng.uniform(26, 40)
    truth["recipients"], listed = _addressees(rng, internal)
    value_x = sheet.left + sheet.measure("(경유)", look.size) + look.label_gap
    aligned = rng.random() < 0.8
    row = look.leading

    def labelled(label: str, markup: str, bold: bool = False) -> None:
        sheet.text(sheet.left, label, look.size)
        x = value_x if aligned else sheet.left + sheet.measure(label, look.size) + look.label_gap
        if markup:
            sheet.paragraph(x, x, markup, look.size, row, bold=bold)
        sheet.y += row

    if internal:
        labelled("수신", "{/recipients/0/name|내부결재}")
    elif listed:
        labelled("수신", "수신자 참조")
    else:
        labelled("수신", ", ".join(_party_markup(i, party) for i, party in enumerate(truth["recipients"])))
    via = words.addressee(rng) if rng.random() < 0.12 else None
    if via:
        truth["via"] = via
    if via or rng.random() < 0.9:
        labelled("(경유)", f"{{/via|{via}}}" if via else "")
    topic, ask = rng.choice(words.TOPICS)
    ask = rng.choice(rare_forms.CLOSINGS) if taken(rng) else ask
    title = f"{rng.choice(['', '', '2025년 ', '제2차 ', '[긴급] '])}{topic} {ask}"
    if rng.random() < 0.25:
        title = rng.choice(words.TITLE_LEADS) + title + rng.choice(["", " 및 관련 자료 제출 협조 요청", "(2차)"])
    truth["title"] = title
    truth["_topic"], truth["_listed"] = topic, listed
    labelled("제목", f"{{/title|{title}}}", bold=rng.random() < 0.6)
    if rng.random() < 0.75:
        sheet.rule(sheet.y - row + 7, rng.choice([0.7, 1.2, 2.0]), rng.choice([0.0, 0.4]))
    sheet.y += rng.uniform(8, 16)


def _addressees(rng: random.Random, internal: bool) -> tuple[list[dict[str, str]], bool]:
    if internal:
        return [{"name": "내부결재"}], False
    kind = rng.random()
    if kind < 0.45:
        party = {"name": rng.choice(rare_forms.OFFICES) if taken(rng) else words.addressee(rng)}
        if rng.random() < 0.5:
            party["attention"] = rng.choice(words.UNITS) + rng.choice(["장", ""])
        return [party], False
    if kind < 0.6:
        names = list(dict.fromkeys(words.addressee(rng) for _ in range(rng.randint(2, 3))))
        return [{"name": name} for name in names], False
    count = rng.choice([2, 3, 4, 6, 9, 14])
    names = list(dict.fromkeys(words.addressee(rng) for _ in range(count)))
    parties: list[dict[str, str]] = []
    for name in [*names, *([rng.choice(rare_forms.OFFICES)] if taken(rng) else [])]:
        party = {"name": name}
        if rng.random() < 0.25:
            party["attention"] = rng.choice(words.UNITS) + "장"
        parties.append(party)
    return parties, True


def _party_markup(i: int, party: dict[str, str]) -> str:
    attention = f"({{/recipients/{i}/attention|{party['attention']}}})" if "attention" in party else ""
    return f"{{/recipients/{i}/name|{party['name']}}}{attention}"


def _tail(
    sheet: Sheet,
    rng: random.Random,
    look: Style,
    truth: dict[str, Any],
    issued: date,
    signatory: str,
    internal: bool,
    receipt: str,
) -> None:
    size, row = look.tail_size, look.tail_size * rng.uniform(1.5, 1.75)
    listed = truth.pop("_listed")
    truth.pop("_topic")
    need = 40 + row * (9 + (len(truth["recipients"]) // 4 if listed else 0))
    sheet.room(need + 30)
    bottom = PAGE_HEIGHT - rng.uniform(48, 70) - need
    sheet.y = max(sheet.y + 30, bottom if rng.random() < 0.75 else sheet.y + rng.uniform(30, 60))
    if not internal:
        _signature(sheet, rng, look, truth, signatory)
    else:
        truth["seal"] = {"status": "none"}
    if listed:
        sheet.text(sheet.left, "수신자", size)
        x = sheet.left + sheet.measure("수신자", size) + 14
        sheet.paragraph(x, x, ", ".join(_party_markup(i, p) for i, p in enumerate(truth["recipients"])), size, row)
        sheet.y += row * 0.6
    if rng.random() < 0.85:
        sheet.rule(sheet.y, rng.choice([1.0, 2.2]), rng.choice([0.0, 0.55]))
    sheet.y += row * 1.2
    _approval(sheet, rng, truth, issued, size, row)
    _issue(sheet, rng, truth, issued, size, receipt)
    sheet.y += row
    _contact(sheet, rng, truth, size, row)


def _signature(sheet: Sheet, rng: random.Random, look: Style, truth: dict[str, Any], signatory: str) -> None:
    size = rng.uniform(15, 21)
    markup = f"{{/sender/signatory_title|{signatory}}}"
    x = sheet.centred(markup, size, bold=rng.random() < 0.8)
    end = PAGE_WIDTH - x
    kind = rng.random()
    if kind < 0.6:
        truth["seal"] = {"status": "present"}
        square_seal(
            sheet,
            end - size * 0.3,
            sheet.y - size * 0.3,
            (signatory.replace(" ", "") + "의인")[:9],
            rng.uniform(52, 66),
        )
    elif kind < 0.9:
        words_omitted = rng.choice(["관인생략", "직인생략"])
        truth["seal"] = {"status": "omitted", "as_written": words_omitted}
        sheet.text(end + 14, words_omitted if rng.random() < 0.6 else f"({words_omitted})", 9)
    else:
        truth["seal"] = {"status": "none"}
    sheet.y += rng.uniform(30, 42)


def _approval(sheet: Sheet, rng: random.Random, truth: dict[str, Any], issued: date, size: float, row: float) -> None:
    titles = [rng.choice(words.TITLES_LOW)]
    if rng.random() < 0.85:
        titles.append(rng.choice(words.TITLES_MID))
    if rng.random() < 0.25:
        titles.append(rng.choice(words.TITLES_MID))
    titles.append(rng.choice(words.TITLES_HIGH))
    people = [words.person(rng) for _ in titles]
    mark = rng.choice([None, "전결", "전결", "전결", "대결"])
    above = mark is not None and rng.random() < 0.35
    written = written_date(issued, 0)
    truth["approval"] = []
    slot = (sheet.inner_right - sheet.left) / len(titles)
    star = rng.choice(["", "★", ""])
    top = sheet.y
    if above:
        sheet.y += row * 0.8
    for i, (title, name) in enumerate(zip(titles, people, strict=True)):
        role = "drafter" if i == 0 else "approver" if i == len(titles) - 1 else "reviewer"
        entry: dict[str, Any] = {"role": role, "title": title, "name": name, "delegated": False}
        x = sheet.left + i * slot
        shown = f"{star if i == 0 else ''}{title}  "
        last = i == len(titles) - 1
        if last and mark:
            entry |= {"delegated": True, "mark": mark, "date": issued.isoformat()}
            if above:
                text_x = x + sheet.measure(shown, size)
                sheet.text(text_x, f"{mark} {written}", size * 0.82, y=top)
                sheet.text(x, f"{shown}{name}", size)
            else:
                sheet.text(x, f"{shown}{mark} {written}  {name}", size)
        else:
            sheet.text(x, f"{shown}{name}", size)
        truth["approval"].append(entry)
    sheet.y += row * 1.2
    if rng.random() < 0.9:
        cooperators = [(rng.choice(words.UNITS) + "장", words.person(rng)) for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        sheet.text(sheet.left, "협조자  " + "   ".join(f"{title} {name}" for title, name in cooperators), size)
        for title, name in cooperators:
            truth["approval"].append({"role": "cooperator", "title": title, "name": name, "delegated": False})
        sheet.y += row


def _issue(sheet: Sheet, rng: random.Random, truth: dict[str, Any], issued: date, size: float, receipt: str) -> None:
    space = rng.choice([" ", "", "  "])
    written = written_date(issued, rng.choice([0, 0, 0, 3]))
    issue = f"시행  {{/document_number|{truth['document_number']}}}{space}({{/issue_date|{written}}})"
    end = sheet.text(sheet.left, issue, size)
    x = max(end + 18, sheet.left + 190)
    if receipt != "absent" and taken(rng):
        x = sheet.left
        sheet.y += size * 1.6
    if receipt in ("none", "stamp"):
        sheet.text(x, "접수" + " " * rng.choice([6, 20]) + "(" + " " * rng.choice([4, 14]) + ")", size)
    elif receipt == "line":
        received = date.fromisoformat(truth["receipt"]["date"])
        sheet.text(
            x,
            f"접수  {{/receipt/number|{truth['receipt']['number']}}} ({{/receipt/date|{written_date(received, 0)}}})",
            size,
        )


def _contact(sheet: Sheet, rng: random.Random, truth: dict[str, Any], size: float, row: float) -> None:
    domain = words.domain(rng, True)
    form = rng.choice([0, 0, 1, 3])
    contact = {
        "phone": words.phone(rng, form),
        "fax": words.phone(rng, form),
        "email": f"{rng.choice(['minwon', 'safety7', 'kim.hr', 'office_1', 'forest', 'edu2025'])}@{domain}",
        "address": words.address(rng) + rng.choice(["", "(본관 3층)", f"-{rng.randint(1, 20)}"]),
        "postal_code": f"{rng.randint(10000, 63999)}",
        "homepage": rng.choice(["http://www.", "www.", "https://www."]) + domain,
    }
    if rng.random() < 0.12:
        del contact["fax"]
    if rng.random() < 0.1:
        del contact["email"]
    truth["contacts"].insert(0, contact)
    sheet.text(
        sheet.left,
        f"우 {{/contacts/0/postal_code|{contact['postal_code']}}}  {{/contacts/0/address|{contact['address']}}}",
        size,
    )
    home = f"/ {{/contacts/0/homepage|{contact['homepage']}}}"
    sheet.text(sheet.inner_right - sheet.measure(home, size), home, size)
    sheet.y += row
    labels = rng.choice([("전화번호", "팩스번호"), ("전화", "팩스"), ("전화번호", "팩스번호"), ("전화", "전송")])
    parts = f"{labels[0]} {{/contacts/0/phone|{contact['phone']}}}"
    if "fax" in contact and taken(rng):
        parts = f"TEL/FAX {{/contacts/0/phone|{contact['phone']}}} / {{/contacts/0/fax|{contact['fax']}}}"
    elif "fax" in contact:
        parts += f"  {labels[1]} {{/contacts/0/fax|{contact['fax']}}}"
    if "email" in contact:
        parts += f"  / {{/contacts/0/email|{contact['email']}}}"
    level = rng.random()
    if level < 0.35:
        disclosure: dict[str, Any] = {"level": "public", "as_written": rng.choice(["대국민공개", "대국민 공개"])}
    elif level < 0.55:
        disclosure = {"level": "public", "as_written": "공개"}
    else:
        reasons = sorted(rng.sample("12345678", rng.choice([1, 1, 2])))
        closed = level > 0.8
        written = f"{'비공개' if closed else '부분공개'}({rng.choice([',', ', ']).join(reasons)})"
        disclosure = {"level": "closed" if closed else "partial", "reasons": reasons, "as_written": written}
    truth["disclosure"] = disclosure
    parts += f"  / {{/disclosure|{disclosure['as_written']}}}"
    while sheet.left + sheet.measure(parts, size) > sheet.inner_right:
        size -= 0.3
    sheet.text(sheet.left, parts, size)


__all__ = ["Body", "draw_public"]
