"""The official path of a letter: REST, topic by topic, REST. Every topic's records are looked at."""

from pathlib import Path

import httpx
import orjson
import pytest

from bench.stack import BenchStack
from schemas import topics
from schemas.codec import Codec
from schemas.events import JobEvent, JobResult, Lane, StageOutcome, StageRequest, UsageEvent
from schemas.pages import decode_document
from tests.acceptance.whole_stack.log_records import read_topic
from tests.pdf_by_hand import locked_pdf, pages_pdf, text_pdf
from tests.png_by_hand import png_header

LETTER = Path(__file__).resolve().parents[3] / "cli" / "data" / "demo-letter.pdf"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
codec = Codec()


@pytest.fixture(scope="module")
def job(rest: httpx.Client) -> dict:
    """The demo's letter, submitted and done."""
    answer = rest.post(
        "/v1/gongmun",
        files={"file": ("letter.pdf", LETTER.read_bytes(), "application/pdf")},
        headers={"traceparent": TRACE},
    )
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["module"] == "gongmun"
    assert body["status"] == "queued"
    assert answer.headers["Location"] == f"/v1/jobs/{body['job_id']}"
    done = rest.get(body["links"]["self"], params={"wait": 60}).json()
    assert done["status"] == "done", done
    return done


async def of_job(stack: BenchStack, topic: topics.Topic, job_id: str, kind: type) -> list:
    """Return the job's records on a topic, decoded, and check their key and trace."""
    found = [r for r in await read_topic(stack.bootstrap, topic.name) if r.key == job_id.encode()]
    for record in found:
        trace = dict(record.headers)["traceparent"].decode()
        assert trace.split("-")[1] == TRACE.split("-")[1]
    return [codec.decode(r.value, kind) for r in found]


async def test_the_request_is_on_ocr_requests_with_the_whole_routing_slip(stack: BenchStack, job: dict) -> None:
    (request,) = await of_job(stack, topics.OCR.requests[Lane.INTERACTIVE], job["job_id"], StageRequest)
    assert [s.kind for s in request.steps] == ["ocr", "gongmun.extract"]
    assert request.position == 0
    assert request.job.service == "local"
    assert request.inputs[0].blob is not None
    assert request.inputs[0].blob.size == LETTER.stat().st_size


async def test_what_was_read_is_on_ocr_done(stack: BenchStack, job: dict) -> None:
    (outcome,) = await of_job(stack, topics.OCR.done, job["job_id"], StageOutcome)
    assert outcome.usage.pages == 1
    assert outcome.attempt == 1
    assert set(outcome.artifacts) == {"pages"}
    if outcome.outputs[0].inline is not None:
        document = decode_document(outcome.outputs[0].inline)
        assert document.pages[0].source == "ocr"


async def test_the_next_request_carries_what_was_read(stack: BenchStack, job: dict) -> None:
    (request,) = await of_job(stack, topics.GONGMUN_EXTRACT.requests[Lane.INTERACTIVE], job["job_id"], StageRequest)
    (outcome,) = await of_job(stack, topics.OCR.done, job["job_id"], StageOutcome)
    assert request.position == 1
    assert request.inputs == outcome.outputs
    assert request.usage.pages == 1


async def test_one_terminal_record_is_on_results(stack: BenchStack, job: dict) -> None:
    (result,) = await of_job(stack, topics.RESULTS, job["job_id"], JobResult)
    assert result.status == "done"
    assert result.step == "gongmun.extract"
    assert result.usage.pages == 1


async def test_job_events_tell_the_story_in_order(stack: BenchStack, job: dict) -> None:
    events = await of_job(stack, topics.JOB_EVENTS, job["job_id"], JobEvent)
    kinds = [(e.kind, e.step) for e in events]
    assert kinds[0] == ("accepted", "")
    assert ("stage_started", "ocr") in kinds
    assert ("progress", "ocr") in kinds
    assert kinds.index(("stage_done", "ocr")) < kinds.index(("done", "gongmun.extract"))
    assert len({e.event_id for e in events}) == len(events)


async def test_each_stage_has_one_usage_event(stack: BenchStack, job: dict) -> None:
    usage = await of_job(stack, topics.USAGE_EVENTS, job["job_id"], UsageEvent)
    mine = {u.step: u for u in usage}
    assert sorted(u.step for u in usage) == ["gongmun.extract", "ocr"]
    assert mine["ocr"].usage.pages == 1
    assert mine["gongmun.extract"].usage.pages == 0
    assert {(u.service, u.module, u.lane) for u in usage} == {("local", "gongmun", Lane.INTERACTIVE)}
    (outcome,) = await of_job(stack, topics.OCR.done, job["job_id"], StageOutcome)
    assert mine["ocr"].model == outcome.model
    assert mine["ocr"].model.startswith("tesseract-5")
    assert mine["gongmun.extract"].model.startswith("rules-")


