"""Quotas as callers meet them, set with `gateway services …` as it is typed, while ingress runs."""

import asyncio
import io
import json
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from cli.main import build_app
from ingress.app import create_app
from schemas.codec import Codec
from schemas.errors import InvalidInput, Outage
from schemas.topics import JOB_EVENTS, SERVICES, Topic
from streams import redis_keys
from streams.log.memory import MemoryLog, MemoryTail
from streams.log.protocols import Publisher
from streams.log.schema_reader import CodecDecoder
from streams.quota.quotas import LIFE_MS
from streams.redis_client import redis_client
from streams.services import Services
from tests.integration.chat_harness import NATIVE, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

PNG = b"\x89PNG\r\n\x1a\nnot parsed here"
CALL = {"model": NATIVE, "messages": [{"role": "user", "content": "안녕"}], "max_tokens": 4, "stream": False}


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    url = own_database(redis_url, 12)
    async with chat_ingress(kafka, url, tmp_path_factory.mktemp("quotas"), sims) as running:
        redis = redis_client(url)
        # Counters are believed once they are old enough: nobody here has to wait for that.
        await redis.hset(redis_keys.QUOTA_STATE, "born", int(time.time() * 1000) - LIFE_MS - 1_000)
        await redis.hset(redis_keys.QUOTA_STATE, "seen", int(time.time() * 1000))
        await redis.aclose()
        yield running


@pytest.fixture
def service(kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GATEWAY_KAFKA_BOOTSTRAP", kafka)
    return own_service()


@pytest_asyncio.fixture
async def client(ingress: Ingress, service: str) -> AsyncIterator[httpx.AsyncClient]:
    async with ingress.client(await ingress.key(service, ("chat", "jobs"))) as made:
        yield made


async def services(*arguments: str) -> Any:
    """Run `gateway services …` and return the JSON that it prints, or its text."""
    result = await asyncio.to_thread(CliRunner().invoke, build_app(), ["services", *arguments])
    if isinstance(result.exception, InvalidInput):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) if result.stdout.lstrip().startswith(("{", "[")) else result.stdout


async def limited(ingress: Ingress, service: str, wait_until: WaitUntil, *options: str) -> None:
    """Create a service with these options, and wait until ingress knows of it."""
    await services("create", service, *options)
    await wait_until(lambda: ingress.dependencies.services.known(service))


