"""`./gateway bench usage`: a million usage events through the metering app, its recovery, the report and its proof.

The events (`--events`, seeded, of a month) are on the log before the one metering worker starts, so it meets a backlog.
Broker, Redis and the worker share the machine's cores; nothing else of the stack has work meanwhile.
Results go to `bench/results/usage.json`.
"""

import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import psutil
from redis.asyncio import Redis

from bench.options import options_of
from bench.report import Report, percentile
from bench.stack import ROOT, BenchStack, bench_stack
from bench.usage_events import DAYS, SERVICES, usage_events
from cli.stack.launch import Stack
from cli.stack.states import ServiceStatus, read_states
from schemas.codec import Codec
from schemas.events import UsageEvent
from schemas.topics import API_KEYS, JOB_PARTITIONS, USAGE_EVENTS
from schemas.usage_ledger import DAY_MS
from streams import redis_keys
from streams.admission.writing import Write, bulk_producer, write_all
from streams.api_keys import Scope, make_key
from streams.log.kafka_publisher import KafkaPublisher
from streams.redis_client import redis_client
from streams.redis_keys import decode_marker
from streams.settings import Settings
from streams.tables.partitions import job_partition

RESULTS = ROOT / "bench" / "results" / "usage.json"
SEED = 7
FULL_SIZE = 1_000_000
REPORTS = 15
_WRITTEN_AT_ONCE = 20_000
_WAIT_S = 900.0
_LOOK_S = 0.05
_IDLE = ("metering", "admission", "ocr", "stt", "llm")
_MIB = 2**20
_MODELS = """\
currency: KRW
prices:
  tesseract*: [{since: 2020-01-01, page: "3"}]
  llama*: [{since: 2020-01-01, prompt: "150", completion: "600"}]
  qwen*: [{since: 2020-01-01, second: "0.9"}]
upstreams: {}
models: {}
"""


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("usage")
    events = options.events or FULL_SIZE
    if options.quick:
        events //= 10
    report = Report("Usage: the ledger")
    report.add("events", events)
    report.add("load_before", os.getloadavg()[0])
    with TemporaryDirectory() as folder:
        models = Path(folder, "models.yml")
        models.write_text(_MODELS)
        env = {"GATEWAY_MODELS_FILE": str(models), "GATEWAY_LOG_LEVEL": "info"}
        scale = [part for kind in _IDLE for part in ("--scale", f"{kind}=0")]
        with bench_stack(*scale, env=env) as stack:
            asyncio.run(_measure(stack, report, events))
    report.add("load_after", os.getloadavg()[0])
    for name, aim, at_most in (
        ("ingest_events_per_s", 3_000, False),
        ("recovery_s", 60, True),
        ("month_report_p50_ms", 200, True),
        ("verify_differences", 0, True),
    ):
        # A smaller ledger is read and recovered sooner: that would prove nothing.
        if events >= FULL_SIZE or name in ("ingest_events_per_s", "verify_differences"):
            report.aim(name, aim, at_most=at_most)
    _write(report)
    report.show(options.json)
    return 0


async def _measure(stack: BenchStack, report: Report, events: int) -> None:
    key = await _make_services(stack)
    began = time.perf_counter()
    ends, until_ms = await _fill(stack, events)
    report.add("written_per_s", events / (time.perf_counter() - began))
    redis = redis_client(Settings.from_env(stack.env).redis_url)
    worker = _Worker(stack, redis, ends)
    try:
        await _ingest(worker, report, events)
        await _reports(stack, key, report, until_ms)
        await _recovery(worker, report)
        await _rebuild(worker, redis, report)
        await _prove(stack, report)
        report.add("ledger_resident_mib", worker.resident_mib())
        report.add("redis_mib", (await redis.info("memory"))["used_memory"] / _MIB)
    finally:
        await redis.aclose()


async def _ingest(worker: "_Worker", report: Report, events: int) -> None:
    began = time.perf_counter()
    worker.start()
    while not (first := await worker.folded()):
        await asyncio.sleep(_LOOK_S)
    first_at = time.perf_counter()
    await worker.until_folded()
    # What was folded before the first look counts in neither.
    report.add("start_to_first_event_s", first_at - began)
    report.add("ingest_events_per_s", (events - first) / (time.perf_counter() - first_at))
    report.add("ingest_worker_cpu_ms_per_event", 1000 * worker.cpu_s() / events)


async def _recovery(worker: "_Worker", report: Report) -> None:
    """From SIGKILL to ready: the group's patience with the dead member, the changelog, the rows."""
    began = time.perf_counter()
    worker.kill()
    await worker.until_ready()
    report.add("recovery_s", time.perf_counter() - began)


async def _rebuild(worker: "_Worker", redis: Redis, report: Report) -> None:
    began = time.perf_counter()
    await redis.flushall()
    await worker.until_folded()
    report.add("flushall_rebuild_s", time.perf_counter() - began)


