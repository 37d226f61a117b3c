"""The usage report: proved from the log, found wrong where it was tampered with, and read over HTTP and by commands."""

import asyncio
import csv
import io
import os
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from schemas.events import ErrorInfo, JobEvent, JobRef, JobResult, Step, Usage
from schemas.ids import event_id, new_job_id, usage_id
from schemas.topics import CHAT_REQUESTS, JOB_EVENTS, RESULTS
from schemas.usage_admission import FUTURE_MS
from streams.redis_client import redis_client
from streams.tables.partitions import job_partition
from tests.builders import job_ref, now_ms
from tests.integration.ingress_harness import ROOT, Ingress, running_ingress, settings_for
from tests.integration.metering.harness import Setting, call, used

pytestmark = pytest.mark.kafka


async def test_the_report_can_be_proved(setting: Setting) -> None:
    service = await setting.service()
    first = used(service)
    job, gone, early = (job_ref(service=service, module="ocr") for _ in range(3))
    await setting.measure(first, replace(first, usage=Usage(pages=7)), used(service, job.job_id))
    await setting.measure(replace(used(service, early.job_id), measured_at_ms=now_ms() + FUTURE_MS + 60_000))
    for each in (job, gone, early):
        steps = (Step("ocr", "ocr"),)
        result = JobResult(event_id(each.job_id, "result"), each, "done", steps, finished_at_ms=now_ms())
        await setting.publisher.publish(RESULTS, each.job_id, result)
    found = await setting.totals(service)
    assert found["pages"] == 4
    proof = await setting.proof()
    assert proof.differences == []
    assert proof.wrongly_refused == []
    assert first.event_id in proof.conflicts
    assert job.job_id not in proof.unmetered
    assert proof.unmetered[gone.job_id] == "done without usage of ocr"
    assert early.job_id not in proof.unmetered
    assert proof.reasons["refused: from_the_future"] == 1


async def test_a_call_without_usage_is_found_once_it_is_overdue(setting: Setting) -> None:
    service, lost, metered = await setting.service(), new_job_id(now_ms()), new_job_id(now_ms())
    for request in (lost, metered):
        await setting.publisher.publish(CHAT_REQUESTS, request, call(service, request, now_ms()))
    await setting.measure(used(service, metered, module="chat"))
    await setting.totals(service)
    assert lost not in (await setting.proof()).unmetered
    overdue = await setting.proof(after_ms=16 * 60_000)
    assert overdue.unmetered[lost] == "a call without usage"
    assert metered not in overdue.unmetered


async def test_a_row_that_was_tampered_with_is_found_with_its_requests(setting: Setting) -> None:
    service = await setting.service()
    event = used(service)
    await setting.measure(event)
    await setting.totals(service)
    client = redis_client(setting.redis.url)
    (name,) = [key async for key in client.scan_iter(f"gw:usage:{job_partition(event.request_id)}:h:{service}:*")]
    ((field, amounts),) = (await client.hgetall(name)).items()
    await client.hset(name, field, b"9" + amounts)
    (difference,) = (await setting.proof()).differences
    assert difference.requests == (event.request_id,)
    assert difference.reported is not None
    assert difference.recomputed is not None
    assert (difference.reported[0], difference.recomputed[0]) == (91, 1)
    await client.hset(name, field, amounts)
    await client.aclose()
    assert (await setting.proof()).differences == []


@pytest.mark.parametrize("level", ["d", "q"])
async def test_a_day_or_a_budget_that_was_tampered_with_is_found(setting: Setting, level: str) -> None:
    """Whole-day reports and statements read the rows of days, budgets the sums of months."""
    service = await setting.service()
    event = used(service)
    await setting.measure(event)
    await setting.totals(service)
    partition = job_partition(event.request_id)
    client = redis_client(setting.redis.url)
    (name,) = [key async for key in client.scan_iter(f"gw:usage:{partition}:{level}:{service}:*")]
    held = await client.hgetall(name)
    for field, amounts in held.items():
        await client.hset(name, field, b"9" + amounts)
        proof = await setting.proof()
        assert not proof.holds
        wrong = proof.differences if level == "d" else proof.sums
        assert len(wrong) == len(proof.differences) + len(proof.sums) == 1
        await client.hset(name, field, amounts)
    await client.delete(name)
    proof = await setting.proof()
    assert [(d.level, d.reported, d.requests) for d in proof.differences] == (
        [("day", None, (event.request_id,))] if level == "d" else []
    )
    assert {s.about.key for s in proof.sums} == (set() if level == "d" else {"", "k1"})
    await client.hset(name, mapping=held)
    await client.aclose()
    proof = await setting.proof()
    assert (proof.differences, proof.sums) == ([], [])


