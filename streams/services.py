"""The settings of every service, in memory: the topic `services`, read from its start and followed."""

from collections.abc import Callable
from functools import lru_cache
from typing import Self

from schemas.services import ServiceSettings
from streams.log.compacted_view import CompactedView
from streams.log.protocols import Decoder, Publisher, Tail

OnChange = Callable[[str, ServiceSettings | None], None]
_unset = lru_cache(maxsize=4096)(ServiceSettings)


class Services:
    """What is set for each service; enter it to follow the topic. A change arrives within a second.

    Until the topic was read (`loaded`), and while the log is down, what is in memory holds.
    `on_change` is called with the name and the settings, or None when they were removed; it must not block.
    """

    def __init__(
        self, tail: Tail, decoder: Decoder, publisher: Publisher | None, on_change: OnChange | None = None
    ) -> None:
        self._view = CompactedView(tail, ServiceSettings, decoder, publisher, on_change=on_change)

    async def __aenter__(self) -> Self:
        await self._view.__aenter__()
        return self

    async def __aexit__(self, *args: object) -> None:
        await self._view.__aexit__(*args)

    @property
    def loaded(self) -> bool:
        """Whether the whole topic was read once."""
        return self._view.loaded

    async def caught_up(self) -> None:
        """Wait until everything that was on the topic at the start is in the view."""
        await self._view.caught_up()

    async def refresh(self) -> bool:
        """Wait until what is on the topic now is in the view; tell whether that came in time."""
        return await self._view.refresh()

    def get(self, service: str) -> ServiceSettings:
        """Return a service's settings: the defaults when nothing is set for it."""
        return self._view.find(service) or _unset(service)

    def known(self, service: str) -> bool:
        """Tell whether something is set for a service. One that only has keys is a service too."""
        return service in self._view

    def all(self) -> tuple[ServiceSettings, ...]:
        """Return everything that is set, by name."""
        return tuple(self._view[name] for name in sorted(self._view))

    def with_batch_door(self) -> frozenset[str]:
        """Return the services that have a Kafka door open."""
        return frozenset(s.service for s in self._view.values() if s.batch and not s.disabled)