async def _reports(stack: BenchStack, key: str, report: Report, until_ms: int) -> None:
    start, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (until_ms - DAYS * DAY_MS, until_ms))
    period = {"from": f"{start:%Y-%m-%d}", "to": f"{end:%Y-%m-%d}"}
    asked = {
        "month_report": {},
        "month_report_all_columns": {"group_by": "service,key,module,model,upstream,lane,outcome"},
        "month_report_by_day": {"group_by": "service,day"},
        "month_report_by_hour": {"group_by": "service,hour"},
        "month_report_of_a_service": {"service": SERVICES[0]},
    }
    async with aiohttp.ClientSession(stack.url, headers={"Authorization": f"Bearer {key}"}) as http:
        for name, more in asked.items():
            took: list[float] = []
            requests = 0
            for _ in range(REPORTS):
                began = time.perf_counter()
                async with http.get("/v1/usage", params={**period, **more}) as answer:
                    found = await answer.json()
                took.append(1000 * (time.perf_counter() - began))
                if answer.status != 200:
                    raise RuntimeError(f"{name}: {answer.status} {found}")
                requests = found["total"]["requests"]
            report.add(f"{name}_p50_ms", percentile(took, 0.5))
            report.add(f"{name}_worst_ms", max(took))
            report.add(f"{name}_requests", requests)


async def _prove(stack: BenchStack, report: Report) -> None:
    began = time.perf_counter()
    command = (ROOT / "gateway", "usage", "verify", "--json")
    done = await asyncio.to_thread(subprocess.run, command, env=stack.env, stdout=subprocess.PIPE, check=False)
    proof = json.loads(done.stdout)
    report.add("verify_s", time.perf_counter() - began)
    report.add("verify_rows", proof["rows"])
    report.add("verify_differences", sum(len(proof[name]) for name in ("differences", "sums", "unmetered")))


async def _make_services(stack: BenchStack) -> str:
    """Make the services that the events name; return an administrator's key."""
    now_ms, key = int(time.time() * 1000), ""
    async with KafkaPublisher(stack.bootstrap) as publisher:
        for service in SERVICES:
            record, key = make_key(service, (Scope.USAGE, Scope.ADMIN), None, now_ms)
            await publisher.publish(API_KEYS, record.key_id, record)
    return key


async def _fill(stack: BenchStack, events: int) -> tuple[dict[int, int], int]:
    """Put the events on the log; return its ends by partition and the time before which all were measured."""
    codec, until_ms = Codec(), int(time.time() * 1000)
    ends = dict.fromkeys(range(JOB_PARTITIONS), 0)

    def writes(made: Iterable[UsageEvent]) -> Iterator[Write]:
        for event in made:
            partition = job_partition(event.request_id)
            ends[partition] += 1
            yield Write(USAGE_EVENTS.name, partition, event.request_id.encode(), codec.encode(event))

    made = usage_events(events, SEED, until_ms)
    async with bulk_producer(stack.bootstrap) as producer:
        while some := list(islice(made, _WRITTEN_AT_ONCE)):
            await write_all(producer, writes(some))
    return ends, until_ms


class _Worker:
    """The one metering worker of the stack. `ends` is what it has to fold, by partition."""

    def __init__(self, stack: BenchStack, redis: Redis, ends: Mapping[int, int]) -> None:
        self._stack, self._redis, self._ends = stack, redis, ends

    def start(self) -> None:
        """Have the supervisor run it, and keep it alive from now on."""
        Stack(self._stack.env, Settings.from_env(self._stack.env)).start({"metering": 1})

    def kill(self) -> None:
        """End it as a crash would."""
        process = self._process()
        process.kill()
        process.wait()

    async def until_ready(self) -> None:
        """Wait until a process of it serves; the supervisor's own view follows some polls later."""
        async with asyncio.timeout(_WAIT_S):
            while not await self._is_ready():
                await asyncio.sleep(_LOOK_S)

    async def folded(self) -> int:
        """Return how many of the events are shown in Redis; 0 while any partition has none."""
        raw = await self._redis.mget([redis_keys.usage_marker(p) for p in self._ends])
        markers = [decode_marker(one) for one in raw]
        if any(m is None or m.folded.events < 0 for m in markers):
            return 0
        return sum(m.folded.events for m in markers if m is not None)

    async def until_folded(self) -> None:
        """Wait until everything is shown."""
        async with asyncio.timeout(_WAIT_S):
            while await self.folded() < sum(self._ends.values()):
                await asyncio.sleep(_LOOK_S)

    def cpu_s(self) -> float:
        """Return the CPU seconds of the process since its start."""
        times = self._process().cpu_times()
        return times.user + times.system

    def resident_mib(self) -> float:
        """Return the memory of the process."""
        return self._process().memory_info().rss / _MIB

    async def _is_ready(self) -> bool:
        status = self._status()
        if status is None or status.pid is None:
            return False
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{status.port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def _process(self) -> psutil.Process:
        status = self._status()
        assert status is not None, "start it first"
        assert status.pid is not None, f"metering has no process: {status.reason}"
        return psutil.Process(status.pid)

    def _status(self) -> ServiceStatus | None:
        states = read_states(self._stack.data_dir / "stack" / "state.json")
        return next((s for s in states if s.name == "metering"), None)


def _write(report: Report) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    RESULTS.write_text(json.dumps({"about": about, **json.loads(report.as_json())}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
