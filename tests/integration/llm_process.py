"""The stage `llm` as a process to be killed: `python -m tests.integration.llm_process KAFKA KIND SIM FOLDER`."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace

from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.protocols.values import Dialect
from processors.llm.stage import LlmStage
from schemas.topics import stage_topics
from streams.logs import configure_logging
from streams.runtime.kafka_subscriber import KafkaSubscriber
from streams.runtime.worker import Worker, group_of
from streams.settings import Settings
from streams.storage.checkpoints import open_checkpoints
from streams.storage.store import open_blob_store
from tests.integration.worker_harness import make_tools


async def main(bootstrap: str, kind: str, sim: str, folder: str) -> None:
    """Serve until SIGTERM, with the model `tiny` of the simulator at `sim`, and blobs in a folder."""
    configure_logging("warning", kind)
    topics = stage_topics(kind, f"{kind}.requests", None)
    model = PublicModel("tiny", (Route("sim", "tiny:latest"),), context_tokens=2048)
    catalogue = Catalogue({"sim": Upstream("sim", Dialect.OLLAMA, sim, 8)}, {"tiny": model})
    async with AsyncExitStack() as stack:
        tools = replace(await make_tools(stack, bootstrap), blobs=open_blob_store(f"file:{folder}"))
        stage = LlmStage(Settings.from_env({}), {}, open_checkpoints(f"file:{folder}"))
        stage.use(await stack.enter_async_context(open_pool(catalogue, False)))
        processor = replace(stage.processor, topics=topics)
        subscriber = KafkaSubscriber(bootstrap, group_of(processor), [topic.name for topic in topics.requests.values()])
        worker = Worker(processor, subscriber, tools, stages={kind: topics})
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
