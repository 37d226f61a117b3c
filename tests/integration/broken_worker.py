"""A worker that may break a promise on purpose: `python -m tests.integration.broken_worker KAFKA KIND sound|broken`.

`broken` puts an offsets tracker in place that tells everything read as finished, so that the group commits
past work that is not.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import orjson

from schemas.events import StageRequest
from schemas.topics import stage_topics
from streams.logs import configure_logging
from streams.runtime import assignment
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.offsets import PartitionOffsets
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.worker import Worker, group_of
from tests.integration.worker_harness import make_tools


class BrokenOffsets(PartitionOffsets):
    """Lets the group commit everything that was read."""

    @property
    def committable(self) -> int:
        """Where reading is, whatever is unfinished below."""
        return self._next


async def slow(request: StageRequest, context: Context) -> Result:
    """Sleep as long as the request says."""
    await asyncio.sleep(orjson.loads(request.options).get("sleep_ms", 0) / 1000)
    return Result(request.inputs)


async def main(bootstrap: str, kind: str, how: str) -> None:
    """Serve until SIGTERM."""
    configure_logging("warning", kind)
    if how == "broken":
        assignment.PartitionOffsets = BrokenOffsets
    stage = stage_topics(kind, f"{kind}.requests", None)
    async with AsyncExitStack() as stack:
        tools = await make_tools(stack, bootstrap)
        topics = [topic.name for topic in stage.requests.values()]
        processor = Processor(stage, slow, concurrency=64)
        worker = Worker(processor, KafkaSubscriber(bootstrap, group_of(processor), topics), tools, stages={kind: stage})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
