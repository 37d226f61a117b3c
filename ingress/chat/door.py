"""What the interactive routes share."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from ingress.auth import Caller
from ingress.chat.requests import FULL, Recorder
from ingress.chat.usage import Meter
from processors.llm.errors import ModelNotAllowed, NoUpstream
from processors.llm.pool.models import PublicModel
from processors.llm.pool.pool import Pool
from processors.llm.pool.shared import shared_pool
from schemas.services import ServiceSettings
from streams.log.protocols import Publisher
from streams.settings import Settings
from streams.storage.blobs import BlobStore

_NOT_FOUND_RETRY_S = 5.0
_NOT_SET_RETRY_S = 60.0


SettingsOf = Callable[[str], ServiceSettings]
"""Returns what is set for a service, by its name."""


@dataclass(frozen=True, slots=True)
class ChatDoor:
    """The pool, the log, the meter, and what services may do."""

    pool: Pool
    recorder: Recorder
    meter: Meter
    settings_of: SettingsOf = ServiceSettings

    def model(self, name: str, caller: Caller) -> PublicModel:
        """Return the model that a caller means.

        Raises UnknownModel, ModelNotAllowed (to the service or to the key), or NoUpstream while there is no model.
        """
        catalogue = self.pool.catalogue
        if catalogue.models:
            model = catalogue.resolve(name, caller.service)
            if not self._may(caller, model):
                names = ", ".join(m.name for m in self.open_to(caller)) or "none"
                raise ModelNotAllowed(
                    f"model '{model.name}' is not open to the key {caller.key_id} of the service {caller.service}",
                    remedy=f"open to it are: {names}",
                )
            return model
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

    def open_to(self, caller: Caller) -> tuple[PublicModel, ...]:
        """Return the models that a caller may use, in the order of their declaration."""
        return tuple(m for m in self.pool.catalogue.open_to(caller.service) if self._may(caller, m))

    def allowed(self, caller: Caller) -> frozenset[str] | None:
        """Return the names of the models that are set for a caller's service and key; None when none are."""
        allowances = self.settings_of(caller.service).allowances(caller.key_id)
        named = [frozenset(allowance.models) for allowance in allowances if allowance.models is not None]
        return frozenset.intersection(*named) if named else None

    def _may(self, caller: Caller, model: PublicModel) -> bool:
        allowed = self.allowed(caller)
        return allowed is None or model.name in allowed


@asynccontextmanager
async def open_chat_door(
    settings: Settings,
    publisher: Publisher,
    blobs: BlobStore,
    redis: Redis,
    env: Mapping[str, str],
    settings_of: SettingsOf,
    replica: str,
) -> AsyncGenerator[ChatDoor]:
    """Run what the interactive routes need; `env` holds the upstreams' keys. Nothing has to be up for that.

    `replica` is the name under which this process is in touch in Redis.
    """

    def keeps_content(service: str) -> bool:
        return (settings_of(service).chat_content or settings.chat_content) == FULL

    meter = Meter(publisher)
    async with shared_pool(settings, redis, env) as pool:
        try:
            yield ChatDoor(pool, Recorder(publisher, blobs, keeps_content, replica), meter, settings_of)
        finally:
            await meter.close()
