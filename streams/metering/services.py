"""Which services there are: those that have, or had, an API key, and those that something is set for."""

from contextlib import AsyncExitStack
from typing import Self

from schemas.events import ApiKey
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail
from streams.services import Services as Settings


class Services:
    """Knows the services; enter it to follow them. `settings` is what is set for them."""

    def __init__(
        self, keys: Tail, decoder: Decoder, publisher: Publisher | None, settings: Settings | None = None
    ) -> None:
        self._known: set[str] = set()
        self._keys = CompactedView(keys, ApiKey, decoder, publisher, on_change=self._learn, keep=False)
        self.settings = settings
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

    async def knows(self, service: str) -> bool:
        """Tell whether there is such a service; one that is not known yet is looked for on the log as it is now."""
        if not self._knows(service):
            await self._keys.refresh()
            if self.settings is not None and not self._knows(service):
                await self.settings.refresh()
        return self._knows(service)

    def _knows(self, service: str) -> bool:
        return service in self._known or (self.settings is not None and self.settings.known(service))

    def _learn(self, _key: str, record: ApiKey | None) -> None:
        if record is not None:
            self._known.add(record.service)