async def test_a_job_that_was_at_work_has_no_excuse(setting: Setting) -> None:
    """Failed and cancelled work writes its usage too; only what nobody read may have none."""
    service, steps = await setting.service(), (Step("ocr", "ocr"), Step("extract", "gongmun.extract"))
    unread, begun, first, second = (job_ref(service=service, module="ocr") for _ in range(4))
    error = ErrorInfo("invalid_document", "", "extract")
    failed = JobResult("", first, "failed", steps, error=error, step="extract", finished_at_ms=now_ms())
    cancelled = JobResult("", unread, "cancelled", steps, finished_at_ms=now_ms())
    for result in (cancelled, replace(cancelled, job=begun), failed, replace(failed, job=second)):
        await setting.publisher.publish(RESULTS, result.job.job_id, replace(result, event_id=uuid4().hex))
    started = JobEvent(uuid4().hex, begun, "stage_started", steps, now_ms(), step="ocr", attempt=1)
    await setting.publisher.publish(JOB_EVENTS, begun.job_id, started)
    await setting.measure(
        used(service, first.job_id, step="extract", outcome="failed", event_id=uuid4().hex),
        used(service, second.job_id, final=False),
    )
    assert (await setting.proof(after_ms=0)).pending >= 4
    proof = await setting.proof()
    assert unread.job_id not in proof.unmetered
    assert proof.reasons["cancelled before its request was read"] >= 1
    assert proof.unmetered[begun.job_id] == "cancelled without usage of ocr"
    assert proof.unmetered[first.job_id] == "failed without usage of ocr"
    assert proof.unmetered[second.job_id] == "failed without usage of extract"


async def test_an_end_is_proved_by_the_usage_that_counts_it(setting: Setting) -> None:
    """Not by waste, nor by what an earlier epoch used; what was promoted has its usage with the replay."""
    service, steps = await setting.service(), (Step("ocr", "ocr"),)
    wasted, replayed, promoted = (job_ref(service=service, module="ocr") for _ in range(3))
    again = replace(replayed, epoch=1)

    async def end(job: JobRef, status: str, event: str = "result", code: str = "") -> None:
        error = ErrorInfo(code, "", "ocr") if code else None
        made = JobResult(event, job, status, steps, error=error, step="ocr", finished_at_ms=now_ms())
        await setting.publisher.publish(
            RESULTS, job.job_id, replace(made, event_id=f"{job.job_id}:{job.epoch}:{event}")
        )

    await end(wasted, "done")
    await end(replayed, "failed", code="invalid_document")
    await end(again, "done")
    await end(promoted, "done")
    await end(replace(promoted, epoch=1), "done", "result:promote:r1")
    call_id = new_job_id(now_ms())
    await setting.publisher.publish(CHAT_REQUESTS, call_id, call(service, call_id, now_ms()))
    await setting.measure(
        used(service, wasted.job_id, waste=True, final=False),
        used(service, replayed.job_id, outcome="failed"),
        used(service, promoted.job_id),
        used(service, call_id, module="chat", waste=True, final=False),
    )
    await setting.totals(service)
    proof = await setting.proof(after_ms=16 * 60_000)
    assert proof.unmetered[wasted.job_id] == "done without usage of ocr"
    assert proof.unmetered[replayed.job_id] == "done without usage of ocr"
    assert proof.unmetered[call_id] == "a call without usage"
    assert promoted.job_id not in proof.unmetered
    await setting.measure(used(service, replayed.job_id, event_id=usage_id(replayed.job_id, 1, "ocr", 1), epoch=1))
    await setting.totals(service)
    assert replayed.job_id not in (await setting.proof()).unmetered


