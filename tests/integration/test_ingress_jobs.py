"""Ingress over HTTP: submit, look, wait, follow, list, cancel, on real Kafka and Redis."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from ingress.routes.jobs import KEEP_ALIVE_S, MAX_WAIT_S
from schemas.events import JobControl, JobEvent, JobEventKind, JobResult, StageRequest
from schemas.ids import event_id
from schemas.payloads import BlobRef, json_payload
from schemas.topics import GONGMUN_EXTRACT, JOB_CONTROL, JOB_EVENTS, NOOP, OCR, RESULTS
from tests.integration.ingress_harness import (
    Ingress,
    ViewFolder,
    own_database,
    records,
    running_ingress,
    settings_for,
)

pytestmark = pytest.mark.kafka

# The broker may be one that was used before: each run has services of its own.
SERVICE = f"team-{uuid4().hex[:8]}"
PDF = b"%PDF-1.7\nnot parsed here"
PNG = b"\x89PNG\r\n\x1a\nnot parsed here"


@pytest_asyncio.fixture(scope="module")
async def folder(kafka: str, redis_url: str) -> AsyncIterator[ViewFolder]:
    async with ViewFolder(kafka, own_database(redis_url, 5)) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, folder: ViewFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    settings = settings_for(kafka, own_database(redis_url, 5), tmp_path_factory.mktemp("ingress"))
    async with running_ingress(settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module")
async def key(ingress: Ingress) -> str:
    return await ingress.key(SERVICE)


async def _submit(client: httpx.AsyncClient, text: str = "안녕", **headers: str) -> httpx.Response:
    return await client.post("/v1/noop", json={"text": text}, headers=headers)


async def _finish(ingress: Ingress, job_id: str, raw: bytes, **more: object) -> None:
    """Write what a processor writes at a job's end."""
    found = await ingress.dependencies.notifications.wait_for_change(job_id, None, 10)
    result = JobResult(
        event_id=event_id(job_id, 0, "result"),
        job=found.job,
        status="done",
        steps=found.steps,
        result=json_payload(raw),
        finished_at_ms=int(time.time() * 1000),
        **more,
    )
    await ingress.dependencies.publisher.publish(RESULTS, job_id, result)


async def test_a_202_means_that_the_request_is_on_the_log(kafka: str, client: httpx.AsyncClient):
    """Request and `accepted` are on their topics, under the job's id; the answer says where to look."""
    answer = await client.post("/v1/noop", json={"text": "안녕", "options": {"sleep_ms": 3}})
    body = answer.json()
    assert answer.status_code == 202
    assert body["status"] == "queued"
    assert answer.headers["location"] == body["links"]["self"] == f"/v1/jobs/{body['job_id']}"
    assert answer.headers["x-request-id"]
    requests = [r async for r in records(kafka, NOOP.requests["interactive"].name, body["job_id"], StageRequest)]
    events = [r async for r in records(kafka, JOB_EVENTS.name, body["job_id"], JobEvent)]
    assert len(requests) == len(events) == 1
    assert requests[0].job == events[0].job
    assert requests[0].options == '{"sleep_ms":3}'
    assert requests[0].inputs[0].inline == "안녕".encode()
    assert events[0].kind == JobEventKind.ACCEPTED


async def test_files_become_blobs_in_their_order(kafka: str, client: httpx.AsyncClient, ingress: Ingress):
    """The request holds references; names and types are those of the files."""
    files = [("file", ("1쪽.png", PNG + b"1")), ("file", ("2쪽.pdf", PDF))]
    answer = await client.post("/v1/gongmun", files=files, data={"own_organisation": "너른군"})
    assert answer.status_code == 202, answer.text
    topic = OCR.requests["interactive"].name
    (request,) = [r async for r in records(kafka, topic, answer.json()["job_id"], StageRequest)]
    assert [(p.name, p.media_type) for p in request.inputs] == [
        ("1쪽.png", "image/png"),
        ("2쪽.pdf", "application/pdf"),
    ]
    assert [await ingress.dependencies.blobs.get(p.blob) for p in request.inputs] == [PNG + b"1", PDF]
    assert [step.kind for step in request.steps] == ["ocr", GONGMUN_EXTRACT.kind]
    assert orjson.loads(request.options) == {"own_organisation": "너른군", "use_model": True}


async def test_a_job_is_there_after_its_202(client: httpx.AsyncClient):
    """Asked at once, many times: never a 404."""
    for _ in range(10):
        job_id = (await _submit(client)).json()["job_id"]
        answer = await client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "queued"


