"""Foreign letters in English."""

import random
from datetime import date, timedelta
from typing import Any

from tests.letters import words
from tests.letters.korean_forms import written_date
from tests.letters.seals import receipt_stamp
from tests.letters.sheet import Sheet, plain

_ORGANISATIONS = [
    "Northfold Institute of Marine Research",
    "Albrecht Bridge Systems GmbH",
    "City of Larkhaven",
    "Tessaly University Press",
    "Hollin & Reeve Ltd",
    "International Council for River Care",
    "Brightmoor Instruments Inc.",
    "Ministry of Rural Affairs",
    "Ostmark Museum of Industry",
    "Silverfen Energy B.V.",
    "Pacific Seed Exchange",
    "Greyport Harbour Authority",
]
_DEPARTMENTS = [
    "Department of External Relations",
    "Procurement Division",
    "Office of the Secretary General",
    "Research Services",
    "Technical Affairs Section",
]
_STREETS = [
    "12 Harbour Lane, Northfold",
    "48 Mill Road, Larkhaven",
    "7 Quay Street, Ostmark",
    "201 Fenway Drive, Greyport",
    "3 Chapel Square, Tessaly",
]
_RECIPIENTS = [
    "Garam City Hall",
    "Ministry of Regional Prosperity",
    "Haedam Provincial Government",
    "Daon Science Museum",
    "Sunrise Construction Co., Ltd.",
    "Korea Seedling Agriculture Association",
    "Forest Care Agency",
    "Maru University",
]
_PEOPLE = ["Ms. Hana Jung", "Mr. Dojun Choi", "Dr. Seoyeon Park", "Prof. Minho Yang", "Mr. Jiho Namgung"]
_SIGNERS = [
    "Dr. Ingrid Halvorsen",
    "Thomas A. Reeve",
    "Marta Kowalska",
    "Professor Luis Ortega",
    "Elena Petrova",
    "James O'Connor",
    "Aiko Tanaka",
]
_POSITIONS = [
    "Director of Research",
    "Head of Procurement",
    "Managing Director",
    "Programme Officer",
    "Secretary General",
    "Curator of Collections",
    "Senior Project Manager",
]
_SUBJECTS = [
    "Invitation to the Regional Workshop on Coastal Data",
    "Proposal for a Joint Exhibition of Industrial Heritage",
    "Delivery of Measuring Instruments, Order 4471",
    "Renewal of the Memorandum of Understanding",
    "Request for Comments on the Draft Guideline",
    "Visit of a Delegation to Your Seed Bank",
    "Outstanding Invoice for Translation Services",
]
_ENCLOSURES = [
    "Draft programme",
    "Registration form",
    "Order confirmation",
    "Memorandum of Understanding (draft)",
    "List of participants",
    "Invoice copy",
    "Travel guide",
]
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def draw_english(sheet: Sheet, rng: random.Random) -> dict[str, Any]:
    """Draw an English letter and return its truth."""
    american = rng.random() < 0.25
    issued = date(rng.choice([2024, 2025, 2026]), 1, 1) + timedelta(days=rng.randint(0, 364))
    form = rng.choice([0, 0, 1]) if not american else rng.choice([2, 2])
    if rng.random() < 0.15:
        form = 3 if not american else 5
    truth: dict[str, Any] = {"schema_version": "1.0", "language": "en", "origin": "foreign"}
    organisation = rng.choice(_ORGANISATIONS)
    truth["sender"] = {"organisation": organisation}
    truth["issue_date"] = issued.isoformat()
    size, leading = rng.choice([(10.5, 13.5), (11, 14.5), (11.5, 15.5)])
    stamped = rng.random() < 0.5
    truth["direction"] = "incoming" if stamped else "unknown"
    if stamped:
        received = issued + timedelta(days=rng.randint(2, 9))
        unit = rng.choice(words.UNITS)
        truth["receipt"] = {"number": f"{unit}-{rng.randint(1, 9999)}", "date": received.isoformat()}
        receipt_stamp(sheet, truth["receipt"]["number"], f"{{/receipt/date|{written_date(received, 0)}}}", unit, rng)
    contact = _contact(rng, american)
    truth["contacts"] = [contact]
    sheet.y = 120 if stamped else 72
    in_footer = rng.random() < 0.3
    _letterhead(sheet, rng, truth, contact, in_footer)
    _references(sheet, rng, truth, issued, form, size)
    recipient = _addressee(sheet, rng, truth, size, leading)
    _subject_and_body(sheet, rng, truth, issued, form, size, leading, recipient)
    _close(sheet, rng, truth, size, leading)
    if in_footer:
        sheet.y = 790
        _contact_line(sheet, contact)
    truth["seal"] = {"status": "none"}
    return truth


