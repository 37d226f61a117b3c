"""Which services there are: those that have, or had, an API key, and those that something is set for."""

from contextlib import AsyncExitStack
from typing import Self

from schemas.errors import Outage, UndecodableRecord
from schemas.events import ApiKey
from schemas.services import ServiceSettings
from schemas.topics import API_KEYS, SERVICES
from streams.log.compacted_view import CompactedView
from streams.log.kafka_range import log_ends, read_range
from streams.log.protocols import Decoder, Publisher, Tail
from streams.services import Services


class KnownServices:
    """Knows the services; enter it to follow them. `settings` is what is set for them."""

    def __init__(
        self, keys: Tail, decoder: Decoder, publisher: Publisher | None, settings: Services | None = None
    ) -> None:
        self._known: set[str] = set()
        self._keys = CompactedView(keys, ApiKey, decoder, publisher, on_change=self._learn, keep=False)
        self.settings = settings
        self._newest_ms = self._looked_ms = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._keys)
        if self.settings is not None:
            await self._stack.enter_async_context(self.settings)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def caught_up(self) -> None:
        """Wait until every service is known that there was at the start."""
        await self._keys.caught_up()
        if self.settings is not None:
            await self.settings.caught_up()

    def use_is_logged(self, newest_ms: int) -> None:
        """Take note that use was on the log by now whose newest was logged at `newest_ms`, in milliseconds."""
        self._newest_ms = max(self._newest_ms, newest_ms)

    async def knows(self, service: str, logged_ms: int) -> bool:
        """Tell whether there was such a service when it was used, which was logged at `logged_ms`.

        One that is not known yet is looked for on the log, but not again for use that was on the log before the last
        look: a service is there before its use, and each look costs a quarter of a second, for which all others wait.
        Raises Outage when the log cannot be looked through: what is refused for that would be lost.
        """
        if not self._knows(service) and logged_ms > self._looked_ms:
            newest_ms = max(self._newest_ms, logged_ms)
            seen = await self._keys.refresh()
            if self.settings is not None and not self._knows(service):
                seen = await self.settings.refresh() and seen
            if not self._knows(service):
                if not seen:
                    raise Outage("the log does not tell which services there are", code="log_unavailable")
                self._looked_ms = newest_ms
        return self._knows(service)

    def _knows(self, service: str) -> bool:
        return service in self._known or (self.settings is not None and self.settings.known(service))

    def _learn(self, _key: str, record: ApiKey | None) -> None:
        if record is not None:
            self._known.add(record.service)


async def services_since(bootstrap: str, decoder: Decoder) -> dict[str, int]:
    """Return since when each service is known, in milliseconds, by a plain look at the log. Raises Outage."""
    since: dict[str, int] = {}
    for topic, kind in ((API_KEYS.name, ApiKey), (SERVICES.name, ServiceSettings)):
        async for batch in read_range(bootstrap, topic, await log_ends(bootstrap, topic)):
            for record in batch:
                try:
                    found = await decoder.decode(record.value or b"", kind)
                except UndecodableRecord:
                    continue  # a removal, or one of the dead letters
                at_ms = found.created_at_ms or record.timestamp_ms
                since[found.service] = min(at_ms, since.get(found.service, at_ms))
    return since
