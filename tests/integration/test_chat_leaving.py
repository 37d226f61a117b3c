"""Callers who leave, or stop reading, and what is asked twice: how soon servers are free, and what the ledger has."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from ingress.chat import calls
from schemas.usage_ledger import charged, fold_usage
from tests.integration.chat_harness import COMPATIBLE, NATIVE, OnTheLog, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database
from tests.integration.test_chat_calls import MODELS, WaitUntil, chat, stream_parts

pytestmark = pytest.mark.kafka
_TWICE = """\
  twice:
    upstreams: [{upstream: native, model: "tiny:latest"}, {upstream: compatible, model: "tiny:latest"}]
"""


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    folder: Path = tmp_path_factory.mktemp("chat")
    async with chat_ingress(kafka, own_database(redis_url, 9), folder, sims, _TWICE) as running:
        yield running


@pytest_asyncio.fixture
async def service(sims: Sims) -> str:
    await sims.reset()
    return own_service()


@MODELS
@pytest.mark.parametrize("after", [0, 3])
async def test_a_server_sees_at_once_that_the_caller_has_left(
    ingress: Ingress, service: str, sims: Sims, wait_until: WaitUntil, model: str, after: int
) -> None:
    """By the server's own clock. The bound is for a busy machine; `bench chat --part cuts` tells the figures."""
    sim = sims.of(model)
    await sim.set(token_ms=20, ttft_ms=0 if after else 60_000)

    async def is_open() -> bool:
        return (await sim.counts())["open"] == 1

    async with ingress.client(await ingress.key(service, ("chat",))) as client:
        call = asyncio.create_task(stream_parts(client, chat(model, 3000), after or 1))
        if not after:
            await wait_until(is_open)
            call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        left_at = time.monotonic()
        await sim.idle()
        (seen,) = (await sim.counts(each=True))["calls"]
    assert seen["end"] == "disconnected"
    assert seen["ended_at"] - left_at < 1


async def test_a_caller_who_stops_reading_frees_the_server(
    ingress: Ingress, on_the_log: OnTheLog, service: str, sims: Sims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_READS_S", 0.5)
    await sims.native.set(tokens=200_000)  # more than all buffers on the way hold
    key = await ingress.key(service, ("chat",))
    body = orjson.dumps({"model": NATIVE, "messages": [{"role": "user", "content": "x"}], "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    host, _, port = ingress.base_url.removeprefix("http://").partition(":")
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(caller, (host, int(port)))
        await loop.sock_sendall(caller, head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        (used,) = await on_the_log.usage_of(service)
        counts = await sims.native.idle()
    assert counts["ends"] == {"disconnected": 1}
    assert (used.outcome, used.usage.estimated) == ("partial", True)
    # At this pace there are megabytes on the way, and not all of them are waited for.
    assert 0 < used.usage.completion_tokens <= counts["tokens_sent"]


async def test_a_call_that_was_sent_twice_is_charged_once_and_the_rest_is_waste(
    ingress: Ingress, on_the_log: OnTheLog, service: str, sims: Sims
) -> None:
    await sims.native.set(fault="hang")
    async with ingress.client(await ingress.key(service, ("chat",))) as client:
        bodies = [chat("twice", 8, str(number), stream=number > 0) for number in range(2)]
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200, 200]
    hung, served = await sims.native.idle(), await sims.compatible.idle()
    assert (hung["requests"], served["ends"]) == (1, {"done": 2})
    events = await on_the_log.usage_of(service, 3)
    (waste,) = [event for event in events if event.waste]
    assert (waste.upstream, waste.model, waste.attempt, waste.final) == ("native", "twice", 2, False)
    assert waste.usage.estimated
    assert waste.usage.prompt_tokens > 0
    for request_id in {event.request_id for event in events}:
        entry = None
        for offset, event in enumerate(e for e in events if e.request_id == request_id):
            entry = fold_usage(entry, event, offset)
        assert entry
        (record,) = charged(entry)
        assert (record.event.upstream, record.event.outcome) == ("compatible", "done")
        assert record.event.usage.completion_tokens == 8


async def test_a_call_that_one_of_two_servers_refuses_is_charged_nothing(
    ingress: Ingress, on_the_log: OnTheLog, service: str, sims: Sims
) -> None:
    """Each refuses it after 6 s; the second, which is asked after 2 s, is broken off by the word of the first."""
    async with ingress.client(await ingress.key(own_service(), ("chat",))) as client:
        for model in (NATIVE, COMPATIBLE):  # by which both have slots
            assert (await client.post("/v1/chat/completions", json=chat(model))).status_code == 200
    await sims.reset()
    await asyncio.gather(*(sim.set(fault="bad_request", ttft_ms=6_000) for sim in (sims.native, sims.compatible)))
    async with ingress.client(await ingress.key(service, ("chat",))) as client:
        answer = await client.post("/v1/chat/completions", json=chat("twice", stream=False))
    assert answer.status_code == 400
    ended, waste = sorted(await on_the_log.usage_of(service, 2), key=lambda event: event.waste)
    assert (ended.final, ended.outcome, ended.upstream, ended.usage.prompt_tokens) == (True, "failed", "", 0)
    assert (waste.waste, waste.final, waste.outcome) == (True, False, "cancelled")
    assert waste.usage.prompt_tokens > 0
    ends = [(await sim.idle())["ends"] for sim in (sims.native, sims.compatible)]
    assert sorted(ends, key=str) == [{"bad_request": 1}, {"disconnected": 1}]


async def test_a_call_that_nobody_could_serve_is_charged_nothing(
    ingress: Ingress, on_the_log: OnTheLog, service: str, sims: Sims
) -> None:
    await sims.compatible.set(fault="not_json")
    async with ingress.client(await ingress.key(service, ("chat",))) as client:
        answer = await client.post("/v1/chat/completions", json=chat(COMPATIBLE, stream=False))
    assert answer.status_code == 503
    events = await on_the_log.usage_of(service, 2)
    ended = [event for event in events if event.final]
    assert [(e.outcome, e.upstream, e.usage.prompt_tokens) for e in ended] == [("failed", "", 0)]
    wasted = [event for event in events if not event.final]
    assert {(e.waste, e.upstream, e.usage.prompt_tokens > 0) for e in wasted} == {(True, "compatible", True)}
