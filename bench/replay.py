"""`./gateway bench replay`: how quickly a replay is planned. `--quick`: a tenth of the records."""

import asyncio
import sys
import time

from bench.options import options_of
from bench.report import Report
from bench.stack import bench_stack
from schemas.codec import Codec
from schemas.events import JobRef, StageOutcome, Step
from schemas.ids import event_id, new_job_id
from schemas.payloads import json_payload
from schemas.replays import ReplayRequest
from schemas.topics import OCR, STAGES
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.replay.planner import plan

RECORDS = 100_000
_STEPS = (Step("ocr", "ocr"), Step("gongmun.extract", "gongmun.extract"))
_AT_ONCE = 1_000
_CONTENT = b'{"pages":[' + b'"0123456789",' * 150 + b'""]}'  # 2 KB, as a short letter


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("replay")
    report = Report("Replays")
    records = RECORDS // 10 if options.quick else RECORDS
    with bench_stack() as stack:
        asyncio.run(measure(stack.bootstrap, records, report))
    report.aim("planned_records_per_s", 30_000, at_most=False)
    report.show(options.json)
    return 0


async def measure(bootstrap: str, records: int, report: Report) -> None:
    """Write outcomes of two services and plan a replay of one of them."""
    began_ms = time.time_ns() // 1_000_000
    async with KafkaPublisher(bootstrap, delivery_timeout_s=60) as publisher:
        for start in range(0, records, _AT_ONCE):
            await publisher.publish_many([_outcome(n) for n in range(start, min(records, start + _AT_ONCE))])
    until_ms = time.time_ns() // 1_000_000 + 1
    request = ReplayRequest("ocr.done", ("ocr.done",), "gongmun.extract", began_ms, until_ms, service="bench-0")
    found = await plan(bootstrap, request, STAGES, Codec(), purged=frozenset())
    report.add("planned_jobs", len(found.items))
    report.add("planned_records_per_s", found.records / found.seconds)


def _outcome(number: int) -> Outgoing:
    now_ms = time.time_ns() // 1_000_000
    job = JobRef(new_job_id(now_ms), f"bench-{number % 2}", "k", "gongmun", "1", "interactive", now_ms, "0" * 64)
    outcome = StageOutcome(event_id(job.job_id, 0, "outcome", "ocr"), job, _STEPS, 0, 1, (json_payload(_CONTENT),))
    assert OCR.done is not None
    return Outgoing(OCR.done, job.job_id, outcome, {})


if __name__ == "__main__":
    sys.exit(main())
