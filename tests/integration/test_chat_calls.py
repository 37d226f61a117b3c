"""The interactive path when something is odd: callers who leave, servers that break, a log that is down."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from cli.gateway_client import GatewayClient
from schemas.payloads import BlobRef
from schemas.services import Allowance, ServiceSettings
from schemas.topics import SERVICES, all_topics
from streams.log.admin import kafka_admin
from tests.integration.chat_harness import COMPATIBLE, NATIVE, OnTheLog, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database, running_ingress, settings_for
from tests.services import own_kafka
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka
UPSTREAMS = {NATIVE: "native", COMPATIBLE: "compatible"}
MODELS = pytest.mark.parametrize("model", [NATIVE, COMPATIBLE])


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    folder = tmp_path_factory.mktemp("chat")
    async with chat_ingress(kafka, own_database(redis_url, 9), folder, sims) as running:
        yield running


@pytest_asyncio.fixture
async def service(sims: Sims) -> str:
    await sims.reset()
    return own_service()


@pytest_asyncio.fixture
async def client(ingress: Ingress, service: str) -> AsyncIterator[httpx.AsyncClient]:
    async with ingress.client(await ingress.key(service, ("chat", "jobs"))) as made:
        yield made


def chat(model: str, tokens: int = 8, text: str = "안녕", **more: Any) -> dict[str, Any]:
    """A body in OpenAI's shape."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": tokens, **more}


async def stream_parts(client: httpx.AsyncClient, body: dict[str, Any], most: int = 1_000_000) -> list[str]:
    """Stream a chat and leave after `most` events; return the events' data."""
    events: list[str] = []
    async with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
        assert answer.status_code == 200, await answer.aread()
        async for line in answer.aiter_lines():
            if line:
                events.append(line.removeprefix("data: "))
                if len(events) >= most:
                    break
    return events


@MODELS
async def test_callers_who_cut_their_streams_are_counted_exactly(
    client: httpx.AsyncClient, on_the_log: OnTheLog, service: str, sims: Sims, model: str
) -> None:
    sim = sims.of(model)
    await sim.set(token_ms=30)
    await asyncio.gather(*(stream_parts(client, chat(model, 400, str(i)), 2 + i % 5) for i in range(20)))
    counts = await sim.idle()
    assert counts["ends"] == {"disconnected": 20}
    used = await on_the_log.usage_of(service, 20)
    assert sum(e.usage.completion_tokens for e in used) == counts["tokens_sent"]
    assert {(e.outcome, e.usage.estimated) for e in used} == {("partial", True)}
    assert all(e.usage.prompt_tokens for e in used)
    assert len(on_the_log.requests_of(service)) == 20


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_a_caller_who_leaves_before_the_first_token_frees_the_upstream(
    client: httpx.AsyncClient,
    on_the_log: OnTheLog,
    service: str,
    sims: Sims,
    model: str,
    stream: bool,
    wait_until: WaitUntil,
) -> None:
    sim = sims.of(model)
    await sim.set(ttft_ms=60_000)

    async def is_open() -> bool:
        return (await sim.counts())["open"] == 1

    call = asyncio.create_task(client.post("/v1/chat/completions", json=chat(model, stream=stream)))
    await wait_until(is_open)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert (await sim.idle())["ends"] == {"disconnected": 1}
    (used,) = await on_the_log.usage_of(service)
    assert (used.outcome, used.model, used.upstream, used.waste) == ("partial", model, UPSTREAMS[model], False)
    assert (used.usage.completion_tokens, used.usage.estimated) == (0, True)
    assert used.usage.prompt_tokens > 0  # the server was at work on it


@MODELS
async def test_a_stream_that_breaks_ends_with_an_error_and_is_metered(
    client: httpx.AsyncClient, on_the_log: OnTheLog, service: str, sims: Sims, model: str
) -> None:
    await sims.of(model).set(fault="cut", fault_after=3, token_ms=20)
    events = await stream_parts(client, chat(model, 50))
    assert orjson.loads(events[-1])["error"]["code"].startswith("answer_")
    (used,) = await on_the_log.usage_of(service)
    assert (used.outcome, used.usage.completion_tokens) == ("partial", 3)


async def test_a_broken_stream_in_ollamas_protocol(client: httpx.AsyncClient, sims: Sims) -> None:
    await sims.compatible.set(fault="no_end", fault_after=3, token_ms=20)
    body = {"model": COMPATIBLE, "messages": [{"role": "user", "content": "x"}]}
    async with client.stream("POST", "/api/chat", json=body) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [orjson.loads(line) async for line in answer.aiter_lines()]
    assert "error" in lines[-1]
    assert not any(line.get("done") for line in lines)


