"""Workers in a process of their own, to be killed: `python -m tests.integration.worker_process KAFKA KIND=HANDLER…`."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
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


LONG_IS_IN_WORK = asyncio.Event()


async def long(request: StageRequest, context: Context) -> Result:
    """Take 2 s."""
    LONG_IS_IN_WORK.set()
    await asyncio.sleep(2)
    return Result(request.inputs)


async def killer_beside(request: StageRequest, context: Context) -> Result:
    """Kill this process, where there is one, while `long` is in work and the attempts at both are committed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await LONG_IS_IN_WORK.wait()
    await asyncio.sleep(0.7)
    os.kill(os.getpid(), signal.SIGKILL)
    return Result(request.inputs)


HANDLERS = {"killer": killer, "slow": slow, "long": long, "killer_beside": killer_beside}


async def main(bootstrap: str, *served: str) -> None:
    """Serve until SIGTERM."""
    configure_logging("warning", served[0])
    handlers = dict(each.split("=") for each in served)
    stages = {kind: stage_topics(kind, f"{kind}.requests", None) for kind in handlers}
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:  # the workers end before their tools
        tools, stops = await make_tools(stack, bootstrap), list[Callable[[], None]]()
        for kind, stage in stages.items():
            processor = Processor(stage, HANDLERS[handlers[kind]])
            topics = [topic.name for topic in stage.requests.values()]
            subscriber = KafkaSubscriber(bootstrap, group_of(processor), topics)
            worker = Worker(processor, subscriber, tools, stages=stages)
            group.create_task(worker.run())
            stops.append(worker.stop)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: [stop() for stop in stops])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