async def test_nothing_went_to_a_dead_letter_topic(stack: BenchStack, job: dict) -> None:
    for topic in (topics.OCR.requests[Lane.INTERACTIVE], topics.GONGMUN_EXTRACT.requests[Lane.INTERACTIVE]):
        letters = await read_topic(stack.bootstrap, topic.dead_letters)
        assert [r for r in letters if r.key == job["job_id"].encode()] == []


def test_no_process_s_log_holds_the_key_or_the_text(stack: BenchStack, job: dict) -> None:
    """Those that had them in hand included."""
    logs = {log.stem: log.read_text(errors="replace") for log in (stack.data_dir / "logs").glob("*.log")}
    assert job["job_id"] in logs["ingress"]
    assert {"ocr", "llm", "job-state", "metering", "admission", "kafka", "redis", "supervisor"} <= set(logs)
    told = [stack.key.split("_")[2], "빈집", "수요조사", "모래내군수", job["result"]["document_number"]]
    assert [(name, text) for name, log in logs.items() for text in told if text in log] == []


def test_what_cannot_be_read_ends_failed_and_says_what_to_do(rest: httpx.Client) -> None:
    """Locked, cut short, endless, a bomb: one attempt each, by one worker, which then reads on."""
    bad = {
        "locked.pdf": (locked_pdf(), "pdf_encrypted", "password"),
        "cut.pdf": (pages_pdf(40)[:2000], "pdf_damaged", "again"),
        "endless.pdf": (pages_pdf(5000), "too_many_pages", "split the document"),
        "bomb.png": (png_header(200_000, 200_000), "image_too_large", "GATEWAY_MAX_MEGAPIXELS"),
    }
    accepted = {name: rest.post("/v1/ocr", files={"file": (name, content)}) for name, (content, _, _) in bad.items()}
    good = rest.post("/v1/ocr", files={"file": ("text.pdf", text_pdf("STILL HERE"))})
    for name, (_, code, remedy) in bad.items():
        assert accepted[name].status_code == 202, accepted[name].text
        failed = rest.get(accepted[name].json()["links"]["self"], params={"wait": 60}).json()
        assert (failed["status"], failed["result"]) == ("failed", None)
        assert (failed["error"]["code"], failed["error"]["stage"]) == (code, "ocr")
        assert name in failed["error"]["message"]
        assert remedy in failed["error"]["remedy"]
        assert [(s["name"], s["status"], s["attempts"]) for s in failed["stages"]] == [("ocr", "failed", 1)]
    done = rest.get(good.json()["links"]["self"], params={"wait": 60}).json()
    assert done["result"]["text"].strip() == "STILL HERE"


def test_the_job_shows_its_stages_and_usage(job: dict) -> None:
    assert [(s["name"], s["status"], s["attempts"]) for s in job["stages"]] == [
        ("ocr", "done", 1),
        ("gongmun.extract", "done", 1),
    ]
    assert job["usage"]["pages"] == 1
    assert job["finished_at"] >= job["created_at"]
    for stage in job["stages"]:
        assert stage["started_at"] is not None
        assert stage["finished_at"] >= stage["started_at"]


def test_the_result_is_the_letter(job: dict) -> None:
    letter = job["result"]
    assert letter["title"] == "2025년 빈집 활용 시범사업 수요조사 안내"
    assert letter["document_number"] == "농촌활력과-512"
    assert letter["issue_date"] == "2025-02-24"
    assert letter["sender"]["organisation"] == "산들도"
    assert [r["name"] for r in letter["recipients"]] == ["모래내군수", "갈숲시장", "너른군수"]


def test_the_input_and_the_page_come_back(rest: httpx.Client, job: dict) -> None:
    original = rest.get(f"/v1/jobs/{job['job_id']}/input")
    assert original.content == LETTER.read_bytes()
    assert original.headers["content-type"] == "application/pdf"
    page = rest.get(f"/v1/jobs/{job['job_id']}/pages/1.png")
    assert page.headers["content-type"] == "image/png"
    assert page.content.startswith(b"\x89PNG")
    assert rest.get(f"/v1/jobs/{job['job_id']}/pages/2.png").status_code == 404


def test_the_events_stream_ends_with_the_final_state(rest: httpx.Client, job: dict) -> None:
    with rest.stream("GET", f"/v1/jobs/{job['job_id']}/events") as answer:
        lines = list(answer.iter_lines())
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    assert "event: job" in lines
    assert orjson.loads(data[-1])["status"] == "done"