async def test_an_upstream_that_fails_is_a_503_and_a_failed_call(
    client: httpx.AsyncClient, on_the_log: OnTheLog, service: str, sims: Sims
) -> None:
    await sims.native.set(fault="busy")
    answer = await client.post("/v1/chat/completions", json=chat(NATIVE))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "no_upstream"
    (used,) = await on_the_log.usage_of(service)
    assert (used.outcome, used.usage.completion_tokens) == ("failed", 0)


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/v1/chat/completions", b"{"),
        ("/v1/chat/completions", b"[]"),
        ("/v1/chat/completions", b""),
        ("/v1/chat/completions", b'{"model": "tiny"}'),
        ("/v1/chat/completions", b'{"model": 1, "messages": []}'),
        ("/v1/embeddings", b'{"model": "tiny", "input": 5}'),
        ("/api/chat", b'{"model": "tiny", "messages": "x"}'),
        ("/api/chat", b"\xff"),
        ("/api/show", b"[1]"),
    ],
)
async def test_malformed_bodies_are_told_in_the_callers_protocol(
    client: httpx.AsyncClient, on_the_log: OnTheLog, service: str, path: str, raw: bytes
) -> None:
    answer = await client.post(path, content=raw)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert isinstance(error, str) if path.startswith("/api") else error["type"] == "invalid_request_error"
    assert on_the_log.requests_of(service) == []


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
async def test_a_body_over_its_bound_is_refused(
    client: httpx.AsyncClient, on_the_log: OnTheLog, service: str, path: str
) -> None:
    answer = await client.post(path, json=chat(NATIVE, text="x" * (33 * 1024 * 1024)))
    assert answer.status_code == 413
    assert "33554432 bytes" in answer.text
    assert on_the_log.requests_of(service) == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/chat/completions"), ("PUT", "/v1/models"), ("GET", "/api/chat"), ("GET", "/api/show")],
)
async def test_another_method_is_refused_in_the_protocol_of_the_path(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, bool(answer.headers["allow"])) == (405, True)
    error = answer.json()["error"]
    assert isinstance(error, str) if path.startswith("/api") else error["code"] == "method_not_allowed"


async def test_what_is_set_for_a_service_holds_for_its_calls(
    client: httpx.AsyncClient, ingress: Ingress, on_the_log: OnTheLog, service: str, wait_until: WaitUntil
) -> None:
    """Only the models that are allowed to it, and no prompt on the log."""
    wanted = ServiceSettings(service, allowance=Allowance(models=(NATIVE,)), chat_content="digest")
    await ingress.dependencies.publisher.publish(SERVICES, service, wanted)
    await wait_until(lambda: ingress.dependencies.services.get(service) == wanted)
    for path in ("/v1/chat/completions", "/api/chat"):
        refused = await client.post(path, json=chat(COMPATIBLE))
        assert refused.status_code == 403
        assert NATIVE in refused.text
    assert [m["id"] for m in (await client.get("/v1/models")).json()["data"]] == [NATIVE]
    assert (await client.post("/v1/chat/completions", json=chat(NATIVE))).status_code == 200
    await on_the_log.usage_of(service)
    (request,) = on_the_log.requests_of(service)
    assert (request.content, request.messages) == (None, 1)


async def test_a_fallback_serves_no_model_that_is_not_open_to_the_service_and_to_the_key(
    kafka: str, redis_url: str, tmp_path: Path, sims: Sims, service: str, wait_until: WaitUntil
) -> None:
    """`gone` is on no server; what may serve in its place is what the key could ask for itself."""
    gone = "  gone: {upstreams: [{upstream: native, model: nowhere}], fallbacks: [gpt, tiny]}\n"
    async with chat_ingress(kafka, own_database(redis_url, 9), tmp_path, sims, gone) as ingress:
        key = await ingress.key(service, ("chat",))
        key_id = GatewayClient(ingress.base_url, key).key_id

        async def answered(allowed: tuple[str, ...] | None, to_the_key: tuple[str, ...] | None) -> str:
            keys = {key_id: Allowance(models=to_the_key)}
            wanted = ServiceSettings(service, allowance=Allowance(models=allowed), keys=keys)
            await ingress.dependencies.publisher.publish(SERVICES, service, wanted)
            await wait_until(lambda: ingress.dependencies.services.get(service) == wanted)
            answer = await client.post("/v1/chat/completions", json=chat("gone"))
            return answer.json()["model"] if answer.status_code == 200 else answer.json()["error"]["code"]

        async with ingress.client(key) as client:
            assert await answered(None, None) == "gpt"
            assert await answered(("gone", "tiny"), None) == "tiny"
            assert await answered(None, ("gone", "tiny")) == "tiny"
            assert await answered(("gone", "gpt"), ("gone", "tiny")) == "no_upstream"
            assert await answered(("gone", "gpt"), ("tiny",)) == "model_not_allowed"


