"""Letters of companies and associations."""

import random
from datetime import date, timedelta
from typing import Any

from tests.letters import rare_forms, words
from tests.letters.body import draw_body, public_body
from tests.letters.korean_forms import written_date
from tests.letters.public import style
from tests.letters.rare_forms import taken
from tests.letters.seals import receipt_stamp, round_seal, square_seal
from tests.letters.sheet import PAGE_HEIGHT, PAGE_WIDTH, Sheet


def draw_private(sheet: Sheet, rng: random.Random) -> dict[str, Any]:
    """Draw a private letter and return its truth."""
    look = style(rng)
    issued = date(rng.choice([2024, 2025, 2026]), 1, 1) + timedelta(days=rng.randint(0, 364))
    organisation = _organisation(rng)
    truth: dict[str, Any] = {"schema_version": "1.0", "language": "ko", "origin": "domestic_private"}
    signer_title = (
        rng.choice(["대표이사", "대표이사", "대표", "회장", "이사장"])
        if "㈜" in organisation or "주식회사" in organisation
        else rng.choice(["회장", "이사장"])
    )
    truth["sender"] = {
        "organisation": organisation,
        "signatory_title": signer_title,
        "signatory_name": words.person(rng),
    }
    truth["document_number"] = _number(rng, issued)
    truth["issue_date"] = issued.isoformat()
    stamped = rng.random() < 0.35
    truth["direction"] = "incoming" if stamped else "unknown"
    if stamped:
        received = issued + timedelta(days=rng.randint(1, 5))
        unit = rng.choice(words.UNITS)
        truth["receipt"] = {"number": f"{unit}-{rng.randint(1, 29999)}", "date": received.isoformat()}
        receipt_stamp(sheet, truth["receipt"]["number"], f"{{/receipt/date|{written_date(received, 0)}}}", unit, rng)
    contact = _contact(rng)
    in_footer = rng.random() < 0.45
    _letterhead(sheet, rng, organisation, contact, in_footer, stamped)
    _labels(sheet, rng, look, truth, issued)
    body = public_body(rng, issued, truth, private=True)
    truth.pop("_topic")
    truth["contacts"].insert(0, contact)
    draw_body(sheet, rng, body, look.size, look.leading, look.breaks)
    _signature(sheet, rng, truth)
    if in_footer:
        sheet.y = PAGE_HEIGHT - 62
        sheet.rule(sheet.y - 14, 0.8)
        _contact_lines(sheet, rng, contact, centred=rng.random() < 0.3)
    return truth


