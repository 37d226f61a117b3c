import pytest

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.hangul_numerals import hangul_number
from processors.llm.gongmun.numbers import find_unit_number, may_be_torn, unit_number, unit_of
from tests.unit.gongmun.pages import placed


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("농촌활력과-512", "농촌활력과-512"),
        ("농촌활력과 - 5l2", "농촌활력과-512"),
        ("농촌활력과512", "농촌활력과-512"),
        ("AI행정팀-205", "AI행정팀-205"),
        ("정보통신담당관 -1790", "정보통신담당관-1790"),
        ("1인가구지원과-77", "1인가구지원과-77"),
        ("119구급과 - 12", "119구급과-12"),
        ("4차산업혁명과12", "4차산업혁명과-12"),
        ("4·3지원과-9", "4·3지원과-9"),
        ("총무과-2025-12", "총무과-2025-12"),
        ("총무과-2025", "총무과-2025"),
    ],
)
def test_a_document_number_is_repaired_by_its_grammar(text: str, number: str) -> None:
    read = unit_number(text)

    assert read is not None
    assert read[0] == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("시행 119구급과-12 (2025. 2. 3.)", "119구급과-12"),
        ("시행 119구급과 12 (2025. 2. 3.)", "119구급과 12"),
        ("2025. 2. 3.총무과-7", "총무과-7"),
        ("관련 2.총무과-7", "총무과-7"),
        ("3층 총무과-7", "총무과-7"),
        ("2025년 3월 예산 12억원", None),
    ],
)
def test_a_number_is_found_with_the_figure_its_unit_is_called_by(text: str, number: str | None) -> None:
    match = find_unit_number(text)

    assert (match and match.group()) == number


@pytest.mark.parametrize(
    ("unit", "torn"),
    [("1행정팀", True), ("1인가구지원과", False), ("119구급과", False), ("행정팀", False), ("3농정책과", False)],
)
def test_one_figure_before_a_unit_may_be_a_torn_letter(unit: str, torn: bool) -> None:
    assert may_be_torn(unit) is torn


def test_repairs_cost_certainty() -> None:
    exact, repaired = unit_number("농촌활력과-512"), unit_number("농촌활력과512")

    assert exact is not None
    assert repaired is not None
    assert exact[1] == 1.0 > repaired[1]


@pytest.mark.parametrize("text", ["(        )", "2025. 2. 24.", "수신자 참조", ""])
def test_what_has_another_form_is_no_number(text: str) -> None:
    assert unit_number(text) is None


def test_the_unit_of_a_number() -> None:
    assert unit_of("농촌활력과-512") == "농촌활력과"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("일십일만삼천오백육십", 113560),
        ("일십이억오천만", 1_250_000_000),
        ("삼천오백만", 35_000_000),
        ("가나다", None),
        ("", None),
    ],
)
def test_hangul_words_to_digits(words: str, value: int | None) -> None:
    assert hangul_number(words) == value


@pytest.mark.parametrize(
    ("text", "value", "currency", "match"),
    [
        ("금113,560원(금일십일만삼천오백육십원)", 113560, "KRW", True),
        ("금113,560원(금일십일만삼천오백원)", 113560, "KRW", False),
        ("금1250,000,000원(금일십이억오천만원)", 1_250_000_000, "KRW", True),
        ("수수료 3만원", 30000, "KRW", None),
        ("a fee of EUR 400 is due", 400, "EUR", None),
        ("US$9,150.00", 9150, "USD", None),
        ("JPY 120,000", 120000, "JPY", None),
    ],
)
def test_an_amount_and_whether_its_words_agree(text: str, value: float, currency: str, match: bool | None) -> None:
    (amount,) = find_amounts(placed(text))

    assert (amount.value, amount.currency, amount.words_match) == (value, currency, match)


def test_won_is_a_whole_number() -> None:
    (amount,) = find_amounts(placed("금5,000원"))

    assert isinstance(amount.value, int)
