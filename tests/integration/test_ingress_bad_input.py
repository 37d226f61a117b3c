"""What callers do wrong, each with its answer: a stable code, what was wrong and what to do."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, running_ingress, settings_for

pytestmark = pytest.mark.kafka

PDF = b"%PDF-1.7\nnot parsed here"
MIB = 1024 * 1024


@pytest_asyncio.fixture(scope="module")
async def ingress(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingress]:
    url = own_database(redis_url, 6)
    async with (
        ViewFolder(kafka, url),
        running_ingress(settings_for(kafka, url, tmp_path_factory.mktemp("i"))) as running,
    ):
        yield running


@pytest_asyncio.fixture(scope="module")
async def key(ingress: Ingress) -> str:
    return await ingress.key("team-a")


def _is_problem(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["detail"]
    assert body["remedy"]
    assert answer.headers["x-request-id"]


async def test_without_a_key(ingress: Ingress):
    """401 on every path but those for everybody."""
    async with ingress.client(None) as client:
        for method, path in [
            ("POST", "/v1/noop"),
            ("GET", "/v1/jobs"),
            ("GET", f"/v1/jobs/{'0' * 26}"),
            ("POST", "/v1/blobs"),
            ("GET", "/v1/modules"),
        ]:
            _is_problem(await client.request(method, path), 401, "missing_key")


@pytest.mark.parametrize(
    "sent", ["nonsense", "gw_000000000000_" + "0" * 40, "gw_", "x", "열쇠".encode().decode("latin-1")]
)
async def test_an_unknown_key(ingress: Ingress, sent: str):
    """Whatever it looks like; the answer does not repeat it."""
    async with ingress.client(None) as client:
        for headers in ({"Authorization": f"Bearer {sent}"}, {"X-API-Key": sent}):
            answer = await client.get("/v1/jobs", headers={k: v.encode("latin-1") for k, v in headers.items()})
            _is_problem(answer, 401, "invalid_key")
            assert len(sent) < 5 or sent not in answer.text


async def test_the_right_id_with_another_secret(ingress: Ingress, key: str):
    """Says no more than for an unknown id."""
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    async with ingress.client(wrong) as client:
        _is_problem(await client.get("/v1/jobs"), 401, "invalid_key")


async def test_a_key_in_the_other_header(ingress: Ingress, key: str):
    """X-API-Key is as good."""
    async with ingress.client(None) as client:
        assert (await client.get("/v1/modules", headers={"X-API-Key": key})).status_code == 200
        _is_problem(await client.get("/v1/modules", headers={"Authorization": f"Basic {key}"}), 401, "invalid_key")


async def test_a_revoked_key(ingress: Ingress):
    """Without a restart."""
    key = await ingress.key("team-r")
    async with ingress.client(key) as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        await ingress.revoke(key)
        _is_problem(await client.get("/v1/jobs"), 401, "key_revoked")


async def test_an_expired_key(ingress: Ingress):
    """It ended before it was used."""
    async with ingress.client(await ingress.key("team-e", expires_in_ms=-1)) as client:
        _is_problem(await client.get("/v1/jobs"), 401, "key_expired")


async def test_a_key_without_the_scope(ingress: Ingress):
    """403, naming the scope."""
    async with ingress.client(await ingress.key("team-s", ("chat", "usage"))) as client:
        answer = await client.post("/v1/noop", json={"text": "x"})
        _is_problem(answer, 403, "missing_scope")
        assert "jobs" in answer.json()["detail"]


async def test_an_unknown_module(client: httpx.AsyncClient):
    """404 with the modules there are."""
    answer = await client.post("/v1/horoscope", json={"text": "x"})
    _is_problem(answer, 404, "unknown_module")
    assert "gongmun" in answer.json()["remedy"]
    assert "noop" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"colour": 1}, "unknown_option", "colour"),
        ({"sleep_ms": -1}, "invalid_option", "sleep_ms"),
        ({"sleep_ms": "3"}, "invalid_option", "sleep_ms"),
        ({"sleep_ms": None}, "invalid_option", "sleep_ms"),
    ],
)
async def test_an_unknown_or_wrong_option(client: httpx.AsyncClient, options: dict[str, object], code: str, named: str):
    """422, naming it."""
    answer = await client.post("/v1/noop", json={"text": "x", "options": options})
    _is_problem(answer, 422, code)
    assert named in answer.json()["detail"]


async def test_an_unknown_form_field(client: httpx.AsyncClient):
    """Form fields are options."""
    answer = await client.post("/v1/ocr", files={"file": ("a.pdf", PDF)}, data={"colour": "red"})
    _is_problem(answer, 422, "unknown_option")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"text": ', "malformed_json"),
        (b"", "malformed_json"),
        (b"\xff", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"[]", "invalid_body"),
        (b"{}", "invalid_body"),
        (b'{"text": "x", "input": {"blob": "y"}}', "invalid_body"),
        (b'{"input": {}}', "invalid_body"),
        (b'{"input": {"blob": 3}}', "invalid_body"),
        (b'{"text": "x", "options": []}', "invalid_body"),
        (b'{"text": ""}', "empty_text"),
        (b'{"text": 7}', "empty_text"),
        (b'{"txt": "x"}', "unknown_field"),
    ],
)
async def test_json_that_is_wrong(client: httpx.AsyncClient, body: bytes, code: str):
    """422 with the place or the field."""
    answer = await client.post("/v1/noop", content=body, headers={"Content-Type": "application/json"})
    _is_problem(answer, 422, code)


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("letter.pdf", b"", 422, "empty_file"),
        ("letter.pdf", b"just text", 415, "not_what_it_claims"),
        ("page.png", PDF, 415, "not_what_it_claims"),
        ("letter.hwp", bytes.fromhex("d0cf11e0a1b11ae1") + bytes(99), 415, "unsupported_media_type"),
        ("program", b"\x7fELF\x00\x00", 415, "unsupported_media_type"),
    ],
)
async def test_a_file_that_is_wrong(client: httpx.AsyncClient, name: str, content: bytes, status: int, code: str):
    """Empty, not what it claims, or nothing that is read here."""
    _is_problem(await client.post("/v1/ocr", files={"file": (name, content)}), status, code)


async def test_a_document_for_a_module_that_takes_text(client: httpx.AsyncClient):
    """415, saying what it takes."""
    answer = await client.post("/v1/noop", files={"file": ("a.pdf", PDF)})
    _is_problem(answer, 415, "unsupported_media_type")
    assert "text" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("multipart/form-data", b"x", 422, "malformed_form"),
        ("multipart/form-data; boundary=b", b"x", 422, "malformed_form"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "missing_file"),
        ("application/xml", b"<x/>", 415, "unsupported_body"),
        ("", b"", 415, "unsupported_body"),
    ],
)
async def test_a_body_that_is_wrong(client: httpx.AsyncClient, content_type: str, body: bytes, status: int, code: str):
    """Forms that are none, and bodies that are neither form nor JSON."""
    headers = {"Content-Type": content_type} if content_type else {}
    _is_problem(await client.post("/v1/ocr", content=body, headers=headers), status, code)


async def test_an_upload_over_the_limit_by_its_length(client: httpx.AsyncClient):
    """413 by its Content-Length."""
    _is_problem(await client.post("/v1/ocr", files={"file": ("a.pdf", PDF + bytes(3 * MIB))}), 413, "upload_too_large")


@pytest.mark.parametrize("path", ["/v1/ocr", "/v1/blobs"])
async def test_an_upload_over_the_limit_is_not_read_to_its_end(ingress: Ingress, key: str, path: str):
    """Chunked, without a length: the answer comes while the body is still being sent."""
    port = int(ingress.base_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF
    writer.write(head.encode() + b"%x\r\n%b\r\n" % (len(part), part))
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    answer = asyncio.create_task(reader.readuntil(b"\r\n"))
    sent = 0
    with_limit = 20 * MIB
    while not answer.done() and sent < with_limit:
        writer.write(chunk)
        sent += 0x10000
        try:
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0)
    assert b" 413 " in await answer
    assert sent < with_limit
    writer.close()
    stored = list(ingress.dependencies.settings.data_dir.rglob("_uploads/*"))
    assert stored == []


@pytest.mark.parametrize("key_text", ["", "x" * 256])
async def test_an_idempotency_key_that_is_none(client: httpx.AsyncClient, key_text: str):
    """Empty or endless."""
    answer = await client.post("/v1/noop", json={"text": "x"}, headers={"Idempotency-Key": key_text})
    _is_problem(answer, 422, "invalid_idempotency_key")


async def test_blobs_are_the_services_own(client: httpx.AsyncClient, ingress: Ingress):
    """Uploaded once, used by id; another service's is a 404."""
    for answer in (
        await client.post("/v1/blobs", files={"file": ("a.pdf", PDF)}),
        await client.post("/v1/blobs", content=PDF, headers={"Content-Type": "application/pdf"}),
    ):
        assert answer.status_code == 201
        blob = answer.json()
        assert (blob["size"], blob["media_type"]) == (len(PDF), "application/pdf")
        assert blob["blob"] == blob["sha256"]
    body = {"input": {"blob": blob["blob"]}}
    assert (await client.post("/v1/ocr", json=body)).status_code == 202
    async with ingress.client(await ingress.key("team-b")) as other:
        _is_problem(await other.post("/v1/ocr", json=body), 404, "blob_not_found")
    _is_problem(await client.post("/v1/blobs", content=b""), 422, "empty_file")


async def test_paths_and_methods_that_are_none(client: httpx.AsyncClient):
    """In the same form as every error."""
    _is_problem(await client.get("/nowhere"), 404, "no_such_path")
    _is_problem(await client.put("/v1/jobs"), 405, "method_not_allowed")
    _is_problem(await client.get("/v1/jobs/not-an-id"), 404, "job_not_found")


async def test_a_given_request_id_is_kept(client: httpx.AsyncClient):
    """Unless it is something that should not be in a log."""
    assert (await client.get("/healthz", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    odd = (await client.get("/healthz", headers={"X-Request-Id": "a b{}"})).headers["x-request-id"]
    assert odd != "a b{}"
