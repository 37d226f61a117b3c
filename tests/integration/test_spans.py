"""Spans reach a collector as one tree: request, publication, stage, model call. Without an endpoint there are none."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.protocols.values import Dialect
from processors.llm.stage import LlmStage
from schemas.events import StageRequest
from streams.runtime.processor import Context, Result
from streams.settings import Settings
from streams.spans import NO_SPAN, Kind, exporting, recording, span
from streams.stages import all_stages
from streams.storage.checkpoints import MemoryCheckpoints
from tests.integration.chat_harness import COMPATIBLE, NATIVE, chat_ingress, own_service, simulators
from tests.integration.ingress_harness import own_database
from tests.integration.worker_harness import bench
from tests.otlp_receiver import Collector, collector

PROMPT = "words that no trace may hold"
# A sampled trace of the caller's, whose span is not ours: what it causes hangs under it.
CALLERS = "00f067aa0ba902b7"


def begin(trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{CALLERS}-01"}


def tree(spans: list[dict[str, Any]], above: str = CALLERS) -> list[Any]:
    """Return names and kinds of the spans under a parent, each with what is under it, in the order of names."""
    return sorted([s["kind"], s["name"], tree(spans, s["id"])] for s in spans if s["parent"] == above)


def one(spans: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [s for s in spans if s["kind"] == kind]
    return found


def test_without_an_endpoint_no_exporter_is_even_imported() -> None:
    code = (
        "import sys, ingress.__main__, processors.llm.__main__, processors.ocr.__main__;"
        # What redis and FastAPI import of OpenTelemetry for themselves is their business.
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
    with exporting(Settings.from_env({}), "test"):
        assert not recording()
        assert span("x", Kind.CLIENT, {}) is NO_SPAN


def test_a_collector_that_is_away_hinders_nobody() -> None:
    away = Settings.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    with exporting(away, "test"), span("x", Kind.CLIENT, {}) as begun:
        assert begun.traceparent
    assert not recording()


@pytest.mark.kafka
async def test_calls_and_jobs_are_one_tree_each(kafka: str, redis_url: str, tmp_path: Path) -> None:
    call_trace, cut_trace, job_trace = (f"{n:032x}" for n in (0xCA11, 0xC07, 0x10B))
    service = own_service()
    stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())

    async def handle(request: StageRequest, context: Context) -> Result:
        # Other tests leave requests on this topic; they are none of ours.
        return await stage.handle(request, context) if request.job.service == service else Result(())

    with collector() as sink, simulators() as sims:
        settings = Settings.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "GATEWAY_INSTANCE": "one"})
        with exporting(settings, "test"):
            catalogue = Catalogue(
                {"sim": Upstream("sim", Dialect.OLLAMA, sims.native.url, 8)},
                {"tiny": PublicModel("tiny", (Route("sim", "tiny:latest"),))},
            )
            async with (
                chat_ingress(kafka, own_database(redis_url, 11), tmp_path, sims) as ingress,
                ingress.client(await ingress.key(service, ("chat", "jobs"))) as http,
                open_pool(catalogue, discover=False) as pool,
                bench(kafka, all_stages()["noop"]) as it,
                it.worker(handle),
            ):
                stage.use(pool)
                asked = {"model": NATIVE, "messages": [{"role": "user", "content": PROMPT}]}
                answer = await http.post("/v1/chat/completions", json=asked, headers=begin(call_trace))
                assert answer.status_code == 200, answer.text
                streamed = {**asked, "model": COMPATIBLE, "stream": True}
                answer = await http.post("/v1/chat/completions", json=streamed, headers=begin(cut_trace))
                assert answer.status_code == 200, answer.text
                answer = await http.post("/v1/noop", json={"text": PROMPT}, headers=begin(job_trace))
                assert answer.status_code == 202, answer.text
                job = answer.json()["job_id"]
                await it.until(lambda: it.records.results(job))
                assert (await http.get("/healthz")).status_code == 200
        check_call(sink, call_trace, "tiny:latest", "ollama")
        check_call(sink, cut_trace, "tiny:latest", "openai")
        check_job(sink, job_trace, job, service)
        raw = sink.raw()
        assert PROMPT.encode() not in raw
        assert b"healthz" not in raw


def check_call(sink: Collector, trace: str, model: str, provider: str) -> None:
    spans = sink.spans(trace)
    assert tree([s for s in spans if "usage.events" not in s["name"]]) == [
        [
            "SERVER",
            "POST /v1/chat/completions",
            [["CLIENT", f"chat {model}", []], ["PRODUCER", "send chat.requests", []]],
        ]
    ]
    assert all(s["ended"] and not s["failed"] for s in spans)
    assert {s["service"] for s in spans} == {"test"}
    about = one(spans, "CLIENT")["attributes"]
    assert about["gen_ai.operation.name"] == "chat"
    assert about["gen_ai.provider.name"] == provider
    assert about["gen_ai.request.model"] == model
    assert about["gen_ai.usage.input_tokens"] > 0
    assert about["gen_ai.usage.output_tokens"] > 0
    assert about["gen_ai.response.finish_reasons"] == ["stop"]
    assert one(spans, "SERVER")["attributes"]["http.response.status_code"] == 200


def check_job(sink: Collector, trace: str, job: str, service: str) -> None:
    spans = sink.spans(trace)
    work = [
        "CONSUMER",
        "process noop.requests",
        [["CLIENT", "chat tiny:latest", []], ["PRODUCER", "send results, job.events, usage.events", []]],
    ]
    # Longer work tells of its start: whether this one did is a matter of the machine's speed.
    known = [s for s in spans if s["name"] != "send job.events" or s["parent"] == one(spans, "SERVER")["id"]]
    assert tree(known) == [
        [
            "SERVER",
            "POST /v1/{module}",
            [["PRODUCER", "send job.events", []], ["PRODUCER", "send noop.requests", [work]]],
        ]
    ]
    about = one(spans, "CONSUMER")["attributes"]
    assert about["gateway.job_id"] == job
    assert about["gateway.service"] == service
    assert about["gateway.outcome"] == "done"
    assert about["messaging.system"] == "kafka"
    assert about["messaging.destination.name"] == "noop.requests"
