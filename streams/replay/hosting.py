"""Makes what running replays needs, in the process that hosts it."""

import asyncio
from contextlib import AsyncExitStack

from schemas.codec import Codec
from schemas.topics import MODULES, PURGES, REPLAYS
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import Decoder, Publisher
from streams.module_registry import ModuleRegistry
from streams.purge.purged import PurgedJobs
from streams.replay.runner import GROUP, RunnerTools, run_replays
from streams.replay.view import Replays
from streams.settings import Settings
from streams.stages import all_stages
from streams.storage.store import open_blob_store


async def host_replays(
    settings: Settings,
    codec: Codec,
    decoder: Decoder,
    publisher: Publisher,
    stop: asyncio.Event,
    *,
    group: str = GROUP,
) -> None:
    """Run replays until `stop`, in whichever process holds the lease; any number of processes may do this."""
    async with AsyncExitStack() as stack:
        replays = Replays(KafkaTail(settings.kafka_bootstrap, REPLAYS.name), decoder, publisher)
        await stack.enter_async_context(replays)
        modules = ModuleRegistry(KafkaTail(settings.kafka_bootstrap, MODULES.name), decoder, None, noop=settings.noop)
        await stack.enter_async_context(modules)
        await modules.caught_up()
        purged = PurgedJobs(KafkaTail(settings.kafka_bootstrap, PURGES.name), decoder, publisher)
        await stack.enter_async_context(purged)
        await purged.caught_up()
        tools = RunnerTools(
            bootstrap=settings.kafka_bootstrap,
            publisher=publisher,
            decoder=decoder,
            codec=codec,
            blobs=open_blob_store(settings.blob_url),
            purged=purged,
            modules=modules,
            stages=all_stages(),
            replays=replays,
        )
        await run_replays(tools, stop, group)
