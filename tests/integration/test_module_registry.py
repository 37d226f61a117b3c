"""Modules that come and change while replicas of ingress run, on real Kafka and Redis; and the `modules` commands."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from bench.modules import THREE_LINES
from cli.main import build_app
from schemas.errors import InvalidInput
from schemas.events import StageRequest, Step
from schemas.modules import ModuleSpec, Title
from schemas.topics import LLM
from streams.module_registry import ModuleRegistry
from tests.integration.ingress_harness import own_database, records, running_ingress, settings_for
from tests.waiting import WaitUntil

pytestmark = pytest.mark.kafka

# The broker may be one that was used before: each run has modules of its own.
NAME = f"three-lines-{uuid4().hex[:8]}"
FILE = THREE_LINES.format(name=NAME, version="1")


class Replicas:
    """Two ingress; only the first has the modules folder that the test writes to."""

    def __init__(
        self, folder: Path, clients: tuple[httpx.AsyncClient, ...], registry: ModuleRegistry, wait_until: WaitUntil
    ) -> None:
        self.folder, self.clients, self.registry = folder, clients, registry
        self._wait_until = wait_until

    async def until(self, version: str | None) -> list[dict[str, Any]]:
        """Wait until each replica offers this version (None: offers none); return what each says of it."""
        found: list[dict[str, Any]] = []

        async def offered() -> bool:
            found[:] = [await _listed(client) for client in self.clients]
            return all(module.get("version") == version for module in found)

        await self._wait_until(offered, 120)
        return found


@pytest_asyncio.fixture
async def replicas(kafka: str, redis_url: str, tmp_path: Path, wait_until: WaitUntil) -> AsyncIterator[Replicas]:
    folders = (tmp_path / "first", tmp_path / "second")
    database = own_database(redis_url, 13)
    for folder in folders:
        folder.mkdir()
    one, two = [settings_for(kafka, database, f / "data", GATEWAY_MODULES_DIR=str(f)) for f in folders]
    async with running_ingress(one) as first, running_ingress(two) as second:
        key = await first.key(f"team-{NAME}")
        async with first.client(key) as a, second.client(key) as b:
            await wait_until(lambda: _is(b.get("/v1/modules"), 200))
            yield Replicas(folders[0], (a, b), first.dependencies.modules, wait_until)


async def test_a_file_is_live_on_every_replica_and_so_is_its_change(
    kafka: str, replicas: Replicas, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Nothing is restarted; a job keeps the version that it was accepted with; a broken file changes nothing."""
    monkeypatch.setenv("GATEWAY_KAFKA_BOOTSTRAP", kafka)
    assert len(FILE.splitlines()) <= 15
    file = replicas.folder / "three-lines.yml"
    file.write_text(FILE)
    for module in await replicas.until("1"):
        assert module["options"]["properties"]["tone"]["enum"] == ["plain", "polite"]
        assert "text" in module["result_schema"]["properties"]

    other = replicas.clients[1]
    document = (await other.get("/docs/openapi.json")).json()
    body = document["paths"][f"/v1/{NAME}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["options"]["properties"]["tone"]["default"] == "plain"
    assert f"{NAME}-result" in document["components"]["schemas"]
    refused = await other.post(f"/v1/{NAME}", json={"text": "안녕", "options": {"tone": "rude"}})
    assert refused.status_code == 422
    assert "tone" in refused.json()["detail"]
    accepted = await other.post(f"/v1/{NAME}", json={"text": "안녕"})
    assert accepted.status_code == 202, accepted.text

    file.write_text(FILE.replace('"1"', '"2"').replace("three lines,", "two lines,"))
    await replicas.until("2")
    topic = LLM.requests["interactive"].name
    later = await other.post(f"/v1/{NAME}", json={"text": "안녕"})
    for answer, lines in ((accepted, "three lines,"), (later, "two lines,")):
        (request,) = [r async for r in records(kafka, topic, answer.json()["job_id"], StageRequest)]
        assert isinstance(request, StageRequest)
        assert lines in orjson.loads(request.step.config)["prompt"]["part"]

    file.write_text(FILE.replace('"1"', '"3"').replace("{{ text }}", "{{ text.__class__ }}"))
    another = replicas.folder / "another.yml"
    another.write_text(FILE.replace(NAME, f"{NAME}-b"))
    # Once this file was read, so was the other one.
    await wait_until(lambda: _is(other.post(f"/v1/{NAME}-b", json={"text": "안녕"}), 202))
    await replicas.until("2")

    file.unlink()
    another.unlink()
    shown = await asyncio.to_thread(_run, "show", f"{NAME}@1")
    assert "three lines," in shown
    assert f"{NAME}@1, {NAME}@2" in shown
    await asyncio.to_thread(_run, "remove", NAME)
    await asyncio.to_thread(_run, "remove", f"{NAME}-b")
    await replicas.until(None)


async def test_a_module_is_added_by_the_command(
    kafka: str, replicas: Replicas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked first; again is nothing new; `list` tells what every replica has."""
    monkeypatch.setenv("GATEWAY_KAFKA_BOOTSTRAP", kafka)
    file = tmp_path / "a.yml"
    file.write_text(FILE.replace("stages: [llm]", "stages: [llm, lmm]"))
    refused = await asyncio.to_thread(CliRunner().invoke, build_app(), ["modules", "add", str(file)])
    assert refused.exit_code == 1
    assert "a.yml:6: stages.1: no stage is called 'lmm'" in refused.output
    file.write_text(FILE)
    assert f"POST /v1/{NAME}" in await asyncio.to_thread(_run, "add", str(file))
    await replicas.until("1")
    assert "is live as it is" in await asyncio.to_thread(_run, "add", str(file))
    assert f"{NAME}@1" in await asyncio.to_thread(_run, "list")
    await asyncio.to_thread(_run, "remove", NAME)
    await replicas.until(None)
    with pytest.raises(InvalidInput, match=NAME):
        await asyncio.to_thread(_run, "show", NAME)


async def test_a_stage_that_this_gateway_does_not_know_is_unavailable(
    kafka: str, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else, who has the package, put the module on the log: the answer tells what to install."""
    monkeypatch.setenv("GATEWAY_KAFKA_BOOTSTRAP", kafka)
    said = Title("가", "a")
    steps = (Step("nobody-here", "nobody-here"),)
    await replicas.registry.add(ModuleSpec(NAME, "1", said, said, frozenset({"text"}), steps))
    for module in await replicas.until("1"):
        assert module["available"] is False
        assert "nobody-here" in module["reason"]
    for client in replicas.clients:
        refused = await client.post(f"/v1/{NAME}", json={"text": "안녕"})
        assert (refused.status_code, refused.json()["code"]) == (503, "module_unavailable")
        assert "install the package that adds nobody-here" in refused.json()["remedy"]
    await asyncio.to_thread(_run, "remove", NAME)
    await replicas.until(None)


async def _listed(client: httpx.AsyncClient) -> dict[str, Any]:
    modules = (await client.get("/v1/modules")).json()["modules"]
    return next((module for module in modules if module["name"] == NAME), {})


async def _is(asking: Awaitable[httpx.Response], status: int) -> bool:
    return (await asking).status_code == status


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), ["modules", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.output
