"""`POST /v1/llm` as it is documented: what is pasted is accepted, and the model is asked what was written."""

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from processors.llm.stage import LlmStage
from schemas.events import StageRequest
from schemas.topics import LLM
from streams.runtime.testing import FakeContext
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.integration.chat_harness import NATIVE, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import ROOT, Ingress, own_database, records

pytestmark = pytest.mark.kafka

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_LONG = random.Random(1).randbytes(2_000_000).hex()  # what cannot be compressed to a record's bound
_LOCAL = "http://127.0.0.1:8080"


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    folder = tmp_path_factory.mktemp("llm")
    async with chat_ingress(kafka, own_database(redis_url, 9), folder, sims) as running:
        yield running


@pytest_asyncio.fixture
async def client(ingress: Ingress, sims: Sims) -> AsyncIterator[httpx.AsyncClient]:
    await sims.reset()
    async with ingress.client(await ingress.key(own_service())) as made:
        yield made


async def _answered(ingress: Ingress, kafka: str, job_id: str) -> dict[str, Any]:
    """Have the stage work on a job's request, as it is on the log, over ingress' own pool."""
    [request] = [r async for r in records(kafka, LLM.requests["interactive"].name, job_id, StageRequest)]
    assert isinstance(request, StageRequest)
    stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
    stage.use(ingress.dependencies.chat.pool)
    done = await stage.handle(request, FakeContext(blobs=ingress.dependencies.blobs))
    return orjson.loads(done.outputs[0].inline or b"")


async def test_a_body_for_a_model_server_is_a_job(
    client: httpx.AsyncClient, ingress: Ingress, sims: Sims, kafka: str
) -> None:
    await sims.native.set(keep_prompts=True)
    form = {"type": "json_schema", "json_schema": {"name": "capital", "schema": SCHEMA}}
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    asked = [*said, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "The capital of Korea?"}]
    accepted = await client.post("/v1/llm", json={"model": NATIVE, "messages": asked, "response_format": form})
    assert accepted.status_code == 202, accepted.text
    answer = await _answered(ingress, kafka, accepted.json()["job_id"])
    assert answer["json"]["city"]
    [call] = (await sims.native.counts(each=True))["calls"]
    assert call["prompt"] == "".join(f"{m['role']}{m['content']}" for m in asked)


async def test_a_prompt_is_a_job(client: httpx.AsyncClient, ingress: Ingress, sims: Sims, kafka: str) -> None:
    await sims.native.set(keep_prompts=True)
    accepted = await client.post("/v1/llm", json={"prompt": "Once upon", "max_tokens": 5})
    assert accepted.status_code == 202, accepted.text
    assert (await _answered(ingress, kafka, accepted.json()["job_id"]))["finish_reason"] == "length"
    [call] = (await sims.native.counts(each=True))["calls"]
    assert (call["prompt"], call["sent"]) == ("userOnce upon", 5)


async def test_one_idempotency_key_is_one_job_however_it_is_put(client: httpx.AsyncClient) -> None:
    named = {"Idempotency-Key": own_service()}
    bodies = [{"prompt": "x"}, {"text": "x"}, {"messages": [{"role": "user", "content": "x"}]}]
    answers = [await client.post("/v1/llm", json=body, headers=named) for body in bodies]
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["job_id"] for a in answers}) == 1


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        ({}, 422, "invalid_body", "exactly one of"),
        ({"prompt": "x", "stream": True}, 422, "unknown_field", "response_format"),
        ({"prompt": ""}, 422, "empty_text", ""),
        ({"prompt": "x", "max_tokens": 0}, 422, "invalid_option", "max_tokens"),
        ({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "x"}]}, 422, "invalid_option", ""),
        ({"prompt": "x", "schema": 5}, 422, "invalid_option", "schema"),
        (
            {"messages": [{"role": "user", "content": _LONG}, {"role": "user", "content": "x"}]},
            413,
            "record_too_large",
            "blob",
        ),
    ],
)
async def test_what_cannot_be_a_job_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str, told: str
) -> None:
    refused = await client.post("/v1/llm", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert told in refused.text


async def _pasted(line: str, ingress: Ingress, key: str) -> dict[str, Any]:
    env = {"PATH": os.environ["PATH"], "GATEWAY_URL": ingress.base_url, "GATEWAY_API_KEY": key, "KEY": key}
    run = await asyncio.create_subprocess_shell(
        line.replace(_LOCAL, ingress.base_url), env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, _ = await run.communicate()
    return orjson.loads(out)


@pytest.mark.parametrize("file", ["README.md", "README.ko.md", "docs/howto/chat.md"])
async def test_what_the_documents_show_works_as_pasted(ingress: Ingress, kafka: str, file: str) -> None:
    text = (ROOT / Path(file)).read_text().replace("\\\n", " ")
    [line] = re.findall(r"^ *(curl .*/v1/llm)$", text, re.MULTILINE)
    accepted = await _pasted(line, ingress, await ingress.key(own_service()))
    assert (await _answered(ingress, kafka, accepted["job_id"]))["text"]


async def test_what_the_api_page_shows_works_as_pasted(ingress: Ingress, kafka: str) -> None:
    async with ingress.client(None) as anyone:
        document = (await anyone.get("/docs/openapi.json")).json()
    operation = document["paths"]["/v1/llm"]["post"]
    accepted = await _pasted(operation["x-codeSamples"][0]["source"], ingress, await ingress.key(own_service()))
    assert (await _answered(ingress, kafka, accepted["job_id"]))["json"]["city"]
    body = operation["requestBody"]["content"]["application/json"]
    assert body["examples"]["messages"]["value"].keys() <= body["schema"]["properties"].keys()
    assert {"prompt", "messages", "schema", "response_format", "text", "options"} <= body["schema"]["properties"].keys()
