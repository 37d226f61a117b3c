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
from processors.llm.pool.models import Catalogue, PublicModel, Upstream
from processors.llm.protocols.answer_limits import limit_answer
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Dialect, Task
from schemas.prices import Price, PriceList
from schemas.quotas import Ask, Estimate, limits_for, unset_answer
from schemas.services import Allowance, Quotas, ServiceSettings

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
        self.unset: int | None = None
        self.sent: Asked = asking(Dialect.OPENAI, Task.CHAT, messages=HI)
        self.reply = SimpleNamespace(headers={})
        self.quotas = SimpleNamespace(
            limited=lambda *_: True, unset_answer=lambda *_: self.unset, reserve=self._reserve
        )
        self.prices = SimpleNamespace(now=lambda: PRICES)
        self.services = SimpleNamespace(loaded=True)

    async def _reserve(self, ask: Ask) -> None:
        self.asked.append(ask)

    async def ask(self, asked: Asked) -> Estimate:
        """Reserve for a call and return what."""
        self.sent, _ = await reserve_call(cast(Any, self), asked, cast(Any, self.reply))
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


@pytest.mark.parametrize(
    ("dialect", "task", "body", "told", "openai", "ollama"),
    [
        (Dialect.OPENAI, Task.CHAT, {}, "500", 500, 500),
        (Dialect.OPENAI, Task.CHAT, {"max_tokens": 7}, None, 7, 7),
        (Dialect.OPENAI, Task.CHAT, {"max_completion_tokens": 7}, None, 7, 7),
        (Dialect.OPENAI, Task.CHAT, {"options": {"num_predict": 7_000}}, "7000", 7_000, 7_000),
        (Dialect.OPENAI, Task.CHAT, {"n_predict": -1}, "500", 500, 500),
        (Dialect.OLLAMA, Task.CHAT, {}, "500", 500, 500),
        (Dialect.OLLAMA, Task.CHAT, {"options": {"num_predict": -1, "seed": 3}}, "500", 500, 500),
        (Dialect.OLLAMA, Task.CHAT, {"options": {"num_predict": 7}}, None, 7, 7),
        (Dialect.OLLAMA, Task.CHAT, {"max_tokens": 7}, "500", 7, 500),
        (Dialect.OPENAI, Task.COMPLETION, {"prompt": "a"}, "500", 500, 500),
        (Dialect.OLLAMA, Task.COMPLETION, {"prompt": "a", "raw": True}, "500", 500, 500),
    ],
)
async def test_no_server_is_asked_for_a_longer_answer_than_was_reserved(
    dialect: Dialect, task: Task, body: dict[str, Any], told: str | None, openai: int, ollama: int
) -> None:
    """Where a budget of tokens or money holds: an answer without a limit would pass it."""
    doors, given = Doors(), {"messages": HI, **body}
    doors.unset = 500
    reserved = await doors.ask(asking(dialect, task, **given))
    call = doors.sent.call
    assert doors.reply.headers.get("X-Quota-Max-Tokens") == told
    for kind, limit in ((Dialect.OPENAI, openai), (Dialect.OLLAMA, ollama)):
        sent = upstream_request(call, kind, "tiny").body
        limit_answer(sent, kind, call.task, "max_tokens", call.answer_limit)
        if kind is Dialect.OLLAMA:
            assert sent["options"]["num_predict"] == limit
            assert sent["options"].get("seed") == body.get("options", {}).get("seed")
        else:
            assert (sent.get("max_tokens") or sent["max_completion_tokens"], sent.get("n_predict")) == (limit, None)
        assert limit < reserved.tokens
    assert call.body.get("options") == body.get("options")  # the caller's own is left as it came


async def test_an_answer_has_no_limit_of_ours_where_no_budget_holds_and_vectors_never_have_one() -> None:
    doors = Doors()
    await doors.ask(asking(Dialect.OPENAI, Task.CHAT, messages=HI))
    assert (doors.sent.call.answer_limit, doors.reply.headers) == (0, {})
    doors.unset = 500
    await doors.ask(asking(Dialect.OPENAI, Task.EMBED, input="a"))
    sent = upstream_request(doors.sent.call, Dialect.OPENAI, "tiny").body
    limit_answer(sent, Dialect.OPENAI, Task.EMBED, "max_tokens", 500)
    assert doors.reply.headers == {}
    assert "max_tokens" not in sent


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://api.openai.com.example:8000/v1", "max_tokens"),
        ("http://10.0.0.5:8000/v1", "max_tokens"),
    ],
)
def test_a_limit_goes_into_the_field_that_a_server_takes(url: str, field: str) -> None:
    upstream = Upstream("far", Dialect.OPENAI, url, 1)
    sent: dict[str, Any] = {}
    limit_answer(sent, Dialect.OPENAI, Task.CHAT, upstream.limit_field, 500)
    assert sent == {field: 500}
    completion: dict[str, Any] = {}
    limit_answer(completion, Dialect.OPENAI, Task.COMPLETION, upstream.limit_field, 500)
    assert completion == {"max_tokens": 500}


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Quotas(), None),
        (Quotas(requests_per_minute=1, concurrent_jobs=1, pages_per_month=1), None),
        (Quotas(money_micros_per_month=1), 4_096),
        (Quotas(tokens_per_month=1_000_000), 4_096),
        (Quotas(tokens_per_month=1_000_000, tokens_per_minute=8_000), 2_000),
        (Quotas(tokens_per_minute=100), 256),
    ],
)
def test_an_unlimited_answer_gets_a_quarter_of_the_smallest_budget_of_tokens(limits: Quotas, most: int | None) -> None:
    assert unset_answer(limits_for(ServiceSettings("s", allowance=Allowance(quotas=limits)), "k1")) == most
