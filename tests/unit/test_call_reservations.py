"""What an interactive call reserves, as its body is written: never less than the caller could have it use."""

from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingress.auth import Caller
from ingress.chat.requests import Asked, asked_now
from ingress.quota_gate import reserve_call
from processors.llm.pool.estimates import Estimates
from processors.llm.pool.models import Catalogue, PublicModel
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Task
from schemas.prices import Price, PriceList
from schemas.quotas import Ask, Estimate

HI: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
LOOK = {"type": "function", "function": {"name": "look", "description": "x" * 4_000, "parameters": {}}}
# A million tokens of an answer cost so much: millionths of it for each.
PRICES = PriceList(
    "KRW",
    {
        ("paid", "far"): (Price(date(2020, 1, 1), completion=Decimal(1_000)),),
        ("dear", "far"): (Price(date(2020, 1, 1), completion=Decimal(9_000)),),
    },
)


class Doors:
    """As much of ingress as a reservation asks for; `asked` is what was reserved."""

    def __init__(self, *models: PublicModel, allowed: frozenset[str] | None = None) -> None:
        self.asked: list[Ask] = []
        catalogue = Catalogue({}, {model.name: model for model in models or (PublicModel("m", ()),)})
        self.estimates = Estimates()
        pool = SimpleNamespace(estimates=self.estimates, catalogue=catalogue)
        self.chat = SimpleNamespace(pool=pool, allowed=lambda _: allowed)
        self.quotas = SimpleNamespace(limited=lambda *_: True, reserve=self._reserve)
        self.prices = SimpleNamespace(now=lambda: PRICES)
        self.services = SimpleNamespace(loaded=True)

    async def _reserve(self, ask: Ask) -> None:
        self.asked.append(ask)

    async def ask(self, asked: Asked) -> Estimate:
        """Reserve for a call and return what."""
        await reserve_call(cast(Any, self), asked, cast(Any, SimpleNamespace(headers={})))
        return self.asked[-1].estimate


def asking(dialect: Dialect, task: Task, **body: Any) -> Asked:
    call = checked_call(dialect, task, {"model": "m", **body})
    return asked_now(Caller("s", "k1", frozenset()), call, "m", b"", ())


async def reserved(dialect: Dialect, task: Task, **body: Any) -> int:
    """Return the tokens that a call reserves."""
    return (await Doors().ask(asking(dialect, task, **body))).tokens


@pytest.mark.parametrize(
    ("dialect", "task", "body", "least"),
    [
        # An Ollama knows num_predict alone, and the translation lets it stand before max_tokens.
        (Dialect.OLLAMA, Task.CHAT, {"messages": HI, "max_tokens": 1, "options": {"num_predict": 900_000}}, 900_000),
        (Dialect.OPENAI, Task.CHAT, {"messages": HI, "max_completion_tokens": 1, "max_tokens": 100_000}, 100_000),
        (Dialect.OPENAI, Task.CHAT, {"messages": HI, "max_tokens": 1, "max_completion_tokens": 100_000}, 100_000),
        (Dialect.OPENAI, Task.CHAT, {"messages": HI, "max_tokens": 1, "n_predict": 50_000}, 50_000),
        (Dialect.OPENAI, Task.CHAT, {"messages": HI, "max_tokens": 10, "n": 100}, 1_000),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": ["a"] * 100, "max_tokens": 50, "n": 2}, 10_000),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": [[1], [2, 3]], "max_tokens": 5_000}, 10_000),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": "a", "max_tokens": 50, "best_of": 20}, 1_000),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": list(range(7_000)), "max_tokens": 1}, 7_000),
        (Dialect.OPENAI, Task.EMBED, {"input": [list(range(100))] * 60}, 6_000),
        (Dialect.OPENAI, Task.EMBED, {"input": list(range(6_000))}, 6_000),
        (Dialect.OLLAMA, Task.COMPLETION, {"prompt": "a", "context": list(range(5_000))}, 5_000),
        (Dialect.OPENAI, Task.CHAT, {"messages": HI, "max_tokens": 1, "tools": [LOOK]}, 2_000),
        (Dialect.OLLAMA, Task.CHAT, {"messages": HI, "tools": [LOOK], "options": {"num_predict": 1}}, 2_000),
        (
            Dialect.OPENAI,
            Task.CHAT,
            {
                "messages": HI,
                "max_tokens": 1,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "object", "description": "x" * 4_000}},
                },
            },
            2_000,
        ),
        (
            Dialect.OPENAI,
            Task.CHAT,
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "x" * 4_000}}]}
                ],
                "max_tokens": 1,
            },
            2_000,
        ),
    ],
)
async def test_what_may_hold_is_reserved_and_all_that_the_model_is_given_to_read(
    dialect: Dialect, task: Task, body: dict[str, Any], least: int
) -> None:
    tokens = await reserved(dialect, task, **body)
    assert least <= tokens < 2 * least + 200


async def test_a_picture_is_reserved_as_tokens_and_not_as_its_bytes() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    words = await reserved(Dialect.OPENAI, Task.CHAT, messages=HI, max_tokens=1)
    shown = [{"role": "user", "content": [{"type": "text", "text": "hi"}, picture, picture]}]
    openai = await reserved(Dialect.OPENAI, Task.CHAT, messages=shown, max_tokens=1)
    one = [{**HI[0], "images": ["A" * 400_000] * 2}]
    ollama = await reserved(Dialect.OLLAMA, Task.CHAT, messages=one, options={"num_predict": 1})
    assert words < 100 < 2_000 < ollama <= openai < 5_000
    hidden = [{"role": "user", "content": [{**picture, "type": "text", "text": "x" * 40_000}]}]
    assert await reserved(Dialect.OPENAI, Task.CHAT, messages=hidden, max_tokens=1) > 20_000


async def test_a_short_call_reserves_little_more_than_its_limit() -> None:
    assert await reserved(Dialect.OPENAI, Task.CHAT, messages=HI, max_tokens=20) < 80


@pytest.mark.parametrize(
    ("fallbacks", "allowed", "micros"),
    [
        (("paid",), None, 100_000),
        (("paid", "dear"), None, 900_000),
        (("paid", "dear"), frozenset(("m", "paid")), 100_000),
        (("closed",), None, 0),
        ((), None, 0),
    ],
)
async def test_what_a_fallback_costs_is_reserved_where_it_may_serve(
    fallbacks: tuple[str, ...], allowed: frozenset[str] | None, micros: int
) -> None:
    """A model that costs nothing has fallbacks that cost: they serve when its server is down, all calls at once."""
    others = [PublicModel(name, ()) for name in ("paid", "dear")]
    closed = PublicModel("closed", (), services=frozenset(("t",)))
    doors = Doors(PublicModel("m", (), fallbacks), *others, closed, allowed=allowed)
    reserved = await doors.ask(asking(Dialect.OPENAI, Task.CHAT, messages=HI, max_tokens=100))
    assert reserved.money_micros == micros


async def test_a_fallback_that_makes_more_tokens_of_a_text_is_reserved() -> None:
    doors = Doors(PublicModel("m", (), ("other",)), PublicModel("other", ()))
    words = asking(Dialect.OPENAI, Task.CHAT, messages=[{"role": "user", "content": "x" * 1_000}], max_tokens=1)
    before = (await doors.ask(words)).tokens
    for _ in range(20):
        doors.estimates.learn_prompt("other", words.call, 2_000)
    assert before < 1_000 < 2_000 < (await doors.ask(words)).tokens