async def submit(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/noop", json={"text": "x"})


async def transcribe(client: httpx.AsyncClient) -> httpx.Response:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(bytes(32_000))
    files = {"file": ("a.wav", sound.getvalue())}
    return await client.post("/v1/audio/transcriptions", data={"model": "whisper-1"}, files=files)


def inside(ingress: Ingress, client: httpx.AsyncClient, **changed: Any) -> httpx.AsyncClient:
    """Return a client, with the other one's key, of the same ingress with some dependencies changed."""
    transport = httpx.ASGITransport(create_app(replace(ingress.dependencies, **changed)), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=client.headers)


class BrokenPublisher:
    """Fails in a way that nobody has thought of."""

    healthy = True

    async def publish(self, *_: object) -> None:
        raise RuntimeError("a bug")


class HalfPublisher:
    """Takes the requests of stages, and not the events of jobs."""

    healthy = True

    def __init__(self, real: Publisher) -> None:
        self._real = real

    async def publish(self, topic: Topic, *more: Any) -> None:
        if topic is JOB_EVENTS:
            raise Outage("the log does not answer")
        await self._real.publish(topic, *more)


async def test_a_job_over_its_quota_is_refused_with_what_ran_out(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--requests-per-minute", "1")
    assert (await submit(client)).status_code == 202
    refused = await submit(client)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-quota-exceeded"] == "requests_per_minute"
    problem = refused.json()
    assert (problem["code"], problem["status"]) == ("quota_exceeded", 429)
    assert "1 requests a minute" in problem["detail"]


async def test_a_call_over_its_quota_is_refused_in_the_shape_of_its_protocol(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--requests-per-minute", "1")
    assert (await client.post("/v1/chat/completions", json=CALL)).status_code == 200
    openai, ollama = [await client.post(path, json=CALL) for path in ("/v1/chat/completions", "/api/chat")]
    error = openai.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "quota_exceeded")
    assert "requests a minute" in error["message"]
    assert "requests a minute" in ollama.json()["error"]
    for refused in (openai, ollama):
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-quota-exceeded"] == "requests_per_minute"


async def test_a_warning_goes_out_from_80_percent_on(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--requests-per-minute", "5")
    answers = [await submit(client) for _ in range(4)]
    answers.append(await client.post("/v1/chat/completions", json=CALL))
    told = [answer.headers.get("x-quota-warning") for answer in answers]
    assert told == [None, None, None, "requests_per_minute 80%", "requests_per_minute 100%"]


async def test_a_warning_goes_out_with_a_recording_too(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--requests-per-minute", "1")
    impatient = replace(ingress.dependencies.settings, audio_wait_seconds=0)
    async with inside(ingress, client, settings=impatient) as nobody_waits:
        answer = await transcribe(nobody_waits)
    assert answer.status_code == 504, answer.text
    assert answer.headers["x-quota-warning"] == "requests_per_minute 100%"
    assert answer.headers["location"] == f"/v1/jobs/{answer.headers['x-job-id']}"


@pytest.mark.parametrize("send", [submit, transcribe])
async def test_a_submission_that_fails_in_whatever_way_gives_its_reservation_back(
    ingress: Ingress,
    client: httpx.AsyncClient,
    service: str,
    wait_until: WaitUntil,
    send: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]],
) -> None:
    async def accepted() -> bool:
        return (await submit(client)).status_code == 202

    await limited(ingress, service, wait_until, "--concurrent-jobs", "1")
    async with inside(ingress, client, publisher=BrokenPublisher()) as broken:
        assert (await send(broken)).status_code == 500
    await wait_until(accepted)


async def test_a_request_that_is_on_the_log_keeps_its_reservation(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    """Its job is worked on, whatever its caller was told."""
    await limited(ingress, service, wait_until, "--concurrent-jobs", "1")
    async with inside(ingress, client, publisher=HalfPublisher(ingress.dependencies.publisher)) as shaky:
        assert (await submit(shaky)).status_code == 503
    await asyncio.gather(*ingress.dependencies.quotas._settling)
    refused = await submit(client)
    assert (refused.status_code, refused.headers["x-quota-exceeded"]) == (429, "concurrent_jobs")


async def test_a_key_whose_submission_was_refused_is_free_for_other_content(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    async def asked(text: str) -> int:
        answer = await client.post("/v1/noop", json={"text": text}, headers={"Idempotency-Key": "one"})
        return answer.status_code

    await limited(ingress, service, wait_until, "--requests-per-minute", "1")
    assert (await submit(client)).status_code == 202
    assert await asked("too much") == 429
    await services("set", service, "--requests-per-minute", "1000")

    async def accepted() -> bool:
        return await asked("another") == 202

    await wait_until(accepted)
    assert await asked("too much") == 409


async def test_until_the_quotas_are_read_nothing_is_granted_and_ingress_is_not_ready(
    ingress: Ingress, client: httpx.AsyncClient
) -> None:
    unread = Services(MemoryTail(MemoryLog(), SERVICES.name), CodecDecoder(Codec()), None)
    async with inside(ingress, client, services=unread) as early:
        job, call, ready = (
            await submit(early),
            await early.post("/v1/chat/completions", json=CALL),
            await early.get("/readyz"),
        )
    assert (job.status_code, job.json()["code"], job.headers["retry-after"]) == (503, "services_loading", "1")
    assert (call.status_code, call.json()["error"]["code"]) == (503, "services_loading")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert ready.json()["dependencies"]["services"]["ok"] is False
    assert (await submit(client)).status_code == 202


async def test_a_module_that_is_not_allowed_is_refused(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--modules", "ocr,stt")
    job, call = await submit(client), await client.post("/v1/chat/completions", json=CALL)
    assert (job.status_code, job.json()["code"]) == (403, "module_not_allowed")
    assert (call.status_code, call.json()["error"]["code"]) == (403, "module_not_allowed")
    assert "ocr, stt" in (await client.post("/api/chat", json=CALL)).json()["error"]


async def test_a_job_may_only_ask_for_the_models_of_its_service(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--models", "tiny")
    named = await client.post("/v1/llm", json={"text": "hello", "options": {"model": "tiny"}})
    assert named.status_code == 202, named.text
    # The default model is one that nobody opened to this service, so it has to name one.
    for options in ({"model": "big"}, {}):
        refused = await client.post("/v1/llm", json={"text": "hello", "options": options})
        assert (refused.status_code, refused.json()["code"]) == (403, "model_not_allowed")
        assert "tiny" in refused.json()["remedy"], refused.text


async def test_a_service_is_set_shown_listed_and_deleted_while_ingress_runs(
    client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    async def answers(status: int) -> bool:
        return (await submit(client)).status_code == status

    made = await services("create", service, "--requests-per-minute", "0", "--money-per-month", "12.5")
    assert made["quotas"] == {"requests_per_minute": 0, "money_per_month": 12.5}
    await wait_until(lambda: answers(429))
    with pytest.raises(InvalidInput) as refused:
        await services("create", service)
    assert refused.value.code == "service_exists"
    await services("set", service, "--requests-per-minute", "none", "--money-per-month", "none")
    await wait_until(lambda: answers(202))
    await services("set", service, "--disable")
    await wait_until(lambda: answers(403))
    assert (await services("show", service))["disabled"] is True
    assert service in {one["service"] for one in await services("list", "--json")}
    with pytest.raises(InvalidInput) as refused:
        await services("delete", service)
    assert refused.value.code == "service_has_keys"
    assert f"deleted {service} and revoked 1 keys" in await services("delete", service, "--revoke-keys")
    await wait_until(lambda: answers(401))
    with pytest.raises(InvalidInput) as refused:
        await services("show", service)
    assert refused.value.code == "service_not_found"


async def test_the_tokens_that_a_model_needs_for_a_scan_are_reserved_before_anybody_opens_it(
    ingress: Ingress, client: httpx.AsyncClient, service: str, wait_until: WaitUntil
) -> None:
    await limited(ingress, service, wait_until, "--tokens-per-minute", "2000")
    scan = {"file": ("scan.png", PNG, "image/png")}
    read = await client.post("/v1/ocr", files=scan)
    assert read.status_code == 202, read.text
    # A page of 1,500 tokens, the module's prompt and an answer of 1,000.
    refused = await client.post("/v1/summary", files=scan)
    assert (refused.status_code, refused.headers["x-quota-exceeded"]) == (429, "tokens_per_minute")
    assert "this request may need 2," in refused.json()["detail"]