async def test_wait_answers_when_the_job_ends(client: httpx.AsyncClient, ingress: Ingress):
    """With the result embedded."""
    job_id = (await _submit(client)).json()["job_id"]
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 30}))
    await _finish(ingress, job_id, b'{"text":"\xec\x95\x88\xeb\x85\x95"}')
    job = (await waiting).json()
    assert (job["status"], job["result"], job["module"]) == ("done", {"text": "안녕"}, "noop")
    assert job["links"]["events"] == f"/v1/jobs/{job_id}/events"


async def test_wait_answers_when_its_time_is_over(client: httpx.AsyncClient):
    """With the job as it is."""
    job_id = (await _submit(client)).json()["job_id"]
    answer = await client.get(f"/v1/jobs/{job_id}", params={"wait": 1})
    assert answer.json()["status"] == "queued"


async def test_a_large_result_is_read_from_its_blob(client: httpx.AsyncClient, ingress: Ingress):
    """The caller sees no difference."""
    job_id = (await _submit(client)).json()["job_id"]
    raw = orjson.dumps({"text": "가" * 10_000})
    found = await ingress.dependencies.notifications.wait_for_change(job_id, None, 10)
    ref = await ingress.dependencies.blobs.put_bytes(SERVICE, "application/json", raw)
    payload = json_payload(b"").__class__("application/json", blob=ref)
    result = JobResult(event_id(job_id, 0, "result"), found.job, "done", found.steps, result=payload)
    await ingress.dependencies.publisher.publish(RESULTS, job_id, result)
    answer = await client.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    assert answer.json()["result"] == orjson.loads(raw)


async def test_events_end_with_the_final_state(client: httpx.AsyncClient, ingress: Ingress):
    """One event a change; the stream ends by itself and frees its waiter."""
    job_id = (await _submit(client)).json()["job_id"]
    seen: list[str] = []
    async with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                seen.append(orjson.loads(line[6:])["status"])
                if len(seen) == 1:
                    await _finish(ingress, job_id, b"{}")
    assert seen == ["queued", "done"]


async def test_a_caller_who_goes_away_frees_the_stream(client: httpx.AsyncClient, ingress: Ingress, wait_until):
    """No waiter stays behind, and the next sign of life is not waited for to find that out."""
    job_id = (await _submit(client)).json()["job_id"]
    async with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        await anext(answer.aiter_lines())
        await wait_until(lambda: ingress.dependencies.notifications.waiting == 1)
    await wait_until(lambda: ingress.dependencies.notifications.waiting == 0, KEEP_ALIVE_S / 2)


async def test_a_caller_who_waits_and_goes_away_leaves_no_waiter(
    client: httpx.AsyncClient, ingress: Ingress, folder: ViewFolder, wait_until
):
    folder.running.clear()
    try:
        job_id = (await _submit(client)).json()["job_id"]
        asking = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": MAX_WAIT_S}))
        await wait_until(lambda: ingress.dependencies.notifications.waiting == 1)
        asking.cancel()
        await wait_until(lambda: ingress.dependencies.notifications.waiting == 0, MAX_WAIT_S / 4)
    finally:
        folder.running.set()


async def test_the_same_key_and_content_are_one_job(kafka: str, client: httpx.AsyncClient):
    """The second answer links to the first job, and nothing more is on the log."""
    first = await _submit(client, **{"Idempotency-Key": "same"})
    await client.get(f"/v1/jobs/{first.json()['job_id']}")
    again = await _submit(client, **{"Idempotency-Key": "same"})
    assert again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    events = [r async for r in records(kafka, JOB_EVENTS.name, first.json()["job_id"], JobEvent)]
    assert len(events) == 1


async def test_the_same_key_with_other_content_is_a_409(client: httpx.AsyncClient):
    """It names the job that the key made."""
    first = (await _submit(client, "하나", **{"Idempotency-Key": "other"})).json()
    await client.get(f"/v1/jobs/{first['job_id']}")
    again = await _submit(client, "둘", **{"Idempotency-Key": "other"})
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_key_reused")
    assert first["job_id"] in again.json()["detail"]


@pytest.mark.parametrize("behind", [False, True])
async def test_one_key_with_other_content_at_the_same_time_is_one_job(
    kafka: str, client: httpx.AsyncClient, folder: ViewFolder, behind: bool
):
    """Also while the views are behind: one is accepted and worked on, the others are 409 and leave nothing."""
    key = {"Idempotency-Key": uuid4().hex}
    if behind:
        folder.running.clear()
    try:
        answers = await asyncio.gather(*(_submit(client, f"text {n}", **key) for n in range(20)))
        assert sorted(answer.status_code for answer in answers) == [202] + 19 * [409]
        first = next(answer for answer in answers if answer.status_code == 202)
        late = await _submit(client, "another", **key)
        assert (late.status_code, late.json()["code"]) == (409, "idempotency_key_reused")
        job_id = first.json()["job_id"]
        requests = [r async for r in records(kafka, "noop.requests", job_id, StageRequest)]
        assert len(requests) == 1
    finally:
        folder.running.set()