async def test_unknown_fields_are_passed_on(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/chat/completions", json=chat(COMPATIBLE, from_tomorrow=1))).status_code == 200


async def test_a_large_request_is_on_the_log_by_claim_check(
    client: httpx.AsyncClient, ingress: Ingress, on_the_log: OnTheLog, service: str
) -> None:
    body = chat(NATIVE, text="긴 글 " * 20_000)
    assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
    await on_the_log.usage_of(service)
    (request,) = on_the_log.requests_of(service)
    assert request.content
    assert isinstance(request.content.blob, BlobRef)
    assert orjson.loads(await ingress.dependencies.blobs.get(request.content.blob)) == body


async def test_paths_beside_the_chat_are_as_they_were(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/noop", json={"text": "x"})).status_code == 202
    assert (await client.get("/v1/modules")).status_code == 200
    unknown = await client.post("/v1/nothing", json={"text": "x"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_module")


async def test_only_the_digest_is_on_the_log_where_that_is_set(
    kafka: str, redis_url: str, tmp_path: Path, sims: Sims, on_the_log: OnTheLog, service: str
) -> None:
    database = own_database(redis_url, 9)
    async with chat_ingress(kafka, database, tmp_path, sims, GATEWAY_CHAT_CONTENT="digest") as ingress:
        async with ingress.client(await ingress.key(service, ("chat",))) as client:
            answer = await client.post("/v1/chat/completions", json=chat(NATIVE))
            assert answer.status_code == 200
        await on_the_log.usage_of(service)
    (request,) = on_the_log.requests_of(service)
    assert request.content is None
    assert (len(request.content_sha256), request.messages) == (64, 1)
    assert request.content_bytes == len(answer.request.content)


async def test_a_model_server_that_is_down_at_start_leaves_ingress_degraded(
    kafka: str, redis_url: str, tmp_path: Path, sims: Sims, service: str
) -> None:
    urls = f"{sims.native.url},http://127.0.0.1:1"
    settings = settings_for(kafka, own_database(redis_url, 9), tmp_path, GATEWAY_OLLAMA_URLS=urls)
    async with (
        running_ingress(settings) as ingress,
        ingress.client(await ingress.key(service, ("chat",))) as client,
    ):
        ready = (await client.get("/readyz")).json()
        assert ready["dependencies"]["model_servers"] == {"ok": False, "required": False, "reason": "down: 127.0.0.1:1"}
        assert (await client.post("/v1/chat/completions", json=chat(NATIVE))).status_code == 200


async def test_without_model_servers_the_answer_says_what_to_set(kafka: str, redis_url: str, tmp_path: Path) -> None:
    settings = settings_for(kafka, own_database(redis_url, 9), tmp_path, GATEWAY_MODELS_FILE=str(tmp_path / "none.yml"))
    async with (
        running_ingress(settings) as ingress,
        ingress.client(await ingress.key(own_service(), ("chat",))) as client,
    ):
        assert (await client.get("/v1/models")).json() == {"object": "list", "data": []}
        assert (await client.get("/api/tags")).json() == {"models": []}
        for path in ("/v1/chat/completions", "/api/chat"):
            refused = await client.post(path, json=chat("any"))
            assert refused.status_code == 503
            assert "GATEWAY_OLLAMA_URLS" in refused.text
            assert refused.headers["retry-after"]


async def test_nothing_is_served_that_is_not_on_the_log(
    redis_url: str, tmp_path: Path, sims: Sims, service: str, wait_until: WaitUntil
) -> None:
    with own_kafka() as broker:
        async with kafka_admin(broker.bootstrap) as admin:
            await admin.ensure_topics(all_topics())
        async with (
            chat_ingress(broker.bootstrap, own_database(redis_url, 9), tmp_path, sims) as ingress,
            ingress.client(await ingress.key(service, ("chat",))) as client,
        ):
            publisher = ingress.dependencies.publisher
            assert (await client.post("/v1/chat/completions", json=chat(NATIVE))).status_code == 200
            broker.stop(kill=True)
            # Nobody knows yet that the log is down: the upstream is called, and closed when no ack comes.
            await sims.native.set(token_ms=50)
            late = await client.post("/v1/chat/completions", json=chat(NATIVE, 1000, stream=True))
            assert late.status_code == 503
            assert late.headers["retry-after"]
            assert "choices" not in late.text
            cut = await sims.native.idle()
            assert cut["ends"] == {"done": 1, "disconnected": 1}
            assert not publisher.healthy  # known with the first call that met it
            early = await client.post("/v1/chat/completions", json=chat(NATIVE))
            assert (early.status_code, early.json()["error"]["code"]) == (503, "log_unavailable")
            assert (await sims.native.counts())["requests"] == cut["requests"] == 2
            broker.start()
            await wait_until(lambda: publisher.healthy, 60)
            # What the refused call cost is on the ledger once the log takes it.
            async with OnTheLog(broker.bootstrap, from_start=True) as log:
                used = await log.usage_of(service, 2)
            assert sorted(e.outcome for e in used) == ["done", "failed"]
            assert sum(e.usage.completion_tokens for e in used) == cut["tokens_sent"]
