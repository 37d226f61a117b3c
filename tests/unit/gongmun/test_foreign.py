"""English letters: whose order of dates, which number is the letter's own, and who is addressed."""

import pytest

from processors.llm.gongmun.english_numbers import own_number
from processors.llm.gongmun.english_people import find_recipients
from processors.llm.gongmun.extract import extract
from tests.unit.gongmun.pages import document_of, lines_of, values

LETTER = """\
                     {head}

{date}

Ms Hana Kim
Hanbit Institute
{street}

Dear Ms Kim,

Subject: Delivery of the survey instrument

We thank you for the order of January. The price is {price}.

Please confirm the order by {due}.

Yours sincerely,

Anna Brandt
Sales Manager
{foot}
"""
HAMBURG = "Nordmark Instruments GmbH\n              7 Hafenweg, Hamburg   Tel +49 40 555 0100"
BOSTON = "Fenway Instruments Inc.\n            201 Fenway Drive, Boston, MA 02215"


def _read(**given: str) -> tuple[str | None, list[str | None]]:
    parts = {"street": "12 Sejong-daero, Seoul 04524", "price": "EUR 400", "foot": "", "head": HAMBURG} | given
    result = extract(document_of(LETTER.format(**parts)))
    return result.get("issue_date"), [action.get("due_date") for action in result.get("requested_actions", [])]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"price": "US$9,150.00"},
        {"price": "$9,150 in the United States"},
        {"street": "12 Main Street, Boston, MA 02110"},
        {"street": "12 Main Street, Boston\nUnited States"},
        {"foot": "\ncc: Fenway Labs, Boston, MA 02110"},
        {"foot": "\nEnclosures: 1. Tariffs of the United States"},
    ],
)
@pytest.mark.parametrize("sign", [".", "/", "-"])
def test_the_day_leads_unless_the_sender_is_american(given: dict[str, str], sign: str) -> None:
    assert _read(date=sign.join(("07", "02", "2025")), due=sign.join(("03", "03", "2025")), **given) == (
        "2025-02-07",
        ["2025-03-03"],
    )


@pytest.mark.parametrize(
    "given",
    [
        {"head": BOSTON},
        {"head": "Fenway Instruments Inc.\n            201 Fenway Drive, Boston, USA"},
        {"head": "Fenway Instruments Inc.\n            Tel +1 (617) 555-0100"},
        {"head": "Embassy of the United States of America, Seoul"},
        {"head": "Fenway Instruments Inc.", "foot": "\n\n201 Fenway Drive, Boston, MA 02215   Tel (617) 555-0100"},
    ],
)
def test_an_american_sender_writes_the_month_first(given: dict[str, str]) -> None:
    assert _read(date="02/07/2025", due="03/11/2025", **given) == ("2025-02-07", ["2025-03-11"])


def test_another_date_of_an_american_letter_shows_that_the_day_leads() -> None:
    assert _read(head=BOSTON, date="07/02/2025", due="28/03/2025") == ("2025-02-07", ["2025-03-28"])


def test_dates_with_points_lead_with_the_day_in_an_american_letter_too() -> None:
    assert _read(head=BOSTON, date="07.02.2025", due="03/28/2025") == ("2025-02-07", ["2025-03-28"])


@pytest.mark.parametrize(
    ("head", "number"),
    [
        ("Our ref: NF/25/301", "NF/25/301"),
        ("Our Ref.: KM 25/114", "KM 25/114"),
        ("Ref: KM 25/114", "KM 25/114"),
        ("Ref: KM/B 25/114", "KM/B 25/114"),
        ("Ref. No. LC/EXT/2025-41", "LC/EXT/2025-41"),
        ("Reference: HR-2837   7 February 2025", "HR-2837"),
        ("Ref: HR-2837 7 February 2025", "HR-2837"),
        ("Reference number: 2025/114", "2025/114"),
        ("Your ref: KR-12\nOur ref: NF/25/301", "NF/25/301"),
        ("No. BG-2025-077", "BG-2025-077"),
        ("No. 114/2025 of 7 February 2025", "114/2025"),
        ("Letter No. 114", "114"),
        ("No. 7 Harbour Road, Hamburg", ""),
        ("No. 7B Harbour Road", ""),
        ("No. 12-4, Harbour Road", ""),
        ("No. 7", ""),
        ("Your ref: KR-12", ""),
        ("Ref: your letter of 7 February 2025", ""),
        ("Reference is made to order 4471", ""),
        ("Referring to your order 4471", ""),
        ("Refund 2025", ""),
        ("Our reference laboratory", ""),
    ],
)
def test_the_letters_own_number(head: str, number: str) -> None:
    assert own_number(lines_of(head)).text == number


def test_a_number_in_the_body_is_not_the_letters_own() -> None:
    body = LETTER.replace("We thank you", "No. BG-2025-077\nRef: KM 25/114\nWe thank you")
    result = extract(
        document_of(body.format(head=HAMBURG, date="7 February 2025", street="", price="", due="", foot=""))
    )

    assert "document_number" not in result


@pytest.mark.parametrize(
    ("block", "party"),
    [
        ("Ms Hana Kim\nSilk Road Foundation", {"name": "Silk Road Foundation", "attention": "Ms Hana Kim"}),
        ("High Street Bank", {"name": "High Street Bank"}),
        ("Ministry of Road Transport\n3 Mill Lane", {"name": "Ministry of Road Transport"}),
        (
            "Mr Leo Sand\nLane Cove Council\nNo. 7 Harbour Road",
            {"name": "Lane Cove Council", "attention": "Mr Leo Sand"},
        ),
        ("Ms Hana Kim\n12 Park Road, Garam", {"name": "Ms Hana Kim"}),
        ("Ms Hana Kim\nUnion Street, Garam", {"name": "Ms Hana Kim"}),
        ("Ms Hana Kim\nPark Avenue 12", {"name": "Ms Hana Kim"}),
        ("Garam City Hall\n3rd Floor, Trade Union Hall", {"name": "Garam City Hall"}),
        ("Garam City Hall\nUniversity Road", {"name": "Garam City Hall"}),
    ],
)
def test_a_street_in_a_name_is_no_address(block: str, party: dict[str, str]) -> None:
    assert values(find_recipients(lines_of(block))) == [party]
