"""Which services there are: those that have, or had, an API key."""

from schemas.events import ApiKey
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail


class Services:
    """Knows the services; enter `view` to follow them."""

    def __init__(self, tail: Tail, decoder: Decoder, publisher: Publisher | None) -> None:
        self._known: set[str] = set()
        self.view = CompactedView(tail, ApiKey, decoder, publisher, on_change=self._learn, keep=False)

    async def knows(self, service: str) -> bool:
        """Tell whether there is such a service; one that is not known yet is looked for on the log as it is now."""
        if service not in self._known:
            await self.view.refresh()
        return service in self._known

    def _learn(self, _key: str, record: ApiKey | None) -> None:
        if record is not None:
            self._known.add(record.service)
