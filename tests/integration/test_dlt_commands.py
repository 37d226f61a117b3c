"""`gateway dlt …` as it is typed, on a real log."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import build_app
from schemas.codec import Codec
from schemas.errors import InvalidInput, WorkFailed
from schemas.events import StageRequest
from schemas.payloads import text_payload
from schemas.topics import STT
from streams.log.dead_letters import dead_letter
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import LogRecord
from streams.log.whole_topics import read_whole
from tests.builders import now_ms, stage_request

pytestmark = pytest.mark.kafka

TOPIC = STT.requests["bulk"]  # nothing else in the tests buries anything there


@pytest.fixture
def letter(kafka: str, monkeypatch: pytest.MonkeyPatch) -> StageRequest:
    """A request that is a dead letter."""
    monkeypatch.setenv("GATEWAY_KAFKA_BOOTSTRAP", kafka)
    request = stage_request("stt", inputs=(text_payload("hush hush"),))
    record = LogRecord(TOPIC.name, 1, now_ms(), request.job.job_id.encode(), Codec().encode(request), {}, 1)
    error = WorkFailed("it died", code="worker_lost")

    async def bury() -> None:
        async with KafkaPublisher(kafka) as publisher:
            raw = dead_letter(record, stage="stt", attempts=3, error=error, service="mail-room", at_ms=now_ms())
            await publisher.publish_raw(*raw)

    asyncio.run(bury())
    return request


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(build_app(), ["dlt", *arguments])
    if isinstance(result.exception, InvalidInput):
        raise result.exception
    return result


def listed(request: StageRequest) -> list[dict[str, Any]]:
    return [row for row in json.loads(run("list", "--json").stdout) if row["job_id"] == request.job.job_id]


def test_list_and_show_tell_what_failed_without_the_text(letter: StageRequest) -> None:
    (row,) = listed(letter)
    assert (row["code"], row["attempts"], row["service"], row["stage"]) == ("worker_lost", 3, "mail-room", "stt")
    assert row["id"] in run("list", "--topic", TOPIC.name).stdout
    shown = run("show", row["id"]).stdout
    assert "hush" not in shown
    assert json.loads(shown)["record"]["job"]["job_id"] == letter.job.job_id
    run("drop", row["id"])


def test_replay_puts_the_request_back_in_the_next_epoch(letter: StageRequest, kafka: str) -> None:
    done = json.loads(run("replay", letter.job.job_id, "--json").stdout)
    assert [(one["job_id"], one["epoch"]) for one in done["replayed"]] == [(letter.job.job_id, 1)]
    assert listed(letter) == []

    async def back() -> list[StageRequest]:
        found = [r async for batch in read_whole(kafka, [TOPIC.name]) for r in batch]
        return [Codec().decode(r.value or b"", StageRequest) for r in found if r.key == letter.job.job_id.encode()]

    (again,) = asyncio.run(back())
    assert again.job.epoch == 1
    assert again.inputs == letter.inputs


def test_drop_takes_it_off_the_list(letter: StageRequest) -> None:
    assert "dropped 1" in run("drop", letter.job.job_id).stdout
    assert listed(letter) == []


def test_neither_names_nor_all_and_unknown_ids_are_told(letter: StageRequest) -> None:
    for arguments in (("replay",), ("replay", "x/1/2", "--all"), ("drop", "nowhere/1/2"), ("show", "nonsense")):
        with pytest.raises(InvalidInput):
            run(*arguments)
    run("drop", letter.job.job_id)
