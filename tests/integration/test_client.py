"""The importable client against a real Kafka, the admission process and an ingress."""

import asyncio
import csv
import io
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import fastavro
import orjson
import pytest

from schemas.avro_files import latest_schema, parse_schema
from schemas.batch import BatchAnswer, BatchRejection, BatchRequest
from schemas.errors import Outage, Permanent
from schemas.events import SchemaRecord
from schemas.payloads import text_payload
from schemas.topics import MAX_RECORD_BYTES, SCHEMAS, batch_door
from streams.client import BlockingDoor, DoorClient
from streams.serving import Lack, announcing
from tests.integration.ingress_harness import ROOT, ViewFolder, own_database, running_ingress, settings_for
from tests.integration.test_admission import door
from tests.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


async def test_each_request_has_one_reply_and_a_repeat_is_answered_from_the_log(kafka: str, redis_url: str) -> None:
    async with door(kafka, redis_url) as it, DoorClient(kafka, it.service) as client:
        asked = [BatchRequest(f"r{n}", "noop", text=f"text {n}", reply_headers={"n": str(n)}) for n in range(50)]
        asked.append(BatchRequest("bad", "nothing", text="x"))
        first = {reply.told.request_id: reply async for reply in client.ask(asked)}
        assert sorted(first) == sorted(r.request_id for r in asked)
        assert isinstance(first["bad"].told, BatchRejection)
        assert first["bad"].told.code == "unknown_module"
        seventh = first["r7"]
        assert isinstance(seventh.told, BatchAnswer)
        assert (seventh.told.job_id, seventh.told.result) == (client.job_id("r7"), text_payload("text 7"))
        assert seventh.headers["n"] == b"7"
        assert set(seventh.headers) == {"n", "traceparent"}

        def again() -> list[BatchAnswer | BatchRejection]:
            with BlockingDoor(kafka, it.service) as blocking:
                return [reply.told for reply in blocking.ask([asked[7], asked[-1]])]

        second = {told.request_id: told for told in await asyncio.to_thread(again)}
        assert second["r7"] == seventh.told
        bad = second["bad"]
        assert isinstance(bad, BatchRejection)
        assert bad.rejected_at_ms > first["bad"].told.rejected_at_ms
        assert len([a for _, a, _ in it.answers if a.request_id == "r7"]) == 1


async def test_an_answer_of_a_newer_gateway_is_read_with_the_schema_that_it_announced(
    kafka: str, redis_url: str
) -> None:
    """As in the middle of a rolling upgrade: the client is older than the process that answers."""
    extra = f'"fields": [{{"name": "later_{uuid4().hex[:8]}", "type": "string"}},'
    newer = parse_schema("BatchAnswer", 99, latest_schema("BatchAnswer").source.replace('"fields": [', extra, 1))
    async with door(kafka, redis_url) as it, DoorClient(kafka, it.service) as client:
        answers = {r.told.request_id: r.told async for r in client.ask([BatchRequest("r1", "noop", text="x")])}
        told = answers["r1"]
        assert isinstance(told, BatchAnswer)
        record = SchemaRecord(newer.fingerprint, newer.name, newer.source)
        await it.publisher.publish(SCHEMAS, newer.fingerprint, record)
        out = io.BytesIO()
        of_it = orjson.loads(orjson.dumps(told, default=bytes.decode))
        usage, payload = asdict(told.usage), {**asdict(text_payload("text")), "blob": None}
        fields = {**of_it, "request_id": "r2", "result": payload, "usage": usage, extra.split('"')[5]: "new"}
        fastavro.schemaless_writer(out, newer.parsed, fields)
        topic = batch_door(it.service).results.name
        await it.publisher.publish_raw(topic, told.job_id.encode(), newer.header + out.getvalue(), {})
        async with asyncio.timeout(60):
            async for batch, _ in client.replies():
                if any(reply.told.request_id == "r2" for reply in batch):
                    break


async def test_a_record_that_the_broker_never_takes_is_told_at_once_and_the_next_is_answered(
    kafka: str, redis_url: str
) -> None:
    async with door(kafka, redis_url) as it, DoorClient(kafka, it.service) as client:
        with pytest.raises(Permanent) as caught:
            await client.send([BatchRequest("large", "noop", content=os.urandom(2 * MAX_RECORD_BYTES))])
        assert caught.value.code == "record_too_large"
        told = [reply.told async for reply in client.ask([BatchRequest("next", "noop", text="x")])]
    assert [(one.request_id, type(one)) for one in told] == [("next", BatchAnswer)]
    assert not it.rejections


