"""The model routes as the documentation shows them: every example works as it stands."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from ingress.chat import routes
from tests.integration.chat_harness import NATIVE, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database

pytestmark = pytest.mark.kafka


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    folder = tmp_path_factory.mktemp("documents")
    async with chat_ingress(kafka, own_database(redis_url, 9), folder, sims) as running:
        yield running


async def _operations(ingress: Ingress) -> dict[tuple[str, str], dict[str, Any]]:
    async with ingress.client(None) as anyone:
        document = (await anyone.get("/docs/openapi.json")).json()
    return {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation.get("tags") == ["chat"]
    }


async def test_every_model_route_is_in_the_document(ingress: Ingress) -> None:
    served = {("POST", call.path) for call in routes._CALLS} | {(m, r.path) for m, r in routes._LISTINGS}
    documented = await _operations(ingress)
    assert {(m, p.replace("{model}", "")) for m, p in documented} == {(m, p.partition("{")[0]) for m, p in served}


async def test_the_page_shows_the_lines_with_its_own_address(ingress: Ingress) -> None:
    async with ingress.client(None) as anyone:
        page = await anyone.get("/docs")
    assert f'"{ingress.base_url}/v1/chat/completions"' in page.text
    assert "GATEWAY_URL" not in page.text


async def test_every_shell_line_works_as_pasted(ingress: Ingress) -> None:
    key = await ingress.key(own_service(), ("chat",))
    env = {"PATH": os.environ["PATH"], "GATEWAY_URL": ingress.base_url, "GATEWAY_API_KEY": key, "MODEL": NATIVE}

    async def pasted(source: str) -> bytes:
        # `-f` makes a refusal an exit status; it is all that is added.
        run = await asyncio.create_subprocess_shell(
            source.replace("curl -sN", "curl -sNf"), env=env, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await run.communicate()
        assert run.returncode == 0, source
        return out

    documented = await _operations(ingress)
    sources = [operation["x-codeSamples"][0]["source"] for operation in documented.values()]
    answers = dict(zip(documented, await asyncio.gather(*map(pasted, sources)), strict=True))
    assert answers["POST", "/v1/chat/completions"].endswith(b"data: [DONE]\n\n")
    assert orjson.loads(answers["POST", "/api/chat"].splitlines()[-1])["done"]
    assert len(orjson.loads(answers["POST", "/v1/embeddings"])["data"]) == 2
    assert orjson.loads(answers["GET", "/v1/models/{model}"])["id"] == NATIVE
