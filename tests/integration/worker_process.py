"""A worker in a process of its own, to be killed: `python -m tests.integration.worker_process KAFKA KIND HANDLER`."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack

from schemas.events import StageRequest
from schemas.topics import stage_topics
from streams.logs import configure_logging
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.worker import Worker, group_of
from tests.integration.worker_harness import make_tools


async def killer(request: StageRequest, context: Context) -> Result:
    """Kill this process where the request says so."""
    if request.options != "{}":
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(request.inputs)


async def slow(request: StageRequest, context: Context) -> Result:
    """Take 50 ms."""
    await asyncio.sleep(0.05)
    return Result(request.inputs)


HANDLERS = {"killer": killer, "slow": slow}


async def main(bootstrap: str, kind: str, handler: str) -> None:
    """Serve until SIGTERM."""
    configure_logging("warning", kind)
    stage = stage_topics(kind, f"{kind}.requests", None)
    processor = Processor(stage, HANDLERS[handler])
    async with AsyncExitStack() as stack:
        tools = await make_tools(stack, bootstrap)
        topics = [topic.name for topic in stage.requests.values()]
        worker = Worker(processor, KafkaSubscriber(bootstrap, group_of(processor), topics), tools, stages={kind: stage})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
