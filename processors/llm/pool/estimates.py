"""Estimates of what upstreams did not count: a prompt's tokens, and those of an answer that was cut. No I/O.

Calls that the upstream has counted teach the ratios; nothing of their text is kept.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from processors.llm.pool.most_used import read_tokens
from processors.llm.protocols.values import Call, Task
from processors.llm.tokens import estimated

_MEMORY = 0.99  # what each call leaves of the weight of those before
_TOKENS_A_CHARACTER = 0.3  # until a model's own ratio is known
_FIRST_CHARACTERS = 200.0
_LEAST_CHARACTERS = 100
_MOST_A_CHARACTER = 3  # a syllable in bytes, each a token: no tokenizer needs more
_FIRST_EVENTS = 8.0
_MARGIN = 1.25  # of a prompt over its model's mean
_LONGEST_TOKEN = 12  # characters an event, on average: more than that is more than one token in any language


class _Ratio:
    def __init__(self, first: float, weight: float) -> None:
        self._of = weight
        self._amount = weight * first

    @property
    def value(self) -> float:
        return self._amount / self._of

    def learn(self, amount: float, of: float) -> None:
        self._amount = self._amount * _MEMORY + amount
        self._of = self._of * _MEMORY + of


class Estimates:
    """Running ratios: tokens to characters by public model, tokens to events by upstream and its model."""

    def __init__(self) -> None:
        self._by_model: dict[str, _Ratio] = {}
        self._by_server: dict[tuple[str, str], _Ratio] = {}

    def learn_prompt(self, model: str, call: Call, tokens: int) -> None:
        """Take in a prompt that the upstream has counted.

        The ratio holds for all services, so only texts teach it: of what stands beside them, or of a chat format
        around a few words, characters say nothing.
        """
        length = characters(call)
        if length < _LEAST_CHARACTERS or not _only_text(call):
            return
        if model not in self._by_model:
            self._by_model[model] = _Ratio(_TOKENS_A_CHARACTER, _FIRST_CHARACTERS)
        self._by_model[model].learn(min(tokens, length * _MOST_A_CHARACTER), length)

    def learn_stream(self, server: tuple[str, str], events: int, tokens: int) -> None:
        """Take in a stream that came to its end: its events with text, and its tokens by the upstream's count."""
        if server not in self._by_server:
            self._by_server[server] = _Ratio(1.0, _FIRST_EVENTS)
        self._by_server[server].learn(tokens, events)

    def prompt_tokens(self, model: str, call: Call) -> int:
        """Return how many tokens the prompt of a call probably has; 0 where there is no text in it."""
        length = characters(call)
        return max(1, round(length * self._a_character(model))) if length else 0

    def most_prompt_tokens(self, model: str, call: Call) -> int:
        """Return how many tokens the prompt of a call has at most, roughly: what is reserved must not be passed.

        What its bytes show (see `most_used`), or more where the model's ratio, with a margin, says that of its text.
        """
        known = math.ceil(self.prompt_tokens(model, call) * _MARGIN)
        return read_tokens(call) + max(0, known - sum(map(estimated, _texts(call))))

    def completion_tokens(self, model: str, server: tuple[str, str], events: int, length: int) -> int:
        """Return how many tokens stood in so many events with so many characters.

        One each, or as many as the server is known for; by the characters where the events are too long for that,
        as a whole answer is, or what a server sends that was not heard yet and puts several tokens into an event.
        """
        ratio = self._by_server.get(server)
        tokens = events if ratio is None else round(events * max(1.0, ratio.value))
        return tokens if length <= _LONGEST_TOKEN * tokens else max(tokens, round(length * self._a_character(model)))

    def _a_character(self, model: str) -> float:
        ratio = self._by_model.get(model)
        return ratio.value if ratio is not None else _TOKENS_A_CHARACTER


def characters(call: Call) -> int:
    """Return how many characters of text a call gives the model to read; images do not count."""
    return sum(map(len, _texts(call)))


_BESIDE_TEXT = ("tools", "functions", "response_format", "format", "images", "context", "suffix", "documents")
_OF_TEXT = frozenset(("role", "content", "name"))


def _only_text(call: Call) -> bool:
    body = call.body
    if any(body.get(name) for name in _BESIDE_TEXT):
        return False
    match call.task:
        case Task.CHAT:
            messages = cast(list[Mapping[str, Any]], body.get("messages") or [])
            return all(message.keys() <= _OF_TEXT and _is_text(message.get("content")) for message in messages)
        case Task.COMPLETION:
            return _is_text(body.get("prompt"))
        case Task.EMBED:
            return _is_text(body.get("input"))


def _is_text(content: Any) -> bool:
    if isinstance(content, list):
        return all(
            isinstance(part, str) or (isinstance(part, dict) and cast(Mapping[str, Any], part).get("type") == "text")
            for part in cast(list[Any], content)
        )
    return isinstance(content, str)


def _texts(call: Call) -> Iterator[str]:
    body = call.body
    match call.task:
        case Task.CHAT:
            for message in cast(list[Mapping[str, Any]], body.get("messages") or []):
                yield from _of(message.get("content"))
        case Task.COMPLETION:
            yield from _of(body.get("prompt"))
            yield from _of(body.get("system"))
        case Task.EMBED:
            yield from _of(body.get("input"))


def _of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in cast(list[Any], content):
            yield from _of(cast(Mapping[str, Any], part).get("text") if isinstance(part, dict) else part)