def english_date(day: date, form: int) -> str:
    """Return a date as English letters write it."""
    month = _MONTHS[day.month - 1]
    return [
        f"{day.day} {month} {day.year}",
        f"{day.day:02d} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day:02d}/{day.month:02d}/{day.year}",
        f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"{day.month:02d}/{day.day:02d}/{day.year}",
    ][form]


def _contact(rng: random.Random, american: bool) -> dict[str, str]:
    number = rng.randint(100, 999)
    domain = f"{rng.choice(['northfold', 'larkhaven', 'ostmark', 'tessaly', 'greyport'])}.example"
    phone = (
        f"+1 (555) 555-0{number}"
        if american
        else rng.choice([f"+44 555 020 {number}", f"+49 555 0{number} 21", f"+31 555 010 {number}"])
    )
    contact = {
        "phone": phone,
        "email": f"{rng.choice(['office', 'contact', 'research', 'orders'])}@{domain}",
        "address": rng.choice(_STREETS),
    }
    if rng.random() < 0.5:
        contact["fax"] = phone[:-1] + str((int(phone[-1]) + 1) % 10)
    if rng.random() < 0.6:
        contact["homepage"] = f"www.{domain}"
    return contact


def _letterhead(
    sheet: Sheet, rng: random.Random, truth: dict[str, Any], contact: dict[str, str], in_footer: bool
) -> None:
    name_size = rng.uniform(14, 20)
    markup = f"{{/sender/organisation|{truth['sender']['organisation']}}}"
    centred = rng.random() < 0.6
    if rng.random() < 0.5:
        sheet.logo(sheet.left, sheet.y - 8)
    if centred:
        sheet.centred(markup, name_size, bold=True)
    else:
        sheet.text(sheet.left + 44, markup, name_size, bold=True)
    sheet.y += 18
    if rng.random() < 0.35:
        truth["sender"]["department"] = rng.choice(_DEPARTMENTS)
        department = f"{{/sender/department|{truth['sender']['department']}}}"
        if centred:
            sheet.centred(department, 10)
        else:
            sheet.text(sheet.left + 44, department, 10)
        sheet.y += 14
    if not in_footer:
        _contact_line(sheet, contact)
    sheet.rule(sheet.y - 4, 1.0)
    sheet.y += 22


def _contact_line(sheet: Sheet, contact: dict[str, str]) -> None:
    sheet.centred(f"{{/contacts/0/address|{contact['address']}}}", 8.5)
    sheet.y += 12
    parts = [f"Tel: {{/contacts/0/phone|{contact['phone']}}}"]
    if "fax" in contact:
        parts.append(f"Fax: {{/contacts/0/fax|{contact['fax']}}}")
    parts.append(f"{{/contacts/0/email|{contact['email']}}}")
    if "homepage" in contact:
        parts.append(f"{{/contacts/0/homepage|{contact['homepage']}}}")
    sheet.centred(sheet.rng.choice(["   ", " | "]).join(parts), 8.5)
    sheet.y += 14