@pytest.mark.parametrize("behind", [False, True])
async def test_one_key_with_the_same_content_at_the_same_time_is_one_job(
    kafka: str, client: httpx.AsyncClient, folder: ViewFolder, behind: bool
):
    """All have the same answer, and the log has the request once."""
    key = {"Idempotency-Key": uuid4().hex}
    if behind:
        folder.running.clear()
    try:
        answers = await asyncio.gather(*(_submit(client, **key) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19
        requests = [r async for r in records(kafka, "noop.requests", answers[0].json()["job_id"], StageRequest)]
        assert len(requests) == 1
    finally:
        folder.running.set()


async def test_a_list_has_the_callers_jobs_newest_first(ingress: Ingress):
    """Page by page, filtered."""
    async with ingress.client(await ingress.key(f"list-{SERVICE}")) as client:
        made = [(await _submit(client)).json()["job_id"] for _ in range(5)]
        await client.get(f"/v1/jobs/{made[-1]}")
        await _finish(ingress, made[0], b"{}")
        await client.get(f"/v1/jobs/{made[0]}", params={"wait": 30})
        first = (await client.get("/v1/jobs", params={"limit": 3})).json()
        rest = (await client.get("/v1/jobs", params={"limit": 3, "cursor": first["next_cursor"]})).json()
        done = (await client.get("/v1/jobs", params={"status": "done"})).json()
    listed = [job["job_id"] for job in first["jobs"] + rest["jobs"]]
    assert sorted(listed) == sorted(made)
    assert [job["job_id"] for job in done["jobs"]] == [made[0]]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "status=lost", "cursor=x"])
async def test_a_list_with_wrong_parameters(client: httpx.AsyncClient, query: str):
    """Names the parameter."""
    answer = await client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_cancel(kafka: str, client: httpx.AsyncClient):
    """The result is on `results`, the order on `job.control`, and once more when asked again: the first may have
    ended between the two."""
    job_id = (await _submit(client)).json()["job_id"]
    answer = await client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 200
    results = [r async for r in records(kafka, RESULTS.name, job_id, JobResult)]
    orders = [r async for r in records(kafka, JOB_CONTROL.name, job_id, JobControl)]
    assert [r.status for r in results] == ["cancelled"]
    assert {(o.event_id, o.job_id, o.action) for o in orders} == {(f"{job_id}:0:cancel", job_id, "cancel")}
    assert len(orders) == 2


async def test_a_job_that_has_ended_cannot_be_cancelled(client: httpx.AsyncClient, ingress: Ingress):
    """409, and it stays as it is."""
    job_id = (await _submit(client)).json()["job_id"]
    await _finish(ingress, job_id, b"{}")
    await client.get(f"/v1/jobs/{job_id}", params={"wait": 30})
    answer = await client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_finished")
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "done"


async def test_another_services_job_is_a_404(client: httpx.AsyncClient, ingress: Ingress):
    """In every way of asking, with the same words as for a job that never was."""
    job_id = (await _submit(client)).json()["job_id"]
    await client.get(f"/v1/jobs/{job_id}")
    async with ingress.client(await ingress.key("team-b")) as other:
        for method, path in [
            ("GET", ""),
            ("GET", "/events"),
            ("GET", "/input"),
            ("GET", "/pages/1.png"),
            ("DELETE", ""),
        ]:
            answer = await other.request(method, f"/v1/jobs/{job_id}{path}")
            never = await other.request(method, f"/v1/jobs/{'0' * 26}{path}")
            assert answer.status_code == never.status_code == 404
            assert answer.json() == never.json()
        waited = await other.get(f"/v1/jobs/{job_id}", params={"wait": 30})
        assert (waited.status_code, waited.json()["code"]) == (404, "job_not_found")
        assert (await other.get("/v1/jobs")).json()["jobs"] == []
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"


async def test_the_input_comes_back(client: httpx.AsyncClient):
    """Text and files, as they were sent."""
    text = (await _submit(client, "글")).json()["job_id"]
    assert (await client.get(f"/v1/jobs/{text}/input")).text == "글"
    files = [("file", ("편지.pdf", PDF)), ("file", ("b.png", PNG))]
    sent = (await client.post("/v1/ocr", files=files)).json()["job_id"]
    first, second = [await client.get(f"/v1/jobs/{sent}/input", params={"n": n}) for n in (1, 2)]
    assert (first.content, first.headers["content-type"]) == (PDF, "application/pdf")
    assert first.headers["x-input-count"] == "2"
    assert second.content == PNG
    assert (await client.get(f"/v1/jobs/{sent}/input", params={"n": 3})).status_code == 404


