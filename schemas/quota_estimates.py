"""What a job will probably use, judged by its inputs and its routing slip before anybody has opened them. Pure."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple, cast

from schemas.events import Step
from schemas.payloads import Payload
from schemas.prices import PriceList
from schemas.quota_costs import worst_cost
from schemas.quotas import Estimate

UNSET_COMPLETION = 1_024
"""Tokens reserved for an answer whose length nobody limits."""

ANSWER_LIMIT = "answer_limit"
"""In a step's config: how many tokens each of its answers may have, where neither its module nor its caller limits them
and a budget of tokens or money holds."""

LARGEST_ANSWER = 1_000_000
"""Tokens of an answer that a caller or a job may ask for; more is a mistake, which the step refuses."""

FORMAT_TOKENS = 40
"""Tokens of a chat format around one text."""

PAGE_TOKENS = 1_500
"""Tokens of the text of a page: a full A4 page of Korean has about as many syllables."""

SPEECH_TOKENS_A_SECOND = 6
"""Tokens of what is said in a second: five syllables, and some."""

_TOKENS_A_BYTE = 0.3
_PDF_BYTES_A_PAGE = 150_000
_AUDIO_BYTES_A_SECOND = {"audio/wav": 32_000, "audio/flac": 32_000}
_PACKED_AUDIO_BYTES_A_SECOND = 8_000

_LLM = "llm"
# All others may ask a model; which do is theirs to know.
_WITHOUT_MODEL = frozenset(("ocr", "stt"))
_EXTRACT = "gongmun.extract"
# The extractor shows head and tail of a letter only (12,000 characters and the lines' ids), beside its own question.
_EXTRACT_MOST_PROMPT = 16_000
_EXTRACT_QUESTION, _EXTRACT_ANSWER = 1_200, 2_000
# Of a text in parts each answer is a sixteenth of a model's context at most, and is read once more.
_PARTS_FROM, _PART_ANSWERS = 4_000, 16


def limited_answers(steps: Sequence[Step], options: str, most: int) -> tuple[Step, ...]:
    """Return the steps with a limit of `most` tokens on the answers that neither module nor caller has limited.

    `options` are the job's, as JSON. What is reserved for such an answer is then what it may have.
    """
    given = _object(options)
    return tuple(_limited(step, most) if _is_unlimited(step, given) else step for step in steps)


def _is_unlimited(step: Step, options: Mapping[str, Any]) -> bool:
    if step.kind != _LLM:
        return False
    config = _object(step.config)
    if "prompt" in config:
        return not (config.get("answer_tokens") or config.get("answer_ratio"))
    return not options.get("max_tokens")


def _limited(step: Step, most: int) -> Step:
    return replace(step, config=json.dumps({**_object(step.config), ANSWER_LIMIT: most}, ensure_ascii=False))


class _Asked(NamedTuple):
    """Tokens of all questions and of all answers."""

    prompt: int = 0
    completion: int = 0


def job_estimate(
    inputs: Iterable[Payload], steps: Sequence[Step], options: str, prices: PriceList, day: date
) -> Estimate:
    """Return what a job with these inputs will probably use on its way, at the highest prices of the day.

    `options` are the job's, as JSON. A module that reads images, documents or speech has a model read what was
    found there: so many tokens a page, or a second.
    """
    text = texts = pages = audio = 0
    for payload in inputs:
        kind = payload.media_type
        if kind.startswith("audio/"):
            audio += math.ceil(payload.size / _AUDIO_BYTES_A_SECOND.get(kind, _PACKED_AUDIO_BYTES_A_SECOND))
        elif kind.startswith("image/"):
            pages += 1
        elif kind.startswith(("text/", "application/json")):
            text += math.ceil(payload.size * _TOKENS_A_BYTE)
            texts += 1
        else:
            pages += max(1, math.ceil(payload.size / _PDF_BYTES_A_PAGE))
    text += pages * PAGE_TOKENS + audio * SPEECH_TOKENS_A_SECOND
    given = _object(options)
    asked = [_asked(step, text, max(1, texts), given) for step in steps if step.kind not in _WITHOUT_MODEL]
    prompt, completion = sum(a.prompt for a in asked), sum(a.completion for a in asked)
    # Pages and seconds are one engine's, tokens another's: neither price holds for both.
    cost = worst_cost(prices, day, pages=pages, audio_seconds=audio)
    cost += worst_cost(prices, day, prompt_tokens=prompt, completion_tokens=completion)
    return Estimate(tokens=prompt + completion, pages=pages, audio_seconds=audio, money_micros=cost)


def _asked(step: Step, text: int, texts: int, options: Mapping[str, Any]) -> _Asked:
    """Return what a step asks of a model about so many tokens, which are those of so many inputs."""
    if step.kind == _EXTRACT:
        if options.get("use_model", True) is False:
            return _Asked()
        return _Asked(min(text, _EXTRACT_MOST_PROMPT) + _EXTRACT_QUESTION, _EXTRACT_ANSWER)
    config = _object(step.config)
    beside = (config.get("prompt"), options.get("system"), options.get("messages"))
    around = math.ceil(sum(map(_bytes, beside)) * _TOKENS_A_BYTE)
    around += FORMAT_TOKENS * texts * (step.kind == _LLM)
    most = options.get("max_tokens") or config.get("answer_tokens") or config.get(ANSWER_LIMIT)
    ratio = config.get("answer_ratio")
    answer = min(most, LARGEST_ANSWER) if isinstance(most, int) and most > 0 else texts * UNSET_COMPLETION
    if isinstance(ratio, int | float):
        # A translation is as long as what it translates.
        return _Asked(text + around, max(math.ceil(text * ratio), answer))
    if step.kind == _LLM and options.get("schema") is not None:
        # An answer that does not fit is shown to the model, and asked for once more.
        return _Asked(2 * (text + around) + answer, 2 * answer)
    again = text // _PART_ANSWERS if text > _PARTS_FROM else 0
    return _Asked(text + around + again, answer + again)


def _bytes(value: Any) -> int:
    return 0 if value is None else len(json.dumps(value, ensure_ascii=False).encode())


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}
