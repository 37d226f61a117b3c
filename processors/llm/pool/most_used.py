"""What a call may use at most, judged by its body before it is sent: what is reserved must not be passed. Pure.

A caller may set a limit in several fields at once, of which each server heeds another. So the highest of them counts.
"""

from collections.abc import Mapping
from typing import Any, cast

from processors.llm.protocols.answer_limits import MAX_COMPLETION_TOKENS, MAX_TOKENS, N_PREDICT
from processors.llm.protocols.values import Call, Dialect, Json, Task
from processors.llm.tokens import estimated

MEDIA_TOKENS = 1_500
"""Tokens of a picture, or of another part that is no text: servers count from 250 to a few thousand."""

_LIMITS = (MAX_TOKENS, MAX_COMPLETION_TOKENS, N_PREDICT)
# A chat format: around all messages (a system prompt of its own included), and around each. A field of JSON: `"": ,`.
_TURNS, _TURN, _FIELD = 32, 8, 3
# About the answer or the caller's bookkeeping: no model reads it.
_NOT_READ = frozenset(
    (
        "model", "stream", "stream_options", "options", "logit_bias", "metadata", "user", "stop", "keep_alive", "n",
        "best_of", "encoding_format", "modalities", "service_tier", "prompt_cache_key", "safety_identifier", *_LIMITS,
    )
)  # fmt: skip
_MEDIA = frozenset(
    ("image_url", "input_audio", "audio_url", "video_url", "input_image", "image", "audio", "video", "file")
)
_CONTENT = frozenset(("url", "data", "file_data"))


def sets_limit(call: Call) -> bool:
    """Tell whether a caller limits the answer in a field of its own protocol, which every server is told."""
    if call.dialect is Dialect.OLLAMA:
        return bool(_limit(_options(call.body).get("num_predict")))
    return any(_limit(call.body.get(name)) for name in (MAX_TOKENS, MAX_COMPLETION_TOKENS))


def answer_limit(call: Call, unset: int) -> int:
    """Return how many tokens each answer to a call may have; `unset` is for those whose caller sets no limit."""
    found = [_limit(call.body.get(name)) for name in _LIMITS]
    return max(*found, _limit(_options(call.body).get("num_predict")), 0 if sets_limit(call) else unset)


def answers(call: Call) -> int:
    """Return how many answers a call asks for; none where it wants vectors."""
    if call.task is Task.EMBED:
        return 0
    return _prompts(call) * max(_limit(call.body.get("n")), _limit(call.body.get("best_of")), 1)


def read_tokens(call: Call) -> int:
    """Return how many tokens a call gives the model to read: texts by their bytes, token numbers, tools, pictures."""
    total = _TURNS
    for name, value in call.body.items():
        if name == "messages":
            total += sum(map(_message, cast(list[Json], value or ())))
        elif name in ("prompt", "input", "system", "images", "context"):
            total += _tokens(name, value)
        elif name not in _NOT_READ and isinstance(value, str | list | dict):
            total += _tokens(name, cast(Any, value)) + _FIELD
    return total


def _message(message: Json) -> int:
    return _TURN + sum(_tokens(name, value) for name, value in message.items() if name != "role")


def _tokens(name: str, value: Any) -> int:
    if isinstance(value, str):
        return estimated(value)
    if isinstance(value, list):
        given = cast(list[Any], value)
        if name == "images":
            return MEDIA_TOKENS * len(given)
        if all(type(entry) is int for entry in given):
            return len(given)  # token numbers, a hundred thousand perhaps
        return sum(_tokens(name, entry) for entry in given)
    if isinstance(value, dict):
        fields = cast(Json, value)
        if fields.get("type") == "text" and len(fields) == 2:
            return _tokens("text", fields.get("text"))
        return sum(_media(key, inner) or estimated(key) + _FIELD + _tokens(key, inner) for key, inner in fields.items())
    return 1


def _media(name: str, value: Any) -> int:
    """Return the tokens of a picture or the like that a field holds, else 0: a field of a tool may have such a name."""
    if name not in _MEDIA:
        return 0
    if isinstance(value, list):  # the frames of a film
        return MEDIA_TOKENS * sum(isinstance(entry, str) for entry in cast(list[Any], value))
    is_one = isinstance(value, str) or (isinstance(value, dict) and not _CONTENT.isdisjoint(cast(Json, value)))
    return MEDIA_TOKENS if is_one else 0


def _prompts(call: Call) -> int:
    prompt = call.body.get("prompt")
    if call.task is Task.COMPLETION and isinstance(prompt, list):
        given = cast(list[Any], prompt)
        return max(1, sum(not isinstance(entry, int) for entry in given))  # numbers are tokens of one prompt
    return 1


def _options(body: Mapping[str, Any]) -> Json:
    options = body.get("options")
    return cast(Json, options) if isinstance(options, dict) else {}


def _limit(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