async def test_page_images_come_from_the_manifest(client: httpx.AsyncClient, ingress: Ingress):
    """As the OCR stage stored them; until then a 404 that says so."""
    job_id = (await client.post("/v1/ocr", files={"file": ("a.pdf", PDF)})).json()["job_id"]
    answer = await client.get(f"/v1/jobs/{job_id}/pages/1.png")
    assert (answer.status_code, answer.json()["code"]) == (404, "page_not_found")
    blobs = ingress.dependencies.blobs
    image = await blobs.put_bytes(SERVICE, "image/png", PNG)
    manifest = orjson.dumps({"pages": [{"number": 1, "blob": image, "width": 8, "height": 8}]})
    ref: BlobRef = await blobs.put_bytes(SERVICE, "application/json", manifest)
    found = await ingress.dependencies.notifications.wait_for_change(job_id, None, 10)
    done = JobEvent(
        event_id(job_id, 0, "done"),
        found.job,
        JobEventKind.STAGE_DONE,
        found.steps,
        9,
        "ocr",
        1,
        artifacts={"pages": ref},
    )
    token = None
    await ingress.dependencies.publisher.publish(JOB_EVENTS, job_id, done)
    async with asyncio.timeout(10):
        while (await client.get(f"/v1/jobs/{job_id}/pages/1.png")).status_code != 200:
            await ingress.dependencies.notifications.wait_for_change(job_id, token, 1)
    page = await client.get(f"/v1/jobs/{job_id}/pages/1.png")
    assert (page.content, page.headers["content-type"]) == (PNG, "image/png")
    assert (await client.get(f"/v1/jobs/{job_id}/pages/2.png")).status_code == 404


async def test_a_view_that_is_behind_is_a_503_and_recovers(client: httpx.AsyncClient, folder: ViewFolder):
    """Never a 404 after a 202."""
    folder.running.clear()
    try:
        job_id = (await _submit(client)).json()["job_id"]
        answer = await client.get(f"/v1/jobs/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (503, "view_unavailable")
        assert answer.headers["retry-after"]
    finally:
        folder.running.set()
    assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 200


async def test_modules_health_and_documentation(client: httpx.AsyncClient, ingress: Ingress):
    """What a newcomer looks at first."""
    modules = (await client.get("/v1/modules")).json()["modules"]
    assert {"gongmun", "noop", "ocr"} <= {m["name"] for m in modules}
    assert set(modules[0]) >= {
        "name",
        "version",
        "title",
        "inputs",
        "options",
        "result_schema",
        "available",
        "reason",
        "remedy",
    }
    async with ingress.client(None) as anyone:
        assert (await anyone.get("/healthz")).status_code == 200
        ready = await anyone.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        page = await anyone.get("/docs")
        assert f"{ingress.base_url}/v1/gongmun" in page.text
        schema = (await anyone.get("/docs/openapi.json")).json()
        assert (await anyone.get("/openapi.json")).status_code == 404
        assert {"/v1/{module}", "/v1/jobs/{job_id}/events", "/v1/blobs"} <= set(schema["paths"])
        assert (await anyone.get("/metrics")).status_code == 404


async def test_each_module_s_line_in_the_document_works_as_pasted(
    ingress: Ingress, client: httpx.AsyncClient, key: str, tmp_path: Path
) -> None:
    """Of every module, of submitting and of uploading; each answer has the fields that the document shows."""
    for name, content in (("letter.pdf", PDF), ("page1.png", PNG), ("meeting.mp3", b"ID3\x03" + bytes(64))):
        (tmp_path / name).write_bytes(content)
    operations = (await client.get("/docs/openapi.json")).json()["paths"]
    modules = [f"/v1/{each['name']}" for each in (await client.get("/v1/modules")).json()["modules"]]
    env = {"PATH": os.environ["PATH"], "GATEWAY_URL": ingress.base_url, "GATEWAY_API_KEY": key}

    async def pasted(path: str) -> None:
        operation = operations[path]["post"]
        run = await asyncio.create_subprocess_shell(
            operation["x-codeSamples"][0]["source"], cwd=tmp_path, env=env, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await run.communicate()
        [shown] = [
            answer["content"]["application/json"]["example"]
            for status, answer in operation["responses"].items()
            if status in ("201", "202")
        ]
        answer = orjson.loads(out)
        assert answer.keys() == shown.keys(), (path, out)
        if "links" in answer:  # no worker of another test is to do it
            assert (await client.delete(answer["links"]["self"])).status_code == 200

    await asyncio.gather(*map(pasted, (*modules, "/v1/{module}", "/v1/blobs")))
