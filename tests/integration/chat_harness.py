"""For tests of the interactive path: two kinds of model servers, an ingress over them, and what is on the log."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.codec import Codec
from schemas.events import ChatRequest, UsageEvent
from schemas.topics import CHAT_REQUESTS, JOB_PARTITIONS, USAGE_EVENTS
from tests.integration.ingress_harness import Ingress, running_ingress, settings_for
from tests.sim.launch import Simulator, start
from tests.waiting import eventually

NATIVE, COMPATIBLE = "tiny", "gpt"
"""Public models: one on a simulated Ollama, one on a simulated OpenAI-compatible server."""

UPSTREAM_KEY = "sim-secret"
_KINDS = {ChatRequest: CHAT_REQUESTS, UsageEvent: USAGE_EVENTS}

_MODELS = """\
upstreams:
  native: {{kind: ollama, url: "{native}", limit: 64}}
  compatible: {{kind: openai, url: "{compatible}/v1", limit: 64, key_env: SIM_KEY}}
models:
  tiny: {{upstreams: [{{upstream: native, model: "tiny:latest"}}]}}
  gpt: {{upstreams: [{{upstream: compatible, model: "tiny:latest"}}]}}
  secret: {{upstreams: [{{upstream: native, model: "tiny:latest"}}], services: [somebody-else]}}
"""


class Sims:
    """One simulator of each kind."""

    def __init__(self, native: Simulator, compatible: Simulator) -> None:
        self.native = native
        self.compatible = compatible

    def of(self, model: str) -> Simulator:
        """The one that serves a model."""
        return self.native if model == NATIVE else self.compatible

    async def reset(self) -> None:
        """Make both as they were at their start."""
        await asyncio.gather(self.native.reset(), self.compatible.reset())


@contextmanager
def simulators() -> Iterator[Sims]:
    """Run the simulators."""
    native, compatible = start("ollama"), start("openai", api_key=UPSTREAM_KEY)
    try:
        yield Sims(native, compatible)
    finally:
        native.stop()
        compatible.stop()


@asynccontextmanager
async def chat_ingress(
    kafka: str, redis_url: str, folder: Path, sims: Sims, models: str = "", **more: str
) -> AsyncIterator[Ingress]:
    """Run an ingress over the simulators, with slots leased; `models` are more lines for its `models.yml`."""
    file = folder / "models.yml"
    file.write_text(_MODELS.format(native=sims.native.url, compatible=sims.compatible.url) + models)
    settings = settings_for(kafka, redis_url, folder, GATEWAY_MODELS_FILE=str(file), **more)
    async with running_ingress(settings, {"SIM_KEY": UPSTREAM_KEY}) as running:
        yield running


class OnTheLog:
    """Follows `chat.requests` and `usage.events` from their end (enter it before the calls), or from their start."""

    def __init__(self, kafka: str, *, from_start: bool = False) -> None:
        self._kafka = kafka
        self._from_start = from_start
        self._codec = Codec()
        self.requests: list[ChatRequest] = []
        self.usage: list[UsageEvent] = []

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka)
        await self._consumer.start()
        partitions = [TopicPartition(t.name, n) for t in _KINDS.values() for n in range(JOB_PARTITIONS)]
        self._consumer.assign(partitions)
        await (self._consumer.seek_to_beginning if self._from_start else self._consumer.seek_to_end)(*partitions)
        for partition in partitions:
            await self._consumer.position(partition)
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._consumer.stop()

    def requests_of(self, service: str) -> list[ChatRequest]:
        """The calls of a service."""
        return [r for r in self.requests if r.service == service]

    async def usage_of(self, service: str, calls: int = 1) -> list[UsageEvent]:
        """Wait for the usage of a service's calls."""

        def found() -> list[UsageEvent]:
            events = [e for e in self.usage if e.service == service]
            return events if len(events) >= calls else []

        return await eventually(found, 20)

    async def _follow(self) -> None:
        async for record in self._consumer:
            if record.topic == CHAT_REQUESTS.name:
                self.requests.append(self._codec.decode(record.value, ChatRequest))
            else:
                self.usage.append(self._codec.decode(record.value, UsageEvent))


def own_service() -> str:
    """A service that no other test uses."""
    return f"chat-{uuid4().hex[:10]}"