async def test_a_service_without_a_door_is_told_so(kafka: str) -> None:
    with pytest.raises(Outage, match="no batch door") as caught:
        async with DoorClient(kafka, "no-door-here"):
            pass
    assert caught.value.code == "no_door"


@pytest.mark.full
async def test_submit_batch_goes_on_where_it_was_interrupted_and_asks_nothing_twice(
    kafka: str, redis_url: str, tmp_path: Path
) -> None:
    redis_url = own_database(redis_url, 15)
    count = 230  # more than one group of uploads
    files = [tmp_path / "in" / f"letter{n}.txt" for n in range(count)]
    files[0].parent.mkdir()
    for n, file in enumerate(files):
        file.write_text(f"text {n % (count - 1)}")  # the last is a copy of the first
    async with door(kafka, redis_url) as it:
        it.most = 20
        settings = settings_for(
            kafka,
            redis_url,
            it.folder,
            GATEWAY_BLOB_URL=f"file:{it.folder / 'blobs'}",
            GATEWAY_MODULES_DIR=str(it.folder / "modules"),
        )
        # Results of blobs are blobs here: the command reads them over REST.
        async with ViewFolder(kafka, redis_url), running_ingress(settings) as ingress:
            env = {
                **os.environ,
                "GATEWAY_API_KEY": await ingress.key(it.service),
                "GATEWAY_HTTP_PORT": str(settings.http_port),
                "GATEWAY_KAFKA_BOOTSTRAP": kafka,
            }
            arguments = (
                "submit",
                "noop",
                str(files[0].parent),
                "--batch",
                "--out",
                str(tmp_path / "out"),
                "--service",
                it.service,
            )

            async def submit(*, interrupt: bool = False) -> tuple[int, str]:
                process = await asyncio.create_subprocess_exec(
                    str(ROOT / "gateway"),
                    *arguments,
                    env=env,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )
                if interrupt:
                    assert process.stdout is not None
                    await process.stdout.readline()  # one file is answered
                    process.send_signal(signal.SIGINT)
                out, err = await process.communicate()
                return process.returncode or 0, out.decode() + err.decode()

            code, told = await submit(interrupt=True)
            assert code == 130, told
            assert 0 < len(it.answers) <= it.most
            it.go_on.set()
            code, told = await submit()
            assert code == 0, told
            assert f"{count} of {count} done" in told
            asked = len(it.requests)
            # A processor that says what it lacks; that the jobs are done all the same is this test's own doing.
            serving = ingress.dependencies.serving
            async with announcing(settings, {"noop": lambda: Lack("there is no engine", "install one")}):
                await eventually(lambda: serving.lacking(["noop"]))
                code, told = await submit()
            assert "the module noop is unavailable now: there is no engine; install one. The door takes" in told
    assert (code, len(it.requests)) == (0, asked), told
    assert len({r.job.job_id for r in it.requests}) == len(it.answers) == count - 1
    for n, file in enumerate(files):
        assert orjson.loads((tmp_path / "out" / f"{file.stem}.json").read_bytes())["text"] == f"text {n % (count - 1)}"
    with (tmp_path / "out" / "summary.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert [r["status"] for r in rows] == ["done"] * count


@pytest.mark.full
async def test_the_program_of_the_howto_needs_nothing_of_ours(kafka: str, redis_url: str, tmp_path: Path) -> None:
    howto = (ROOT / "docs" / "howto" / "produce-from-python.md").read_text()
    section = howto.partition("aiokafka and fastavro only")[2]
    program = section.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "avro").symlink_to(ROOT / "schemas" / "avro")
    async with door(kafka, redis_url) as it:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "program.py", kafka, it.service, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"done hello\n")


@pytest.mark.full
async def test_the_howto_s_lines_for_the_door_work_as_pasted(kafka: str, redis_url: str) -> None:
    page = (ROOT / "docs" / "howto" / "produce-from-python.md").read_text()
    program = page.partition("## Through the batch door")[2].partition("```python\n")[2].partition("```")[0]
    assert "BlockingDoor(" in program
    async with door(kafka, redis_url) as it:
        told = program.replace("127.0.0.1:19092", kafka).replace('"local"', repr(it.service))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", told), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert sorted(out.decode().splitlines()) == sorted(f"text-{n} done" for n in range(1000))