def _references(sheet: Sheet, rng: random.Random, truth: dict[str, Any], issued: date, form: int, size: float) -> None:
    written = f"{{/issue_date|{english_date(issued, form)}}}"
    if rng.random() < 0.75:
        truth["document_number"] = rng.choice(
            [
                f"NF/{issued.year % 100}/{rng.randint(100, 999)}",
                f"HR-{rng.randint(1000, 9999)}",
                f"LC/EXT/{issued.year}-{rng.randint(10, 99)}",
                f"OM-{issued.year}-{rng.randint(1, 99):03d}",
            ]
        )
        sheet.text(
            sheet.left,
            rng.choice(["Our ref: ", "Our Ref.: ", "Ref: ", "Reference: "])
            + f"{{/document_number|{truth['document_number']}}}",
            size,
        )
        if rng.random() < 0.5:
            sheet.text(sheet.inner_right - sheet.measure(written, size), written, size)
            sheet.y += 16
        else:
            sheet.y += 16
            sheet.text(sheet.left, f"Date: {written}" if rng.random() < 0.5 else written, size)
            sheet.y += 16
        if rng.random() < 0.4:
            sheet.text(sheet.left, f"Your ref: KR-{rng.randint(100, 999)}", size)
            sheet.y += 16
    else:
        sheet.text(sheet.left, written, size)
        sheet.y += 16
    sheet.y += 10


def _addressee(sheet: Sheet, rng: random.Random, truth: dict[str, Any], size: float, leading: float) -> str:
    organisation, person = rng.choice(_RECIPIENTS), rng.choice(_PEOPLE)
    lines = [
        f"{{/recipients/0/name|{organisation}}}",
        f"{rng.randint(1, 99)} Jungang-ro, Garam",
        rng.choice(["Republic of Korea", "South Korea"]),
    ]
    kind = rng.random()
    greeting = f"Dear {person.split()[0]} {person.split()[-1]},"
    if kind < 0.5:
        lines.insert(0, f"{{/recipients/0/attention|{person}}}")
        truth["recipients"] = [{"name": organisation, "attention": person}]
    elif kind < 0.75:
        lines.insert(1, f"Attn: {{/recipients/0/attention|{person}}}")
        truth["recipients"] = [{"name": organisation, "attention": person}]
    else:
        truth["recipients"] = [{"name": organisation}]
        greeting = "Dear Sir or Madam,"
    for line in lines:
        sheet.text(sheet.left, line, size)
        sheet.y += leading
    sheet.y += 12
    return greeting


def _subject_and_body(
    sheet: Sheet,
    rng: random.Random,
    truth: dict[str, Any],
    issued: date,
    form: int,
    size: float,
    leading: float,
    greeting: str,
) -> None:
    truth["title"] = rng.choice(_SUBJECTS)
    label = rng.choice(["Subject: ", "RE: ", "Re: ", ""])
    subject = f"{label}{{/title|{truth['title']}}}"
    before = label != "" and rng.random() < 0.6
    for part, bold in ((subject, True), (greeting, False)) if before else ((greeting, False), (subject, True)):
        sheet.text(sheet.left, part, size, bold=bold)
        sheet.y += leading * 1.7
    paragraphs = _paragraphs(rng, truth, issued, form)
    for markup in paragraphs:
        sheet.paragraph(sheet.left, sheet.left, markup, size, leading)
        sheet.y += leading * 1.6
    truth["body"] = {"items": [{"level": 1, "text": plain(markup)} for markup in paragraphs]}