async def test_the_report_over_http(setting: Setting, tmp_path: Path) -> None:
    models = tmp_path / "models.yml"
    prices = "currency: KRW\nprices: {{tesseract: [{{since: 2020-01-01, page: '{}'}}]}}\n"
    prices += "upstreams: {{}}\nmodels: {{}}\n"
    models.write_text(prices.format("12.5"))
    settings = settings_for(setting.kafka, setting.redis.url, tmp_path, GATEWAY_MODELS_FILE=str(models))
    async with running_ingress(settings) as ingress:
        service, other = f"s-{uuid4().hex[:8]}", f"s-{uuid4().hex[:8]}"
        key, admin = await ingress.key(service, ("usage",)), await ingress.key(other, ("admin",))
        await setting.measure(used(service, module="=검토"), used(other))
        await setting.totals(service)
        async with ingress.client(key) as client, ingress.client(admin) as boss:
            answer = await client.get("/v1/usage", params={"group_by": "module,day"})
            (row,) = answer.json()["rows"]
            assert (row["module"], row["requests"], row["pages"], row["cost"]) == ("=검토", 1, 2, 25.0)
            assert answer.json()["currency"] == "KRW"
            assert answer.json()["complete_through"]
            sheet = await client.get("/v1/usage", params={"format": "csv", "group_by": "module"})
            assert sheet.content.startswith(b"\xef\xbb\xbf")
            (line,) = csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig")))
            assert (line["module"], line["pages"], line["cost"]) == ("'=검토", "2", "25")
            assert await codes(client, {"service": other}) == (403, "not_your_service")
            assert await codes(client, {"group_by": "colour"}) == (422, "unknown_column")
            assert await codes(client, {"from": "2026-02-01", "to": "2026-01-01"}) == (422, "reversed_period")
            assert await codes(client, {"from": "1026-02-01"}) == (422, "period_too_long")
            assert await codes(client, {"from": "yesterday"}) == (422, "invalid_time")
            assert await codes(client, {"tz": "Mars/Base"}) == (422, "invalid_timezone")
            assert await codes(client, {"format": "xml"}) == (422, "invalid_parameter")
            everyone = (await boss.get("/v1/usage", params={"group_by": "service"})).json()["rows"]
            assert {service, other} <= {row["service"] for row in everyone}
            # A price that is corrected backwards reprices what was used already.
            models.write_text(prices.format("100"))
            again = await client.get("/v1/usage", params={"group_by": ""})
            assert again.json()["total"]["cost"] == 200.0
            async with ingress.client(await ingress.key(service, ("jobs",))) as stranger:
                assert await codes(stranger, {}) == (403, "missing_scope")
        await _commands_tell_the_same(ingress, setting, key, service)


async def _commands_tell_the_same(ingress: Ingress, setting: Setting, key: str, service: str) -> None:
    """`gateway usage` in its forms; one test with the report over HTTP, whose ingress it needs."""

    async def gateway(*arguments: str) -> str:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_HTTP_PORT": ingress.base_url.rpartition(":")[2],
            "GATEWAY_API_KEY": key,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from cli.main import main; main()",
            "usage",
            *arguments,
            env=env,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0
        return said.decode()

    month = f"{datetime.now(ZoneInfo('Asia/Seoul')):%Y-%m}"
    table, sheet, statement = await asyncio.gather(
        gateway("--by", "module,lane"),
        gateway("--month", month, "--csv", "--by", "service,outcome"),
        gateway("statement", "--month", month),
    )
    assert "=검토" in table
    assert "interactive" in table
    assert sheet.startswith("\ufeffservice,outcome,requests,")
    (line,) = csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff")))
    assert (line["service"], line["requests"], line["cost"]) == (service, "1", "200")
    assert statement.startswith(f"{service}: statement for {month} (Asia/Seoul)")
    assert "2 pages, 0.5 work seconds: 200 KRW" in statement


async def codes(client: httpx.AsyncClient, params: dict[str, str]) -> tuple[int, str]:
    """Ask for a report; return the answer's status and code."""
    answer = await client.get("/v1/usage", params=params)
    return answer.status_code, answer.json()["code"]
