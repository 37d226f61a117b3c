"""The system under test, as the faults get hold of it: its processes, its blob folder, its topics."""

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from bench.probe.stack import Ingress, OwnProcess, Probe
from bench.stack import ROOT, BenchStack
from cli.stack.launch import Stack
from cli.stack.states import SETTLED, ServiceState, ServiceStatus, read_states
from schemas.topics import API_KEYS
from streams.api_keys import DEFAULT_SCOPES, make_key
from streams.client.door import DoorClient
from streams.log.kafka_publisher import KafkaPublisher
from streams.redis_client import redis_client
from streams.settings import Settings

PROBES = 2
_RESTART_S = 0.5
_BLOBS_MIB = 192


@dataclass
class System:
    """A stack, its probes and its second ingress.

    `blobs` is the folder of the blob store; `volume` what can be filled up, if anything.
    """

    stack: BenchStack
    blobs: Path
    volume: Path | None
    publisher: KafkaPublisher
    redis: Redis
    chance: random.Random
    probes: list[Probe] = field(default_factory=list)
    ingresses: list[Ingress] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)
    without: frozenset[str] = frozenset()

    @property
    def services(self) -> list[ServiceStatus]:
        """The stack's processes as its supervisor sees them."""
        return read_states(self.stack.data_dir / "stack" / "state.json")

    @property
    def beside(self) -> list[OwnProcess]:
        """The processes that the supervisor does not know."""
        return [*self.probes, *self.ingresses]

    @property
    def urls(self) -> list[str]:
        """Where the replicas of ingress answer."""
        return [self.stack.url, *(ingress.url for ingress in self.ingresses)]

    def one_of(self, kind: str) -> str:
        """Return the name of one of the replicas of a kind; a name stays as it is."""
        replicas = sorted(name for name in self.pids() if re.fullmatch(rf"{kind}(-\d+)?", name))
        return self.chance.choice(replicas) if replicas else kind

    def pids(self) -> dict[str, int]:
        """Return the pid of every process of the system, by name."""
        found = {s.name: s.pid for s in self.services if s.pid is not None}
        return found | {p.name: p.pid for p in self.beside if p.alive}

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process; one that is just being restarted gets none."""
        pid = self.pids().get(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def scale(self, kind: str, count: int) -> None:
        """Have the supervisor run so many processes of a kind."""
        Stack(self.stack.env, Settings.from_env(self.stack.env)).start({kind: count})

    def unready(self) -> list[str]:
        """Return what does not serve now."""
        waiting = [s.name for s in self.services if s.state != ServiceState.READY and s.name not in self.without]
        return waiting + [p.name for p in self.beside if p.name not in self.resting and not p.is_ready()]

    async def settle(self, timeout_s: float) -> list[str]:
        """Wait for the first time until everything serves; what says that it cannot (no model, say) is left out."""
        until = time.monotonic() + timeout_s
        while any(s.state not in SETTLED for s in self.services) and time.monotonic() < until:
            await asyncio.sleep(0.25)
        self.without = frozenset(s.name for s in self.services if s.state == ServiceState.UNAVAILABLE)
        return await self.until_ready(until - time.monotonic())

    async def until_ready(self, timeout_s: float) -> list[str]:
        """Wait until everything serves; return what still does not."""
        until = time.monotonic() + timeout_s
        while (waiting := await asyncio.to_thread(self.unready)) and time.monotonic() < until:
            await asyncio.sleep(0.25)
        return waiting

    async def keep_alive(self) -> None:
        """Start what is beside the stack again when it dies, for ever."""
        while True:
            for process in self.beside:
                if not process.alive and process.name not in self.resting:
                    process.start()
            await asyncio.sleep(_RESTART_S)


@asynccontextmanager
async def open_system(
    stack: BenchStack, blobs: Path, volume: Path | None, seed: int, probes: int = PROBES
) -> AsyncGenerator[System]:
    """Connect to the stack, start the probes and a second ingress, and keep them alive."""
    settings = Settings.from_env(stack.env)
    redis = redis_client(settings.redis_url)
    async with KafkaPublisher(stack.bootstrap, delivery_timeout_s=30) as publisher:
        system = System(stack, blobs, volume, publisher, redis, random.Random(seed))
        system.probes = [Probe(stack, f"probe-{n}") for n in range(1, probes + 1)]
        system.ingresses = [Ingress(stack, "ingress-2", settings.redis_url)]
        keeping = asyncio.create_task(system.keep_alive())
        try:
            yield system
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            for name in system.pids():
                system.signal(name, signal.SIGCONT)
            for process in system.beside:
                await asyncio.to_thread(process.stop)
            await redis.aclose()


async def make_keys(system: System, services: list[str]) -> dict[str, str]:
    """Make an API key for each service."""
    keys: dict[str, str] = {}
    for service in services:
        record, key = make_key(service, tuple(DEFAULT_SCOPES), None, int(time.time() * 1000))
        await system.publisher.publish(API_KEYS, record.key_id, record)
        keys[service] = key
    return keys


@asynccontextmanager
async def open_doors(system: System, services: Sequence[str]) -> AsyncGenerator[dict[str, DoorClient]]:
    """Open a batch door for each service and connect to it."""
    async with contextlib.AsyncExitStack() as opened:
        doors: dict[str, DoorClient] = {}
        for service in services:
            command = (ROOT / "gateway", "services", "create", service, "--batch")
            await asyncio.to_thread(subprocess.run, command, env=system.stack.env, capture_output=True, check=True)
            doors[service] = await opened.enter_async_context(DoorClient(system.stack.bootstrap, service))
        yield doors


@contextmanager
def blob_folder() -> Generator[tuple[Path, Path | None]]:
    """Give a folder for blobs, on a small volume of its own where one may be mounted (root); else without one."""
    with tempfile.TemporaryDirectory(prefix="gateway-volume-") as name:
        volume = Path(name)
        command = ("mount", "-t", "tmpfs", "-o", f"size={_BLOBS_MIB}m", "tmpfs", name)
        mounted = os.getuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
        try:
            yield volume / "blobs", volume if mounted else None
        finally:
            if mounted:
                subprocess.run(("umount", "-l", name), check=False)
