"""What an ingress process writes to its log: a line for each request, and nothing that a caller sent."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from socket import gethostname
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from schemas.topics import API_KEYS
from streams.api_keys import make_key
from streams.log.kafka_publisher import KafkaPublisher
from tests.builders import now_ms
from tests.integration.ingress_harness import own_database
from tests.integration.table_processes import TableProcess
from tests.services import free_port
from tests.sim.launch import start
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

TEXT = f"rcpt-{uuid4().hex}"
PROMPT = f"prompt-{uuid4().hex}"


class Requests:
    """Sends to the process, each request with an id of its own, and reads the log."""

    def __init__(self, client: httpx.AsyncClient, log: Path, wait_until: WaitUntil) -> None:
        self._client, self._log, self._wait_until = client, log, wait_until

    @property
    def log(self) -> str:
        """The whole log."""
        return self._log.read_text()

    async def line_of(self, path: str, **how: Any) -> tuple[httpx.Response, dict[str, Any]]:
        """POST, and return the answer and the log's line of it."""
        request_id = uuid4().hex
        how["headers"] = {**how.get("headers", {}), "X-Request-Id": request_id}
        answer = await self._client.post(path, **how)
        await self._wait_until(lambda: request_id in self.log and self.log.endswith("\n"))
        [line] = [line for line in map(orjson.loads, self.log.splitlines()) if line.get("request_id") == request_id]
        assert answer.headers["X-Request-Id"] == request_id
        return answer, line


@pytest_asyncio.fixture(scope="module")
async def key(kafka: str) -> str:
    record, key = make_key("discreet", ("jobs", "chat"), None, now_ms())
    async with KafkaPublisher(kafka) as publisher:
        await publisher.publish(API_KEYS, record.key_id, record)
    return key


@pytest_asyncio.fixture
async def requests(
    kafka: str, redis_url: str, key: str, tmp_path: Path, wait_until: WaitUntil
) -> AsyncIterator[Requests]:
    sim, port = await asyncio.to_thread(start, "ollama"), free_port()
    env = {"GATEWAY_HTTP_PORT": str(port), "GATEWAY_OLLAMA_URLS": sim.url, "GATEWAY_NOOP": "1"}
    process = TableProcess("ingress", kafka, own_database(redis_url, 9), tmp_path, **env)
    process.start()
    try:
        await wait_until(process.ready, 60)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": key}, timeout=30, trust_env=False
        ) as client:
            yield Requests(client, tmp_path / "process.log", wait_until)
        assert await asyncio.to_thread(process.end) == 0
    finally:
        await asyncio.to_thread(sim.stop)


async def test_each_request_has_a_line_and_no_line_has_a_key_a_text_or_a_prompt(requests: Requests, key: str) -> None:
    answer, line = await requests.line_of("/v1/noop", json={"text": TEXT})
    assert answer.status_code == 202, answer.text
    assert (line["event"], line["level"], line["process"]) == ("http.request", "info", f"ingress-{gethostname()}")
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/{module}", 202)
    assert (line["service"], line["job_id"]) == ("discreet", answer.json()["job_id"])
    assert line["duration_ms"] > 0
    assert "code" not in line

    asked = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 4}
    answer, line = await requests.line_of("/v1/chat/completions", json={"model": "tiny:latest", **asked})
    assert answer.status_code == 200, answer.text
    assert (line["route"], line["status"], line["service"]) == ("/v1/chat/completions", 200, "discreet")

    model, wrong = "tiny:latest", {"X-API-Key": f"{key[:-8]}wrongend"}
    is_json = {"Content-Type": "application/json"}
    refused: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/noop", {"content": f'{{"text": "{TEXT}', "headers": is_json}, 422),
        ("/v1/noop", {"json": {"text": TEXT, "options": {TEXT: TEXT}}}, 422),
        ("/v1/noop", {"json": {"text": TEXT}, "headers": wrong}, 401),
        ("/v1/ocr", {"files": {"file": (f"{TEXT}.pdf", TEXT.encode())}}, 415),
        (f"/v1/{TEXT}", {"json": {"text": TEXT}}, 404),
        ("/v1/audio/transcriptions", {"data": {"model": TEXT}, "headers": wrong}, 401),
        ("/v1/chat/completions", {"json": {"model": PROMPT, **asked}}, 404),
        ("/v1/chat/completions", {"json": {"model": model, "messages": PROMPT}}, 400),
    ]
    for path, how, status in refused:
        answer, line = await requests.line_of(path, **how)
        assert (answer.status_code, line["status"]) == (status, status), answer.text
        told = answer.json()  # a problem, or an error in OpenAI's shape
        assert line["code"] == told.get("error", told)["code"]

    secret = key.split("_")[2]
    for told in (TEXT, PROMPT, secret[:-8], "wrongend"):
        assert told not in requests.log
