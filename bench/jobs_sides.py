"""The two systems that `bench jobs` compares, behind one interface: the gateway's probe and the Celery peer."""

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Protocol

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from bench.peers.celery_peer import HERE, VENV, CeleryPeer
from bench.peers.environment import kill_group
from bench.probe.stack import Probe
from bench.stack import BenchStack
from cli.stack.states import read_states
from schemas import topics
from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, JobResult, Lane, StageRequest, Step
from schemas.ids import event_id, new_job_id
from schemas.payloads import text_payload
from schemas.pipelines import request_event_id
from streams import redis_keys
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.redis_keys import NOTHING_FOLDED, Marker

_MIB = 1024 * 1024
_STEPS = (Step("noop", "noop"),)
_READY_S = 90.0
_BATCH = 1000


class Side(Protocol):
    """One system under test. `name` begins the names of its figures."""

    name: str
    url: str

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request."""
        ...

    async def start(self, processors: int, slots: int) -> None:
        """Start so many processors, each with so many jobs at a time, and wait until they serve."""
        ...

    async def stop(self) -> None:
        """End all processors."""
        ...

    async def fill(self, count: int, sleep_ms: int) -> Sequence[str]:
        """Queue jobs while the processors stand still, and let them go on; returns their ids where known."""
        ...

    async def done(self) -> int:
        """Return how many jobs have ended since the system started."""
        ...

    async def kill_one(self) -> None:
        """SIGKILL one processor and all that it started."""
        ...

    def memory_mib(self) -> dict[str, float]:
        """Return the memory of each process (proportional set size), by name."""
        ...


class GatewaySide:
    """The gateway: a stack, with probes as processors."""

    name = "gateway"

    def __init__(self, stack: BenchStack, consumer: AIOKafkaConsumer) -> None:
        self.url, self.headers = stack.url, {"Authorization": f"Bearer {stack.key}"}
        self._stack, self._consumer = stack, consumer
        self._probes: list[Probe] = []
        self._redis = Redis.from_url(f"redis://127.0.0.1:{stack.env['GATEWAY_REDIS_PORT']}/0")

    async def start(self, processors: int, slots: int) -> None:
        """Start probes and wait until each has its partitions."""
        self._probes = [Probe(self._stack, f"probe-{n}", concurrency=slots) for n in range(1, processors + 1)]
        for probe in self._probes:
            probe.start()
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            if all([await asyncio.to_thread(probe.is_ready) for probe in self._probes]):
                return
            await asyncio.sleep(0.2)
        raise RuntimeError("the processors did not become ready")

    async def stop(self) -> None:
        """Drain and end the probes."""
        await asyncio.gather(*(asyncio.to_thread(probe.stop) for probe in self._probes))
        self._probes = []

    async def fill(self, count: int, sleep_ms: int) -> Sequence[str]:
        """Write requests and their `accepted` events straight to the log."""
        records: list[Outgoing] = []
        now_ms = int(time.time() * 1000)
        for i in range(count):
            job = JobRef(new_job_id(now_ms), "local", "bench", "probe", "1", Lane.INTERACTIVE, now_ms, f"{i:064x}")
            request = StageRequest(
                request_event_id(job.job_id, 0, "noop"),
                job,
                _STEPS,
                0,
                (text_payload("x"),),
                options=f'{{"sleep_ms":{sleep_ms}}}' if sleep_ms else "{}",
                requested_at_ms=now_ms,
            )
            accepted = JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, _STEPS, now_ms)
            records.append(Outgoing(topics.NOOP.requests[Lane.INTERACTIVE], job.job_id, request, {}))
            records.append(Outgoing(topics.JOB_EVENTS, job.job_id, accepted, {}))
        self._signal(signal.SIGSTOP)
        try:
            async with KafkaPublisher(self._stack.bootstrap, codec=Codec(), delivery_timeout_s=60) as publisher:
                for begin in range(0, len(records), _BATCH):
                    await publisher.publish_many(records[begin : begin + _BATCH])
        finally:
            self._signal(signal.SIGCONT)
        return [record.key for record in records[::2]]

    async def done(self) -> int:
        """Return how many results are on the log."""
        partitions = [TopicPartition(topics.RESULTS.name, p) for p in range(topics.RESULTS.partitions)]
        return sum((await self._consumer.end_offsets(partitions)).values())

    async def until_worked_off(self) -> None:
        """Wait until the results stop growing at one for each request."""
        requests = topics.NOOP.requests[Lane.INTERACTIVE]
        queued = [TopicPartition(requests.name, p) for p in range(requests.partitions)]
        while await self.done() < sum((await self._consumer.end_offsets(queued)).values()):
            await asyncio.sleep(0.05)

    async def until_shown(self) -> None:
        """Wait until the views show every result that is on the log."""
        results = await self.done()
        while sum(m.folded.results for m in await self._markers() if m is not None) < results:
            await asyncio.sleep(0.02)

    async def write_whole_jobs(self, count: int) -> int:
        """Write `accepted`, `done` and result of jobs that nobody works on; returns the number of records."""
        now_ms = int(time.time() * 1000)
        records: list[Outgoing] = []
        for i in range(count):
            job = JobRef(new_job_id(now_ms), "local", "bench", "probe", "1", Lane.INTERACTIVE, now_ms, f"{i:064x}")
            accepted = JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, _STEPS, now_ms)
            done = JobEvent(
                event_id(job.job_id, 0, "done"), job, JobEventKind.STAGE_DONE, _STEPS, now_ms, step="noop", attempt=1
            )
            result = JobResult(
                event_id(job.job_id, 0, "result"),
                job,
                "done",
                _STEPS,
                text_payload("x"),
                step="noop",
                finished_at_ms=now_ms,
            )
            for topic, record in ((topics.JOB_EVENTS, accepted), (topics.JOB_EVENTS, done), (topics.RESULTS, result)):
                records.append(Outgoing(topic, job.job_id, record, {}))
        async with KafkaPublisher(self._stack.bootstrap, codec=Codec(), delivery_timeout_s=60) as publisher:
            for begin in range(0, len(records), _BATCH):
                await publisher.publish_many(records[begin : begin + _BATCH])
        return len(records)

    def job_state_seconds(self) -> dict[str, float]:
        """Return the seconds that job-state has spent in each step of its batches, as it tells by itself."""
        port = next(s["port"] for s in self._stack.status() if s["name"] == "job-state")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return {
            sample.labels["part"]: sample.value
            for family in families
            for sample in family.samples
            if sample.name == "gateway_job_state_flush_seconds_sum"
        }

    def kill_job_state(self) -> None:
        """SIGKILL job-state; the stack starts it again."""
        os.kill(self._stack.pid("job-state"), signal.SIGKILL)

    async def flush_redis(self) -> None:
        """Empty Redis."""
        await self._redis.flushall()

    async def jobs_shown(self) -> int:
        """Return how many jobs the views hold in partitions whose views are whole."""
        if any(m is None or m.folded == NOTHING_FOLDED for m in await self._markers()):
            return 0
        return await self._redis.zcard(redis_keys.jobs("local"))

    async def _markers(self) -> list[Marker | None]:
        found = await self._redis.mget([redis_keys.marker(p) for p in range(topics.JOB_PARTITIONS)])
        return [redis_keys.decode_marker(one) for one in found]

    async def kill_one(self) -> None:
        """SIGKILL the first probe; nobody starts it again."""
        self._probes[0].signal(signal.SIGKILL)

    def memory_mib(self) -> dict[str, float]:
        """Return the memory of the processes that a no-op job passes through."""
        wanted = ("kafka", "redis", "ingress", "job-state")
        states = read_states(self._stack.data_dir / "stack" / "state.json")
        pids = {s.name: s.pid for s in states if s.name in wanted and s.pid is not None}
        return _memory(pids | {p.name: p.pid for p in self._probes if p.alive})

    def _signal(self, number: int) -> None:
        for probe in self._probes:
            probe.signal(number)


class CelerySide:
    """The peer."""

    name = "celery"
    headers: Mapping[str, str] = {}

    def __init__(self, peer: CeleryPeer) -> None:
        self.url = peer.url
        self._peer = peer
        self._redis = Redis.from_url(peer.redis_url)

    async def start(self, processors: int, slots: int) -> None:
        """Start workers; `slots` is their pool's size, capped at what one would give to two cores."""
        await asyncio.to_thread(self._peer.start_workers, processors, slots)

    async def stop(self) -> None:
        """End the workers."""
        await asyncio.to_thread(self._peer.stop_workers)

    async def fill(self, count: int, sleep_ms: int) -> Sequence[str]:
        """Queue tasks with Celery's own client."""
        self._signal(signal.SIGSTOP)
        try:
            command = (VENV / "bin" / "python", "fill.py", str(count), str(sleep_ms))
            await asyncio.to_thread(subprocess.run, command, cwd=HERE, env=self._peer.env, check=True)
        finally:
            self._signal(signal.SIGCONT)
        return ()

    async def done(self) -> int:
        """Return how many results are in the result backend."""
        return len([key async for key in self._redis.scan_iter("celery-task-meta-*", count=2000)])

    async def kill_one(self) -> None:
        """SIGKILL the first worker with its pool."""
        await asyncio.to_thread(kill_group, self._peer.workers.pop(0))

    def memory_mib(self) -> dict[str, float]:
        """Return the memory of Redis, the door and the workers."""
        return _memory(self._peer.pids())

    def _signal(self, number: int) -> None:
        for worker in self._peer.workers:
            os.killpg(worker.pid, number)


def _memory(pids: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, pid in pids.items():
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        found[name] = sum(process.memory_full_info().pss for process in family) / _MIB
    return found