def _paragraphs(rng: random.Random, truth: dict[str, Any], issued: date, form: int) -> list[str]:
    due = issued + timedelta(days=rng.randint(14, 70))
    truth["requested_actions"], truth["events"], truth["amounts"] = [], [], []
    paragraphs = [
        rng.choice(
            [
                "We are writing with reference to our correspondence of last month and are pleased "
                "to continue this cooperation.",
                "It was a pleasure to meet your colleagues during the recent symposium, and we "
                "thank you for the warm welcome.",
                "On behalf of our organisation I would like to thank you for your continued interest in our work.",
            ]
        )
    ]
    roll = rng.random()
    dated = f"{{/requested_actions/0/due_date|{english_date(due, form)}}}"
    if roll < 0.75:
        truth["requested_actions"].append({"action": "reply", "due_date": due.isoformat()})
        paragraphs.append(
            rng.choice(
                [
                    f"Please return the enclosed form to this office no later than {dated}, so that "
                    f"the necessary arrangements can be made.",
                    f"We would be grateful if you could send us your comments by {dated}.",
                    f"Kindly confirm your participation on or before {dated}. Late replies cannot be considered.",
                    f"Your reply is due on {dated}; please send it to the address given above.",
                ]
            )
        )
    else:
        truth["requested_actions"].append({"action": "reply", "due_as_written": "within 30 days"})
        paragraphs.append("Please let us have your reply within 30 days of receipt of this letter.")
    if rng.random() < 0.4:
        value = rng.choice(
            [
                (1250.0, "USD", "US$1,250.00"),
                (480.0, "EUR", "EUR 480"),
                (120000.0, "JPY", "JPY 120,000"),
                (9600.5, "GBP", "GBP 9,600.50"),
            ]
        )
        truth["amounts"].append({"value": value[0], "currency": value[1], "as_written": value[2]})
        paragraphs.append(
            f"The total cost amounts to {{/amounts/0/value|{value[2]}}}, which covers materials and handling."
        )
    if rng.random() < 0.4:
        held = issued + timedelta(days=rng.randint(75, 120))
        truth["events"].append({"start": f"{held.isoformat()}T10:00"})
        paragraphs.append(f"The next coordination meeting will be held on {english_date(held, form)} at 10:00.")
    if rng.random() < 0.25:
        past = issued - timedelta(days=rng.randint(20, 60))
        paragraphs.append(
            f"We note that the previous report was due on {english_date(past, form)} and has been received with thanks."
        )
    paragraphs.append(
        rng.choice(
            [
                "Should you have any questions, please do not hesitate to contact us.",
                "We look forward to hearing from you and remain at your disposal.",
            ]
        )
    )
    return paragraphs


def _close(sheet: Sheet, rng: random.Random, truth: dict[str, Any], size: float, leading: float) -> None:
    name, position = rng.choice(_SIGNERS), rng.choice(_POSITIONS)
    truth["sender"] |= {"signatory_name": name, "signatory_title": position}
    sheet.room(150)
    sheet.text(
        sheet.left,
        rng.choice(["Yours sincerely,", "Yours faithfully,", "Sincerely,", "Kind regards,", "With best regards,"]),
        size,
    )
    sheet.y += 42
    sheet.text(sheet.left, f"{{/sender/signatory_name|{name}}}", size, bold=rng.random() < 0.5)
    sheet.y += leading
    sheet.text(sheet.left, f"{{/sender/signatory_title|{position}}}", size)
    sheet.y += leading * 2
    count = rng.choice([0, 1, 2, 3])
    truth["attachments"] = []
    names = rng.sample(_ENCLOSURES, count)
    if count:
        label = rng.choice(["Enclosures:", "Encl.:", "Enc.", "Enclosure(s):"])
        inline = count == 1 and rng.random() < 0.6
        end = sheet.text(sheet.left, f"{label} ", size)
        if not inline:
            sheet.y += leading
        for i, enclosure in enumerate(names):
            entry: dict[str, Any] = {"name": enclosure}
            copies = " (2 copies)" if rng.random() < 0.15 else ""
            if copies:
                entry |= {"count": 2, "count_as_written": "2 copies"}
            number = f"{i + 1}. " if count > 1 else ""
            if number:
                entry["number"] = i + 1
            sheet.text(
                end + 2 if inline else sheet.left + 18, f"{number}{{/attachments/{i}/name|{enclosure}}}{copies}", size
            )
            sheet.y += leading
            truth["attachments"].append(entry)
        sheet.y += 6
    if rng.random() < 0.3:
        copy = rng.choice(_ORGANISATIONS)
        truth["references"] = [{"name": copy}]
        sheet.text(sheet.left, f"cc: {{/references/0/name|{copy}}}", size)
        sheet.y += leading
