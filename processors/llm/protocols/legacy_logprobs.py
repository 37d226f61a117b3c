"""Log probabilities as `/v1/completions` has them: four lists beside each other, instead of an entry for each token.

Inside the gateway they are entries of chat's shape, which Ollama's is too:
`{"token", "logprob", "bytes", "top_logprobs": [{"token", "logprob", "bytes"}]}`.
"""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, cast

from processors.llm.protocols.values import Json


def as_lists(entries: Iterable[Json], begin: int) -> Json:
    """Return entries as lists; `begin` is how many characters of the choice's text came before the first token."""
    lists: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for entry in entries:
        token, value = str(entry.get("token") or ""), entry.get("logprob")
        lists["tokens"].append(token)
        lists["token_logprobs"].append(value)
        # The token that was chosen is always among its alternatives.
        told = {str(top.get("token")): top.get("logprob") for top in entry.get("top_logprobs") or ()}
        lists["top_logprobs"].append({**told, token: value})
        lists["text_offset"].append(begin)
        begin += len(token)
    return lists


def as_entries(logprobs: Any) -> tuple[Json, ...]:
    """Return the `logprobs` of an OpenAI-compatible server's choice, of either shape, as entries."""
    if not isinstance(logprobs, dict):
        return ()
    given = cast(Json, logprobs)
    if given.get("content"):
        return tuple(given["content"])
    tokens: list[str] = given.get("tokens") or []
    values: list[Any] = given.get("token_logprobs") or []
    tops: list[Any] = given.get("top_logprobs") or []
    told = zip_longest(tokens, values, tops)
    # The first token of an echoed prompt has no probability, and is no part of the answer either.
    return tuple({**_entry(t, v), "top_logprobs": _alternatives(top)} for t, v, top in told if v is not None)


def _alternatives(top: Mapping[str, float] | None) -> list[Json]:
    return [_entry(token, value) for token, value in (top or {}).items()]


def _entry(token: str, value: float) -> Json:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}
