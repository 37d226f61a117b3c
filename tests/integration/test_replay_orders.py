"""What orders do to a replay whose jobs are under way, and what it does when its content is gone."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from schemas.events import JobControl, JobResult, StageRequest
from schemas.ids import event_id, new_job_id
from schemas.payloads import BlobRef, Payload
from schemas.replays import ReplayEvent, ReplayKind, ReplayPlan, ReplayRequest, replayed_id
from schemas.services import ServiceSettings
from schemas.topics import JOB_CONTROL, RESULTS, SERVICES
from streams.log.protocols import Outgoing
from streams.log.whole_topics import read_whole
from streams.replay.open_jobs import LEAST_OPEN
from streams.replay.promoting import promotion
from streams.storage.paths import ref_path
from streams.storage.store import open_blob_store
from tests.builders import now_ms
from tests.integration.test_replays import World, world
from tests.waiting import eventually

__all__ = ["world"]

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


async def results(world: World, *job_ids: str) -> list[JobResult]:
    """Return the terminal records of jobs."""
    found: list[JobResult] = []
    async for batch in read_whole(world.settings.kafka_bootstrap, (RESULTS.name,)):
        own = (r for r in batch if (r.key or b"").decode(errors="replace") in job_ids)
        found += [world.codec.decode(record.value or b"", JobResult) for record in own]
    return found


async def started(world: World, replay: dict, count: int) -> list[StageRequest]:
    """Wait until so many jobs of a replay are on their topic, and return them."""

    async def there() -> bool:
        return len(await world.requests(replay["id"])) >= count

    await eventually(there, 40)
    return await world.requests(replay["id"])


@pytest.mark.full
async def test_few_jobs_are_open_at_a_time_and_what_is_cancelled_ends(world: World) -> None:
    """Ten thousand letters at 50 a second were all on their way to the model before anybody could stop them."""
    count = LEAST_OPEN + 40
    await world.letters(count)
    async with world.runner():
        replay = await world.start()
        first = await started(world, replay, LEAST_OPEN)
        assert len(first) == LEAST_OPEN
        await world.work(first[:30])
        second = await started(world, replay, LEAST_OPEN + 30)
        assert len(second) == LEAST_OPEN + 30, "as many as have ended"
        order = f"/v1/replays/{replay['id']}"
        assert (await world.admin.post(f"{order}/pause")).json()["state"] == "paused"
        await world.work([r for r in second if r not in first[:30]][:20])
        assert (await world.admin.post(f"{order}/resume")).json()["state"] == "running"
        everything = await started(world, replay, count)
        assert len(everything) == count
        assert (await world.admin.post(f"{order}/cancel")).json()["state"] == "cancelled"

        async def stopped() -> bool:
            found = await world.replay(replay)
            return found["done"] + found["failed"] == count

        await eventually(stopped, 40)
    ids = {r.job.job_id for r in everything}
    ended = await results(world, *ids)
    by_status = {status: {r.job.job_id for r in ended if r.status == status} for status in ("done", "cancelled")}
    assert len(by_status["done"]) == 50
    assert by_status["cancelled"] == ids - by_status["done"]
    told: set[str] = set()
    async for batch in read_whole(world.settings.kafka_bootstrap, (JOB_CONTROL.name,)):
        told |= {world.codec.decode(record.value or b"", JobControl).job_id for record in batch}
    assert ids & told == by_status["cancelled"], "the processors are told, too"


async def test_a_replay_that_is_paused_starts_nothing_until_it_is_resumed(world: World) -> None:
    await world.letters(2)
    replay = await world.start()
    await world.admin.post(f"/v1/replays/{replay['id']}/pause")
    async with world.runner():

        async def planned() -> bool:
            return (await world.replay(replay))["planned"] is not None

        await eventually(planned, 40)
        assert await world.requests(replay["id"]) == []
        assert (await world.admin.post(f"/v1/replays/{replay['id']}/resume")).json()["state"] == "running"
        await world.work(await started(world, replay, 2))
        assert (await world.until(replay["id"], "done"))["done"] == 2


async def test_a_job_whose_input_is_gone_is_counted_and_not_started(world: World) -> None:
    blobs = open_blob_store(world.settings.blob_url)
    kept = await blobs.put_bytes(world.service, "application/json", b'{"n": 0}')
    gone = BlobRef(world.service, "0" * 64, 9, "application/json")
    await world.letters(2, inputs=[Payload("application/json", blob=ref) for ref in (kept, gone)])
    async with world.runner():
        replay = await world.start()
        (request,) = await started(world, replay, 1)
        assert request.job.replay_of == world.originals[0].job_id

        async def counted() -> bool:
            return (await world.replay(replay))["skipped"].get("content_removed") == 1

        await eventually(counted)
        await world.admin.post(f"/v1/replays/{replay['id']}/cancel")


async def test_a_period_for_which_the_service_no_longer_has_its_files_is_refused(world: World) -> None:
    await world.letters(1)
    await world.publisher.publish(SERVICES, world.service, ServiceSettings(world.service, retention_days=7))

    async def refused() -> dict:
        body = {"from": "ocr.done", "service": world.service, "since": "2026-01-01", "dry_run": True}
        answer = await world.admin.post("/v1/replays", json=body)
        told = answer.json() if answer.status_code == 422 else {}
        # Until its settings are known here the usual time holds, which is over as well.
        return told if "7 days" in told.get("detail", "") else {}

    assert (await eventually(refused))["code"] == "range_removed"


async def test_a_promotion_whose_plan_is_gone_ends_and_tells_why(world: World) -> None:
    """It ended the replay, and was begun again at once, for as long as anybody looked."""
    replay_id, at = new_job_id(now_ms()), now_ms()
    items = Payload("application/json", blob=BlobRef(world.service, "1" * 64, 100_000, "application/json"))
    asked = ReplayRequest("ocr.done", ("ocr.done",), "", at - 1, at, service=world.service)
    for kind, more in (
        (ReplayKind.STARTED, {"request": asked, "service": world.service}),
        (ReplayKind.PLANNED, {"plan": ReplayPlan(1, 1, 0.1, {}, items)}),
        (ReplayKind.FINISHED, {}),
        (ReplayKind.PROMOTING, {}),
    ):
        event = ReplayEvent(event_id(replay_id, kind), replay_id, kind, at, "test", **more)
        await world.ingress.dependencies.replays.put(event)
    async with world.runner():
        ended = await world.until(replay_id, "cancelled")
    assert (ended["promoting"], ended["error"]["code"]) == (False, "blob_missing")
    refused = await world.admin.post(f"/v1/replays/{replay_id}/promote")
    assert (refused.status_code, refused.json()["code"]) == (409, "replay_state")


async def test_the_plan_of_a_replay_that_may_still_be_promoted_is_kept(world: World) -> None:
    """In a service that keeps its files for a day it was gone the day after."""
    blobs = open_blob_store(world.settings.blob_url)
    items = await blobs.put_bytes(world.service, "application/json", b"[]")
    replay_id, at = new_job_id(now_ms()), now_ms()
    path = Path(world.settings.blob_url.removeprefix("file:")) / ref_path(items)
    before = path.stat().st_mtime_ns
    asked = ReplayRequest("ocr.done", ("ocr.done",), "", at - 1, at, service=world.service)
    for kind, more in (
        (ReplayKind.STARTED, {"request": asked, "service": world.service}),
        (ReplayKind.PLANNED, {"plan": ReplayPlan(1, 0, 0.1, {}, Payload("application/json", blob=items))}),
        (ReplayKind.FINISHED, {}),
    ):
        event = ReplayEvent(event_id(replay_id, kind), replay_id, kind, at, "test", **more)
        await world.ingress.dependencies.replays.put(event)
    async with world.runner():
        await eventually(lambda: path.stat().st_mtime_ns > before)


@pytest.mark.full
async def test_a_promotion_that_was_cut_off_is_finished_and_a_later_one_goes_on_top(world: World) -> None:
    await world.letters(3)
    ids = [job.job_id for job in world.originals]
    async with world.runner():
        replays = []
        for title in ("second", "third"):
            replay = await world.start()
            await world.work(await started(world, replay, 3), title=title)
            await world.until(replay["id"], "done")
            replays.append(replay)
        first, second = (replay["id"] for replay in replays)
        # As a runner that died after the first job's record.
        done = await results(world, ids[0], replayed_id(first, ids[0]))
        before, after = (next(r for r in done if (r.job.replay_of == "") == own) for own in (True, False))
        record, _ = promotion(first, before, after, now_ms())
        await world.publisher.publish_many([Outgoing(*record)])
        for replay_id in (first, second):
            assert (await world.admin.post(f"/v1/replays/{replay_id}/promote")).status_code == 202
            assert (await world.until(replay_id, "promoted"))["promoted"] == 3
    every = await results(world, *ids)
    for job_id in ids:
        own = sorted((r.job.epoch, orjson.loads(r.result.inline)["title"]) for r in every if r.job.job_id == job_id)
        assert own == [(0, "old"), (1, "second"), (2, "third")]


async def test_of_two_that_two_replicas_took_at_once_the_later_ends_and_tells_why(world: World) -> None:
    """Neither replica saw the other's when it looked, so both are on the log."""
    await world.letters(2)
    at = now_ms()
    asked = ReplayRequest("ocr.done", ("ocr.done",), "", at - 60_000, at + 60_000, service=world.service, rate=5_000)
    first, second = (new_job_id(at + n) for n in range(2))
    for replay_id, at_ms in ((second, at + 1), (first, at)):
        event = ReplayEvent(event_id(replay_id, "started"), replay_id, "started", at_ms, "test", request=asked)
        await world.ingress.dependencies.replays.put(replace(event, service=world.service))
    async with world.runner():
        ended = await world.until(second, "cancelled")
        assert ended["error"]["code"] == "replay_overlaps"
        assert first in ended["error"]["message"]
        await world.work(await started(world, {"id": first}, 2))
        assert (await world.until(first, "done"))["done"] == 2
        assert await world.requests(second) == []


async def test_no_more_jobs_are_started_a_second_than_the_rate_says(world: World) -> None:
    """Told by the times that the requests have: that a busy machine takes longer changes nothing."""
    rate, count = 10, 40
    await world.letters(count)
    async with world.runner():
        replay = await world.start(rate=rate)
        requests = await started(world, replay, count)
        await world.work(requests)
        await world.until(replay["id"], "done")
    times = sorted(request.requested_at_ms for request in requests)
    # All but the last ten take their time; half of it, for what the first waited before its own was taken.
    assert times[-1] - times[0] >= 1000 * (count - rate) / rate / 2
