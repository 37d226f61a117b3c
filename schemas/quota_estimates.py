"""What a job will probably use, judged by its inputs before anybody has opened them. Pure."""

import math
from collections.abc import Iterable
from datetime import date

from schemas.payloads import Payload
from schemas.prices import PriceList
from schemas.quota_costs import worst_cost
from schemas.quotas import Estimate

UNSET_COMPLETION = 1_024
"""Tokens reserved for an answer whose length nobody limits."""

_TOKENS_A_BYTE = 0.3
_PDF_BYTES_A_PAGE = 150_000
_AUDIO_BYTES_A_SECOND = {"audio/wav": 32_000, "audio/flac": 32_000}
_PACKED_AUDIO_BYTES_A_SECOND = 8_000


def job_estimate(inputs: Iterable[Payload], prices: PriceList, day: date) -> Estimate:
    """Return what a job with these inputs will probably use, at the highest prices of the day."""
    tokens = pages = audio = 0
    for payload in inputs:
        kind = payload.media_type
        if kind.startswith("audio/"):
            audio += math.ceil(payload.size / _AUDIO_BYTES_A_SECOND.get(kind, _PACKED_AUDIO_BYTES_A_SECOND))
        elif kind.startswith("image/"):
            pages += 1
        elif kind.startswith(("text/", "application/json")):
            tokens += math.ceil(payload.size * _TOKENS_A_BYTE) + UNSET_COMPLETION
        else:
            pages += max(1, math.ceil(payload.size / _PDF_BYTES_A_PAGE))
    cost = worst_cost(prices, day, prompt_tokens=tokens, completion_tokens=tokens, pages=pages, audio_seconds=audio)
    return Estimate(tokens=tokens, pages=pages, audio_seconds=audio, money_micros=cost)
