"""What a job is reckoned to use before anybody has opened its inputs, and which refusals waiting cannot help."""

from datetime import date
from decimal import Decimal

import pytest

from schemas.payloads import BlobRef, Payload
from schemas.prices import Price, PriceList
from schemas.quota_estimates import UNSET_COMPLETION, job_estimate
from schemas.quotas import MONTH, Ask, Estimate, Limit, exceeded

DAY = date(2026, 11, 27)


def stored(media_type: str, size: int) -> Payload:
    return Payload(media_type=media_type, blob=BlobRef("s", "0" * 64, size, media_type))


@pytest.mark.parametrize(
    ("payload", "estimate"),
    [
        (Payload(media_type="text/plain", inline=b"x" * 100), Estimate(tokens=30 + UNSET_COMPLETION)),
        (stored("image/png", 9_000_000), Estimate(pages=1)),
        (stored("application/pdf", 1), Estimate(pages=1)),
        (stored("application/pdf", 450_001), Estimate(pages=4)),
        (stored("audio/wav", 64_000), Estimate(audio_seconds=2)),
        (stored("audio/mpeg", 64_000), Estimate(audio_seconds=8)),
    ],
)
def test_a_job_is_reckoned_by_the_kinds_and_sizes_of_its_inputs(payload: Payload, estimate: Estimate) -> None:
    assert job_estimate([payload], PriceList(), DAY) == estimate
    assert job_estimate([payload, payload], PriceList(), DAY) == Estimate(*(2 * amount for amount in estimate))


def test_money_is_reckoned_at_the_highest_price_of_the_day() -> None:
    dear, cheap = Price(DAY, page=Decimal("0.5")), Price(DAY, page=Decimal("0.1"))
    prices = PriceList("KRW", {("paddle", ""): (dear,), ("tesseract", ""): (cheap,)})
    assert job_estimate([stored("image/png", 1)] * 3, prices, DAY).money_micros == 1_500_000


@pytest.mark.parametrize(("most", "never"), [(0, False), (9, True), (10, False)])
def test_only_a_request_larger_than_a_whole_limit_can_never_be_granted(most: int, never: bool) -> None:
    asked = Ask("r", "s", "k", "ocr", Estimate(pages=10))
    assert exceeded(Limit("", "pages_per_month", MONTH, "pages", most), asked, 5, 1).never is never
