"""A processor process as ours are, by `run`: `python -m tests.integration.stage_process KIND [MARK PARTITION]`.

Its handler tells by a file that it has begun, and goes on when another file is there. With a MARK that does not exist
yet (it is made), one partition of the interactive topic gets no records, unknown to the worker, and the watchdog is
quick to see it.
"""

import asyncio
import itertools
import os
import sys
from functools import partial
from pathlib import Path

import orjson
from aiokafka import TopicPartition

from schemas.events import StageRequest
from schemas.topics import stage_topics
from streams.log.protocols import RebalanceListener
from streams.runtime import run as running
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.watchdog import watch_consumer
from streams.runtime.worker import Worker
from streams.settings import Settings


async def handle(request: StageRequest, context: Context) -> Result:
    """Begin, tell so, and wait for the file."""
    if request.options != "{}":
        files = orjson.loads(request.options)
        add_line(files["began"], str(context.attempt))
        for _ in itertools.count():
            if exists(files["until"]):
                break
            await asyncio.sleep(0.02)
    return Result(request.inputs)


def add_line(path: str, line: str) -> None:
    """Add a line to a file."""
    with Path(path).open("a") as file:
        file.write(f"{line}\n")


def exists(path: str) -> bool:
    """Tell whether there is such a file."""
    return Path(path).exists()


class Stalling(KafkaSubscriber):
    """Fetches nothing of one partition: a stand-in for aiokafka's silent stalls."""

    deaf_to = TopicPartition("", 0)

    async def start(self, listener: RebalanceListener) -> None:
        """Join the group, and stop fetching behind the worker's back."""
        await super().start(listener)
        self._ready.pause(self.deaf_to)


def main(kind: str, mark: str = "", partition: str = "0") -> None:
    """Serve until SIGTERM."""
    topics = stage_topics(kind, f"{kind}.requests", None)
    running.Worker = partial(Worker, stages={kind: topics}, drain_s=3)
    if mark and not Path(mark).exists():
        Path(mark).touch()
        Stalling.deaf_to = TopicPartition(f"{kind}.requests", int(partition))
        running.KafkaSubscriber = Stalling
        running.watch_consumer = partial(watch_consumer, interval_s=0.2, stalled_s=1)
    running.run(Processor(topics, handle), settings=Settings.from_env(os.environ), name=kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
