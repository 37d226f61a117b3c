"""Sums with a code or a sign: the figure is what is written, or there is none."""

import pytest

from processors.llm.gongmun.amounts import find_amounts
from processors.llm.gongmun.foreign_sums import find_foreign_sums
from tests.unit.gongmun.pages import placed


@pytest.mark.parametrize(
    ("text", "value", "currency", "written"),
    [
        ("a fee of EUR 400.", 400, "EUR", "EUR 400"),
        ("US$9,150.00 in all", 9150, "USD", "US$9,150.00"),
        ("JPY 120,000", 120000, "JPY", "JPY 120,000"),
        ("JPY 120.000", 120000, "JPY", "JPY 120.000"),
        ("EUR 1.250,00", 1250, "EUR", "EUR 1.250,00"),
        ("EUR 1.250", 1250, "EUR", "EUR 1.250"),
        ("EUR 1.234.567,8", 1234567.8, "EUR", "EUR 1.234.567,8"),
        ("EUR 12 500", 12500, "EUR", "EUR 12 500"),
        ("EUR 12 500 000,50", 12500000.5, "EUR", "EUR 12 500 000,50"),
        ("CHF 9'150.00", 9150, "CHF", "CHF 9'150.00"),
        ("EUR 12,5", 12.5, "EUR", "EUR 12,5"),
        ("EUR 12.50 each", 12.5, "EUR", "EUR 12.50"),
        ("EUR 400,- per day", 400, "EUR", "EUR 400"),
        ("USD 1.5 million", 1500000, "USD", "USD 1.5 million"),
        ("a grant of $2.75 billion", 2750000000, "USD", "$2.75 billion"),
        ("KRW 2.5 million", 2500000, "KRW", "KRW 2.5 million"),
        ("€3m", 3000000, "EUR", "€3m"),
        ("EUR 1,250 million", 1250000000, "EUR", "EUR 1,250 million"),
        ("EUR 2,5 Mio.", 2500000, "EUR", "EUR 2,5 Mio"),
        ("INR 1,25,000", 125000, "INR", "INR 1,25,000"),
        ("9.600,50 EUR", 9600.5, "EUR", "9.600,50 EUR"),
        ("1.5 million USD", 1500000, "USD", "1.5 million USD"),
        ("12 500 EUR", 12500, "EUR", "12 500 EUR"),
        ("480 euros", 480, "EUR", "480 euros"),
        ("CA$ 300", 300, "CAD", "CA$ 300"),
        ("the sum (£9,600.50)", 9600.5, "GBP", "£9,600.50"),
        ("room 114 EUR 400", 400, "EUR", "EUR 400"),
        ("EUR 400, 2025", 400, "EUR", "EUR 400"),
        ("EUR 400 2025", 400, "EUR", "EUR 400"),
    ],
)
def test_a_sum(text: str, value: float, currency: str, written: str) -> None:
    (found,) = find_foreign_sums(text)

    assert (found.value, found.currency, text[found.start : found.end]) == (value, currency, written)


@pytest.mark.parametrize(
    "text",
    [
        "EUR 1.250 million",
        "EUR 1.250.00",
        "EUR 1,2,3",
        "USD 12.5.2025",
        "KRW 250만",
        "₩2,000,000원",
        "EUR 1.5 m",
        "KRW 2.5",
        "R$100",
        "EURO 2025 cup",
        "a cad 5 model",
        "12.345,678 EUR",
        "the year 2025",
    ],
)
def test_figures_that_say_no_sum_for_sure_give_none(text: str) -> None:
    assert list(find_foreign_sums(text)) == []


def test_won_are_whole_and_a_sum_keeps_its_place() -> None:
    (amount,) = find_amounts(placed("KRW 2.5 million"))

    assert isinstance(amount.value, int)
    assert amount.written.text == "KRW 2.5 million"
    assert amount.tree()["value"].evidence()[0]["text"] == "KRW 2.5 million"
