"""What the interactive routes share."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from ingress.chat.requests import Recorder
from ingress.chat.usage import Meter
from processors.llm.errors import NoUpstream
from processors.llm.pool.models import PublicModel
from processors.llm.pool.pool import Pool
from processors.llm.pool.shared import shared_pool
from streams.log.protocols import Publisher
from streams.settings import Settings
from streams.storage.blobs import BlobStore

_NOT_FOUND_RETRY_S = 5.0
_NOT_SET_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class ChatDoor:
    """The pool, the log and the meter."""

    pool: Pool
    recorder: Recorder
    meter: Meter

    def model(self, name: str, service: str) -> PublicModel:
        """Return the model that a caller means.

        Raises UnknownModel, ModelNotAllowed, or NoUpstream while there is no model at all.
        """
        catalogue = self.pool.catalogue
        if catalogue.models:
            return catalogue.resolve(name, service)
        if catalogue.upstreams:
            raise NoUpstream(
                f"no model was found yet on {', '.join(catalogue.upstreams)}",
                code="no_models",
                remedy="see that the model servers run and have models (./gateway doctor tells)",
                retry_after_s=_NOT_FOUND_RETRY_S,
            )
        raise NoUpstream(
            "no model server is configured",
            code="no_models",
            remedy="set GATEWAY_OLLAMA_URLS, or name the servers in models.yml (GATEWAY_MODELS_FILE), and start again",
            retry_after_s=_NOT_SET_RETRY_S,
        )


@asynccontextmanager
async def open_chat_door(
    settings: Settings, publisher: Publisher, blobs: BlobStore, redis: Redis, env: Mapping[str, str]
) -> AsyncGenerator[ChatDoor]:
    """Run what the interactive routes need; `env` holds the upstreams' keys. Nothing has to be up for that."""
    meter = Meter(publisher)
    async with shared_pool(settings, redis, env) as pool:
        try:
            yield ChatDoor(pool, Recorder(publisher, blobs, settings.chat_content), meter)
        finally:
            await meter.close()
