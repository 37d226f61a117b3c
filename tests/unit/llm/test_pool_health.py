"""The pool's pure pieces: what is known of upstreams, when a second one is asked, and what refusals mean."""

from typing import Any

import pytest

from processors.llm.errors import CallRefused, UpstreamBusy, UpstreamFailed
from processors.llm.pool.breaker import BreakerPolicy
from processors.llm.pool.health import Health, Seen
from processors.llm.pool.hedging import HedgePolicy, Hedging
from processors.llm.pool.models import Upstream
from processors.llm.pool.probes import probe
from processors.llm.protocols.values import Dialect
from processors.llm.refusals import refusal, seconds_to_wait

POLICY = BreakerPolicy(failures=2, cool_down_s=10, cool_down_limit_s=30)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_real_calls_decide_and_probes_only_take_out() -> None:
    clock = Clock()
    health = Health(clock, POLICY)
    fine = Seen(True, frozenset({"tiny:latest"}), frozenset())
    health.probed("up", fine)
    health.failed("up")
    health.failed("up")
    health.probed("up", fine)
    assert not health.usable("up"), "an answer to a probe proves little"
    clock.now = 10
    assert health.usable("up")
    health.began("up")
    assert not health.usable("up")
    health.succeeded("up")
    assert health.usable("up")


def test_one_lost_probe_is_a_pause_two_are_a_loss_and_a_refused_connection_is_enough() -> None:
    health = Health(Clock(), POLICY)
    assert not health.probed("up", Seen(False))
    assert health.usable("up")
    assert health.probed("up", Seen(False))
    assert not health.usable("up")
    assert not health.probed("up", Seen(False)), "it is lost only once"
    health.probed("up", Seen(True))
    assert health.usable("up")
    assert health.probed("up", Seen(False, refused=True))


def test_a_second_upstream_is_asked_when_the_first_is_much_slower_than_of_late() -> None:
    hedging = Hedging(HedgePolicy(least_s=2, factor=2, share=0.5, burst=1))
    assert hedging.delay_s("m", True) == 2
    hedging.note("m", True, 5)
    assert hedging.delay_s("m", True) == 10
    assert hedging.delay_s("m", False) == 2
    for _ in range(100):
        hedging.note("m", True, 0.1)
    assert hedging.delay_s("m", True) == 2
    assert [hedging.take(), hedging.take()] == [True, False]
    hedging.note("m", True, 0.1)
    hedging.note("m", True, 0.1)
    assert hedging.take()


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, CallRefused, "call_refused"),
        (422, CallRefused, "call_refused"),
        (501, CallRefused, "call_refused"),
        (401, UpstreamFailed, "upstream_auth"),
        (403, UpstreamFailed, "upstream_auth"),
        (404, UpstreamFailed, "upstream_lacks_model"),
        (429, UpstreamBusy, "upstream_busy"),
        (503, UpstreamBusy, "upstream_busy"),
        (302, UpstreamFailed, "upstream_failed"),
        (500, UpstreamFailed, "upstream_failed"),
    ],
)
def test_what_a_status_means(status: int, kind: type[Exception], code: str) -> None:
    error = refusal("up", status, "the prompt is: secret")
    assert (type(error), error.code) == (kind, code)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("-3", 0),
        ("inf", 600),
        ("nan", 0),
        ("soon", 0),
        ("Mon, 1 Jan 2001 00:00:00 GMT", 0),
        ("Mon, 1 Jan 9999 00:00:00 GMT", 600),
        ("Mon, 1 Jan 2024 00:00:00 +9999999999999999", 0),
    ],
)
def test_what_retry_after_says(header: str | None, seconds: float) -> None:
    assert seconds_to_wait(header) == seconds


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ([{"name": "tiny:latest"}, {"name": "gpt"}], frozenset({"tiny:latest", "gpt"})),
        ([{"name": None}, {"model": "x"}, None, 7, {"name": "gpt"}], frozenset({"gpt"})),
        (None, frozenset()),
        (7, None),
        ({"name": "tiny"}, None),
    ],
)
async def test_whatever_a_server_lists_a_probe_comes_to_its_end(models: object, names: frozenset[str] | None) -> None:
    """What is no list tells nothing; a probe that raised would be the last one, and at the start end the process."""

    class Server:
        async def get(self, *_: object) -> dict[str, object]:
            return {"models": models}

    backend: Any = Server()
    seen = await probe(backend, Upstream("up", Dialect.OLLAMA, "http://up", 1))
    assert seen == Seen(True, names, names)
