"""The importable REST client, async and blocking, against a running ingress; the test plays the processor."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from schemas.errors import InvalidInput, Outage
from schemas.events import JobResult, StageRequest
from schemas.ids import event_id, keyed_job_id
from schemas.payloads import Payload, json_payload
from schemas.topics import NOOP, OCR, RESULTS, Topic
from streams.client import BlockingRest, NotLetIn, RestClient
from tests.integration.ingress_harness import Ingress, ViewFolder, own_database, records, running_ingress, settings_for
from tests.services import ROOT, free_port
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

LETTER = b"%PDF-1.7\nnot parsed here"


class Team:
    """A service with a key, and who ends its jobs."""

    def __init__(self, kafka: str, ingress: Ingress, service: str, key: str) -> None:
        self.kafka, self.ingress, self.service, self.key = kafka, ingress, service, key

    async def request(self, job_id: str, topic: Topic) -> StageRequest:
        """What a submission put on the log."""
        (found,) = [r async for r in records(self.kafka, topic.name, job_id, StageRequest)]
        assert isinstance(found, StageRequest)
        return found

    async def end(
        self, job_id: str, topic: Topic = NOOP.requests["interactive"], result: Payload | None = None
    ) -> None:
        """Do what a processor does with a job that gives its input back, or this."""
        made = await self.request(job_id, topic)
        result = result or made.inputs[0]
        record = JobResult(event_id(job_id, 0, "result"), made.job, "done", made.steps, result=result)
        await self.ingress.dependencies.publisher.publish(RESULTS, job_id, record)


@pytest_asyncio.fixture(scope="module")
async def team(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Team]:
    url = own_database(redis_url, 13)
    settings = settings_for(kafka, url, tmp_path_factory.mktemp("client"))
    async with ViewFolder(kafka, url), running_ingress(settings) as ingress:
        service = f"team-{uuid4().hex[:8]}"
        yield Team(kafka, ingress, service, await ingress.key(service))


async def test_a_text_is_submitted_once_and_its_end_waited_for(team: Team) -> None:
    async with RestClient(team.ingress.base_url, team.key) as client:
        job_id = await client.submit_text("noop", "hello", {"sleep_ms": 0}, request_id="r1")
        assert job_id == keyed_job_id(team.service, "rest", "r1")
        assert await client.submit_text("noop", "hello", {"sleep_ms": 0}, request_id="r1") == job_id
        assert (await client.job(job_id))["status"] == "queued"
        waiting = asyncio.create_task(client.finished(job_id))
        await team.end(job_id)
        done = await waiting
        assert (done["status"], done["result"]["text"]) == ("done", "hello")
        with pytest.raises(InvalidInput) as caught:
            await client.submit_text("noop", "other", request_id="r1")
        assert caught.value.code == "idempotency_key_reused"


async def test_files_are_the_pages_of_one_document_and_a_form_s_fields_its_options(team: Team, tmp_path: Path) -> None:
    pages = [tmp_path / f"page{n}.pdf" for n in range(2)]
    for n, page in enumerate(pages):
        page.write_bytes(LETTER + b"%d" % n)
    async with RestClient(team.ingress.base_url, team.key) as client:
        job_id = await client.submit_files("ocr", pages, {"engine": "tesseract"})
        made = await team.request(job_id, OCR.requests["interactive"])
        blob = await client.upload(pages[1])
        assert await client.upload(pages[1].read_bytes()) == blob
    assert [payload.name for payload in made.inputs] == ["page0.pdf", "page1.pdf"]
    assert '"tesseract"' in made.options
    assert made.inputs[1].blob is not None
    assert made.inputs[1].blob.sha256 == blob


async def test_the_blocking_form_does_the_same_without_an_event_loop(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "letter.pdf"
    file.write_bytes(LETTER)

    def submitted() -> tuple[str, str, str]:
        with BlockingRest(team.ingress.base_url, team.key) as client:
            assert "noop" in {module["name"] for module in client.modules()}
            of_files = client.submit_files("ocr", [file])
            job_id = client.submit_text("noop", "good morning")
            return job_id, client.job(job_id)["status"], f"{of_files} {client.upload(file)}"

    job_id, status, others = await asyncio.to_thread(submitted)
    assert status == "queued"
    of_files, blob = others.split()
    made = await team.request(of_files, OCR.requests["interactive"])
    assert made.inputs[0].blob is not None
    assert made.inputs[0].blob.sha256 == blob

    def finished() -> str:
        with BlockingRest(team.ingress.base_url, team.key) as client:
            return client.finished(job_id)["result"]["text"]

    waiting = asyncio.create_task(asyncio.to_thread(finished))
    await team.end(job_id)
    assert await waiting == "good morning"


async def test_the_howto_s_lines_work_as_pasted(team: Team, tmp_path: Path) -> None:
    page = (ROOT / "docs/howto/produce-from-python.md").read_text()
    (program,) = [b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "BlockingRest(" in b]
    (tmp_path / "letter.pdf").write_bytes(LETTER)
    program = program.replace("http://127.0.0.1:8080", team.ingress.base_url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"key = {team.key!r}\n{program}"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    job_id = keyed_job_id(team.service, "rest", "letter-4711")

    async def submitted() -> bool:
        return bool([r async for r in records(team.kafka, OCR.requests["interactive"].name, job_id, StageRequest)])

    await eventually(submitted)
    await team.end(job_id, OCR.requests["interactive"], json_payload(b'{"title": "read"}'))
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"{'title': 'read'}\n")


async def test_what_goes_wrong_is_told_with_the_gateways_own_code(team: Team) -> None:
    async with RestClient(team.ingress.base_url, f"{team.key}x") as client:
        with pytest.raises(NotLetIn) as caught:
            await client.submit_text("noop", "x")
    assert caught.value.code == "invalid_key"

    def refused() -> InvalidInput:
        with BlockingRest(team.ingress.base_url, team.key) as client, pytest.raises(InvalidInput) as wrong:
            client.submit_text("noop", "x", {"colour": "red"})
        return wrong.value

    error = await asyncio.to_thread(refused)
    assert (error.code, "colour" in error.message, bool(error.remedy)) == ("unknown_option", True, True)
    async with RestClient(f"http://127.0.0.1:{free_port()}", team.key) as nobody:
        with pytest.raises(Outage) as away:
            await nobody.job("0" * 26)
    assert away.value.code == "gateway_down"
