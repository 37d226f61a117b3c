"""How much a module takes, however it is sent as JSON."""

from typing import Any

import orjson
import pytest
from starlette.requests import Request

from ingress.problems import Problem
from ingress.submit_body import SubmitBody, read_submit_body
from schemas.events import Step
from schemas.modules import ModuleSpec, Title
from streams.modules import Module
from streams.storage.fake import FakeBlobs

SAID = Title("가", "a")
MODULE = Module(ModuleSpec("echo", "1", SAID, SAID, frozenset({"text"}), (Step("noop", "noop"),), max_input_bytes=10))
GATEWAYS_OWN = 12


async def submitted(body: dict[str, Any], blobs: FakeBlobs, module: Module = MODULE) -> SubmitBody:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(body), "more_body": False}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}, receive)
    return await read_submit_body(request, module, blobs, "hr", GATEWAYS_OWN)


async def test_a_text_counts_in_bytes() -> None:
    blobs = FakeBlobs()
    assert (await submitted({"text": "가나다a"}, blobs)).inputs[0].size == 10
    with pytest.raises(Problem) as caught:
        await submitted({"text": "가나다라"}, blobs)
    assert (caught.value.status, caught.value.code) == (413, "upload_too_large")
    assert "12 bytes, more than the 10" in caught.value.detail


async def test_blobs_count_together() -> None:
    blobs = FakeBlobs()
    one, two = [(await blobs.put_bytes("hr", "text/plain", content)).sha256 for content in (b"first ", b"second")]
    assert len((await submitted({"input": {"blob": one}}, blobs)).inputs) == 1
    with pytest.raises(Problem) as caught:
        await submitted({"input": {"blob": [one, two]}}, blobs)
    assert (caught.value.status, caught.value.code) == (413, "upload_too_large")


async def test_without_a_limit_of_its_own_the_gateways_holds() -> None:
    spec = ModuleSpec("echo", "1", SAID, SAID, frozenset({"text"}), (Step("noop", "noop"),))
    await submitted({"text": "x" * GATEWAYS_OWN}, FakeBlobs(), Module(spec))
    with pytest.raises(Problem, match="upload_too_large"):
        await submitted({"text": "x" * (GATEWAYS_OWN + 1)}, FakeBlobs(), Module(spec))


async def test_what_the_caller_set_is_told_apart_from_defaults() -> None:
    options = {"properties": {"tone": {"type": "string", "default": "plain"}, "size": {"type": "integer"}}}
    spec = ModuleSpec("echo", "1", SAID, SAID, frozenset({"text"}), (Step("noop", "noop"),), options)
    body = await submitted({"text": "x", "options": {"size": 2}}, FakeBlobs(), Module(spec))
    assert (body.options, body.given) == ({"tone": "plain", "size": 2}, {"size": 2})
