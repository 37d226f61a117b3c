"""What the routes work with, wired in `ingress.__main__` and, otherwise, in tests."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from ingress.auth import Authenticator, KeyRing
from ingress.chat.door import ChatDoor
from ingress.price_file import PriceFile
from schemas.modules import ModuleSpec
from streams.claims import Claims
from streams.log.protocols import Publisher
from streams.metering.reader import UsageReader
from streams.module_registry import ModuleRegistry
from streams.purge.purged import PurgedJobs
from streams.purge.purging import Purger
from streams.quota.quotas import Quotas
from streams.replay.comparisons import Comparisons
from streams.replay.view import Replays
from streams.services import Services
from streams.serving import Choice, Lack, ServingView, absent_model, unknown_lack
from streams.settings import Settings
from streams.storage.blobs import BlobStore
from streams.tables.job_reader import JobReader
from streams.tables.notifications import Notifications

PICTURES_AT_ONCE = 2
"""A page's picture takes up to 120 MB while it is drawn on."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Everything outside of ingress.

    `closing` is set when the process is asked to end; `drawing` bounds the pictures that are decoded at a time.
    """

    settings: Settings
    publisher: Publisher
    blobs: BlobStore
    keys: KeyRing
    modules: ModuleRegistry
    jobs: JobReader
    claims: Claims
    notifications: Notifications
    usage: UsageReader
    prices: PriceFile
    chat: ChatDoor
    services: Services
    quotas: Quotas
    replays: Replays
    purged: PurgedJobs
    purger: Purger
    comparisons: Comparisons
    serving: ServingView
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    drawing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PICTURES_AT_ONCE))

    def lacking(self, spec: ModuleSpec) -> Lack | None:
        """Return why a module is unavailable; None when it is available, or nothing is known."""
        kinds = [step.kind for step in spec.steps]
        return unknown_lack(kinds) or self.serving.lacking(kinds) or self._absent_model(spec)

    def _absent_model(self, spec: ModuleSpec) -> Lack | None:
        absent = next((name for name in spec.models if self.chat.pool.lacks_model(name)), None)
        return absent_model(absent) if absent is not None else None

    def choices(self, spec: ModuleSpec) -> dict[Choice, Lack | None]:
        """Return the values of a module's options of which it is known whether they can be served now."""
        options: Mapping[str, Any] = spec.options.get("properties", {})
        said = self.serving.choices(step.kind for step in spec.steps)
        return {choice: lack for choice, lack in said.items() if choice.option in options}

    @property
    def authenticator(self) -> Authenticator:
        """Tells who is calling."""
        return Authenticator(self.keys)


def dependencies_of(request: Request) -> Dependencies:
    """Return the dependencies of the application that serves this request."""
    return request.app.state.dependencies