def _organisation(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return rng.choice(words.ASSOCIATIONS)
    name = rng.choice(words.COMPANIES)
    return rng.choice([f"주식회사 {name}", f"{name} 주식회사", f"㈜{name}", f"{name}(주)", f"(주){name}"])


def _number(rng: random.Random, issued: date) -> str:
    serial = rng.randint(1, 300)
    return rng.choice(
        [
            f"{rng.choice(['HD', 'GA', 'NR', 'DSE', 'SBP'])}-{issued.year}-{serial:03d}",
            f"{rng.choice(['해뜰', '가온', '누리', '한울'])} 제{issued.year}-{serial}호",
            f"{rng.choice(['기획', '총무', '영업', '관리'])} {issued.year % 100}-{serial}",
            f"{rng.choice(['사업', '기술'])}-{issued.year % 100}{issued.month:02d}{issued.day:02d}-{serial % 20 + 1}",
            f"제{issued.year}-{serial:04d}호",
        ]
    )


def _contact(rng: random.Random) -> dict[str, str]:
    domain = words.domain(rng, False)
    contact = {
        "phone": words.phone(rng, rng.choice([0, 0, 2, 3])),
        "email": f"{rng.choice(['info', 'sales', 'contact', 'help.desk', 'pr_team'])}@{domain}",
        "address": f"{words.address(rng)}, {rng.randint(2, 15)}층",
        "postal_code": f"{rng.randint(10000, 63999)}",
    }
    if rng.random() < 0.75:
        contact["fax"] = words.phone(rng, 0)
    if rng.random() < 0.5:
        contact["homepage"] = f"www.{domain}"
    if rng.random() < 0.4:
        contact["person"], contact["title"] = words.person(rng), rng.choice(["대리", "과장", "차장", "팀장"])
    return contact


def _letterhead(
    sheet: Sheet, rng: random.Random, organisation: str, contact: dict[str, str], in_footer: bool, stamped: bool
) -> None:
    sheet.y = rng.uniform(78, 92) if not stamped else rng.uniform(122, 132)
    size = rng.uniform(17, 23)
    markup = f"{{/sender/organisation|{organisation}}}"
    if rng.random() < 0.6:
        x = sheet.centred(markup, size, bold=True)
        if rng.random() < 0.5:
            sheet.logo(max(sheet.left, x - 60), sheet.y - 6)
    else:
        sheet.logo(sheet.left, sheet.y - 8)
        sheet.text(sheet.left + 40, markup, size, bold=True)
    sheet.y += 17
    if not in_footer:
        _contact_lines(sheet, rng, contact, centred=rng.random() < 0.8)
    sheet.rule(sheet.y - 2, rng.choice([0.8, 1.5, 2.2]))
    sheet.y += rng.uniform(18, 28)


def _contact_lines(sheet: Sheet, rng: random.Random, contact: dict[str, str], centred: bool) -> None:
    size = rng.uniform(8.2, 9.2)
    postal = f"{{/contacts/0/postal_code|{contact['postal_code']}}}"
    first = rng.choice([f"우 {postal}", f"({postal})", f"우편번호 {postal}"])
    first += f" {{/contacts/0/address|{contact['address']}}}"
    if "homepage" in contact:
        first += f" / {{/contacts/0/homepage|{contact['homepage']}}}"
    tel, fax, mail, gap = rng.choice(
        [
            ("TEL ", "FAX ", "E-mail ", " / "),
            ("T. ", "F. ", "E. ", "  "),
            ("전화: ", "팩스: ", "이메일: ", "  "),
            ("Tel: ", "Fax: ", "E-mail: ", " | "),
            ("대표전화 ", "팩스 ", "전자우편 ", " / "),
        ]
    )
    second = [f"{tel}{{/contacts/0/phone|{contact['phone']}}}"]
    if "fax" in contact:
        second.append(f"{fax}{{/contacts/0/fax|{contact['fax']}}}")
    second.append(f"{mail}{{/contacts/0/email|{contact['email']}}}")
    if "person" in contact:
        second.append(
            f"담당{rng.choice([' ', ': ', '자: '])}{contact['title']} {{/contacts/0/person|{contact['person']}}}"
        )
    for markup in (first, gap.join(second)):
        while sheet.measure(markup, size) > sheet.inner_right - sheet.left:
            size -= 0.3
        if centred:
            sheet.centred(markup, size)
        else:
            sheet.text(sheet.left, markup, size)
        sheet.y += 13


def _labels(sheet: Sheet, rng: random.Random, look: Any, truth: dict[str, Any], issued: date) -> None:
    spaced = rng.random() < 0.6
    colon = rng.choice([" :", " :", ":", ""])
    names = {
        "number": "문서번호",
        "date": rng.choice(["시행일자", "시행일자", "시 행 일", "일    자", "발신일자"]),
        "to": "수    신" if spaced else "수신",
        "via": "경    유",
        "ref": "참    조" if spaced else "참조",
        "from": "발    신" if spaced else "발신",
        "title": "제    목" if spaced else "제목",
    }
    x = sheet.left + sheet.measure("시행일자 :", look.size) + rng.uniform(10, 24)

    def row(label: str, markup: str, bold: bool = False) -> None:
        sheet.text(sheet.left, f"{label}{colon}", look.size)
        sheet.paragraph(x, x, markup, look.size, look.leading, bold=bold)
        sheet.y += look.leading

    row(names["number"], f"{{/document_number|{truth['document_number']}}}")
    row(names["date"], f"{{/issue_date|{written_date(issued, rng.choice([0, 0, 2, 4, 3]))}}}")
    to_company = rng.random() < 0.4
    name = _organisation(rng) if to_company else words.addressee(rng)
    honorific = rng.choice([" 귀중", " 대표이사 귀하", ""]) if to_company else rng.choice(["", " 귀하", ""])
    if taken(rng):
        name, honorific = rng.choice(
            [*((place, " 귀중") for place in rare_forms.PLACES), (rng.choice(rare_forms.OFFICES), "")]
        )
    truth["recipients"] = [{"name": name}]
    row(names["to"], f"{{/recipients/0/name|{name}}}{honorific}")
    if rng.random() < 0.5:
        reference = rng.choice(words.UNITS) + rng.choice(["장", ""])
        truth["references"] = [{"name": reference}]
        row(names["ref"], f"{{/references/0/name|{reference}}}")
    if rng.random() < 0.35:
        row(names["from"], truth["sender"]["organisation"])
    topic, ask = rng.choice(words.TOPICS)
    ask = rng.choice(rare_forms.CLOSINGS) if taken(rng) else ask
    title = f"{topic} {ask}"
    if rng.random() < 0.2:
        title = f"{title} 및 향후 추진 일정에 따른 협조 요청의 건"
    truth["title"], truth["_topic"] = title, topic
    row(names["title"], f"{{/title|{title}}}", bold=rng.random() < 0.6)
    if rng.random() < 0.7:
        sheet.rule(sheet.y - look.leading + 8, 0.8)
    sheet.y += rng.uniform(8, 16)


def _signature(sheet: Sheet, rng: random.Random, truth: dict[str, Any]) -> None:
    sender = truth["sender"]
    size = rng.uniform(14, 18)
    sheet.room(150)
    sheet.y = max(sheet.y + 40, min(sheet.y + rng.uniform(40, 200), PAGE_HEIGHT - 180))
    organisation = sender["organisation"]
    title = f"{{/sender/signatory_title|{sender['signatory_title']}}}"
    name = f"{{/sender/signatory_name|{sender['signatory_name']}}}"
    omitted = rng.random()
    suffix = ""
    if omitted < 0.2:
        truth["seal"] = {"status": "omitted", "as_written": "직인생략"}
        suffix = "  (직인생략)"
    elif omitted < 0.85:
        truth["seal"] = {"status": "present"}
        suffix = rng.choice(["", "", " (인)"])
    else:
        truth["seal"] = {"status": "none"}
    if rng.random() < 0.5:
        x = sheet.centred(f"{organisation}  {title}  {name}", size, bold=True)
    else:
        sheet.centred(organisation, size, bold=True)
        sheet.y += size * 1.7
        x = sheet.centred(f"{title}  {name}", size, bold=True)
    end = PAGE_WIDTH - x
    if suffix:
        sheet.text(end + 4, suffix, 10)
    if truth["seal"]["status"] == "present":
        draw = round_seal if rng.random() < 0.6 else square_seal
        draw(sheet, end - 2, sheet.y - 4, organisation.replace(" ", "")[:9], rng.uniform(46, 58))
    sheet.y += 40
