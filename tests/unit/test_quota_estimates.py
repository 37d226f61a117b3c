"""What a job is reckoned to use before anybody has opened its inputs, and which refusals waiting cannot help."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from processors.llm.gongmun_model import MOST_TOKENS
from schemas.events import Step
from schemas.payloads import BlobRef, Payload
from schemas.prices import Price, PriceList
from schemas.quota_estimates import (
    FORMAT_TOKENS,
    LARGEST_ANSWER,
    PAGE_TOKENS,
    SPEECH_TOKENS_A_SECOND,
    UNSET_COMPLETION,
    job_estimate,
    limited_answers,
)
from schemas.quotas import MONTH, Ask, Estimate, Limit, exceeded

DAY = date(2026, 11, 27)


def stored(media_type: str, size: int) -> Payload:
    return Payload(media_type=media_type, blob=BlobRef("s", "0" * 64, size, media_type))


OCR, STT, LLM, EXTRACT = (Step(kind, kind) for kind in ("ocr", "stt", "llm", "gongmun.extract"))
SUMMARY = Step("llm", "llm", json.dumps({"answer_tokens": 300}))
TRANSLATION = Step("llm", "llm", json.dumps({"answer_ratio": 1.5}))
TEXT, PNG = Payload(media_type="text/plain", inline=b"x" * 100), stored("image/png", 9_000_000)
PDF_OF_4 = stored("application/pdf", 450_001)


def reckoned(*inputs: Payload, steps: Sequence[Step] = (LLM,), prices: PriceList | None = None, **options: object):
    return job_estimate(inputs, steps, json.dumps(options), prices or PriceList(), DAY)


@pytest.mark.parametrize(
    ("payload", "step", "estimate"),
    [
        (PNG, OCR, Estimate(pages=1)),
        (stored("application/pdf", 1), OCR, Estimate(pages=1)),
        (PDF_OF_4, OCR, Estimate(pages=4)),
        (stored("audio/wav", 64_000), STT, Estimate(audio_seconds=2)),
        (stored("audio/mpeg", 64_000), STT, Estimate(audio_seconds=8)),
        (TEXT, LLM, Estimate(tokens=30 + FORMAT_TOKENS + UNSET_COMPLETION)),
    ],
)
def test_a_job_is_reckoned_by_the_kinds_and_sizes_of_its_inputs(
    payload: Payload, step: Step, estimate: Estimate
) -> None:
    assert reckoned(payload, steps=(step,)) == estimate
    assert reckoned(payload, payload, steps=(step,)) == Estimate(*(2 * amount for amount in estimate))


def test_no_more_is_reckoned_for_an_answer_than_a_step_lets_a_job_ask_for() -> None:
    assert reckoned(TEXT, max_tokens=LARGEST_ANSWER) == reckoned(TEXT, max_tokens=2**64)


def test_what_a_model_reads_of_pages_and_of_speech_is_reckoned_with_its_answer() -> None:
    assert reckoned(PNG, steps=(OCR, SUMMARY)) == Estimate(tokens=PAGE_TOKENS + FORMAT_TOKENS + 300, pages=1)
    in_parts = 4 * PAGE_TOKENS // 16
    assert reckoned(PDF_OF_4, steps=(OCR, SUMMARY)).tokens == 4 * PAGE_TOKENS + FORMAT_TOKENS + 300 + 2 * in_parts
    assert reckoned(PDF_OF_4, steps=(OCR, TRANSLATION)).tokens == 10 * PAGE_TOKENS + FORMAT_TOKENS
    heard = reckoned(stored("audio/wav", 3_200_000), steps=(STT, SUMMARY))
    assert heard == Estimate(tokens=100 * SPEECH_TOKENS_A_SECOND + FORMAT_TOKENS + 300, audio_seconds=100)


def test_every_step_that_asks_a_model_is_reckoned() -> None:
    both = reckoned(PNG, steps=(OCR, EXTRACT, SUMMARY)).tokens
    alone = reckoned(PNG, steps=(OCR, SUMMARY)).tokens
    assert both == alone + reckoned(PNG, steps=(OCR, EXTRACT)).tokens
    assert reckoned(PNG, steps=(OCR, EXTRACT)).tokens > PAGE_TOKENS + MOST_TOKENS
    assert reckoned(PNG, steps=(OCR, EXTRACT), use_model=False) == Estimate(pages=1)


def test_a_letter_of_a_hundred_pages_is_not_shown_to_a_model_whole() -> None:
    assert reckoned(*[PNG] * 100, steps=(OCR, EXTRACT)).tokens < 20_000


def test_what_is_said_before_the_text_and_the_answers_own_limit_are_reckoned() -> None:
    short, long = reckoned(TEXT, max_tokens=10), reckoned(TEXT, max_tokens=50_000)
    assert (short.tokens, long.tokens) == (40 + FORMAT_TOKENS, 50_030 + FORMAT_TOKENS)
    told = Step("llm", "llm", json.dumps({"prompt": {"system": "x" * 1_000}, "answer_tokens": 10}))
    assert reckoned(TEXT, steps=(told,)).tokens > 40 + 300
    assert reckoned(TEXT, max_tokens=10, messages=[{"role": "user", "content": "x" * 1_000}]).tokens > 40 + 300


@pytest.mark.parametrize("options", ["", "[]", "{", "null"])
def test_options_that_are_none_are_reckoned_as_if_they_were_not_there(options: str) -> None:
    assert job_estimate([TEXT], [LLM], options, PriceList(), DAY).tokens == 30 + FORMAT_TOKENS + UNSET_COMPLETION


def test_money_is_reckoned_at_the_highest_price_of_the_day_for_pages_and_for_tokens() -> None:
    dear, cheap = Price(DAY, page=Decimal("0.5")), Price(DAY, page=Decimal("0.1"))
    model = Price(DAY, prompt=Decimal(100), completion=Decimal(10_000))
    prices = PriceList("KRW", {("paddle", ""): (dear,), ("tesseract", ""): (cheap,), ("gpt", "a"): (model,)})
    assert reckoned(PNG, PNG, PNG, steps=(OCR,), prices=prices).money_micros == 1_500_000
    with_model = reckoned(PNG, PNG, PNG, steps=(OCR, SUMMARY), prices=prices).money_micros
    assert with_model == 1_500_000 + (
        (3 * PAGE_TOKENS + FORMAT_TOKENS + 4_500 // 16) * 100 + (300 + 4_500 // 16) * 10_000
    )


@pytest.mark.parametrize(("most", "never"), [(0, False), (9, True), (10, False)])
def test_only_a_request_larger_than_a_whole_limit_can_never_be_granted(most: int, never: bool) -> None:
    asked = Ask("r", "s", "k", "ocr", Estimate(pages=10))
    assert exceeded(Limit("", "pages_per_month", MONTH, "pages", most), asked, 5, 1).never is never


def test_an_answer_that_nobody_limits_may_have_what_is_reserved_for_it() -> None:
    prompted = Step("llm", "llm", json.dumps({"prompt": {"part": "{{ text }}"}}))
    limited = limited_answers((OCR, LLM, prompted), "{}", 700)
    assert [json.loads(step.config or "{}").get("answer_limit") for step in limited] == [None, 700, 700]
    assert json.loads(limited[2].config)["prompt"] == {"part": "{{ text }}"}
    assert reckoned(TEXT, steps=limited[1:2]).tokens == 30 + FORMAT_TOKENS + 700


@pytest.mark.parametrize(
    ("step", "options"), [(LLM, {"max_tokens": 5}), (SUMMARY, {}), (TRANSLATION, {}), (EXTRACT, {}), (STT, {})]
)
def test_an_answer_with_a_limit_of_its_own_keeps_it(step: Step, options: dict[str, int]) -> None:
    if step in (SUMMARY, TRANSLATION):
        step = Step("llm", "llm", json.dumps({"prompt": {}, **json.loads(step.config)}))
    assert limited_answers((step,), json.dumps(options), 700) == (step,)


def test_an_answer_that_must_fit_a_schema_is_reckoned_with_its_repair() -> None:
    assert reckoned(TEXT, max_tokens=50, schema={}).tokens == 2 * (30 + FORMAT_TOKENS + 50) + 50
