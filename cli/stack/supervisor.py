"""Keeps all services of a stack alive: foundations first, then the topics, then everything else.

Stopping goes the other way: what uses Kafka and Redis drains while they still serve.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from cli.stack.service_log import rotate
from cli.stack.service_runner import STOP_GRACE_S, ServiceRunner
from cli.stack.services import Service
from cli.stack.states import ServiceStatus, write_states
from schemas.errors import GatewayError

_SET_UP_PAUSE_S = 1.0
_ROTATE_EVERY_S = 30.0


class Supervisor:
    """Runs services until stopped. `set_up` is what must be done between the foundations and the rest."""

    def __init__(
        self,
        services: list[Service],
        set_up: Callable[[], Awaitable[None]],
        *,
        log_of: Callable[[str], Path],
        state_file: Path,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._set_up = set_up
        self._log_of = log_of
        self._state_file = state_file
        self._stop_grace_s = stop_grace_s
        self._runners: dict[str, ServiceRunner] = {}
        self._set_up_done = False
        self._applying = asyncio.Lock()
        for service in services:
            self._add(service)

    @property
    def states(self) -> list[ServiceStatus]:
        """How the services are, in the order in which they start."""
        return [runner.status for runner in self._runners.values()]

    async def run(self, stop: asyncio.Event) -> None:
        """Keep everything alive until `stop` is set, then stop everything."""
        self._write()
        working = asyncio.create_task(self._work())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()  # a bug must end the stack loudly rather than leave it half alive
        finally:
            working.cancel()
            stopped.cancel()
            await asyncio.wait({working, stopped})
            await self._stop_all()

    async def apply(self, services: list[Service]) -> None:
        """Stop the services that are no longer planned and start those that are new."""
        async with self._applying:
            await self._apply({service.name: service for service in services})

    async def _apply(self, planned: dict[str, Service]) -> None:
        gone = [name for name in self._runners if name not in planned]
        await asyncio.gather(*(self._runners[name].stop(self._stop_grace_s) for name in gone))
        for name in gone:
            del self._runners[name]
        for name, service in planned.items():
            if name not in self._runners:
                self._add(service)
                if self._set_up_done:
                    self._runners[name].start()
        # Kept in the order of the plan, so that `status` reads the same however the stack came to be.
        self._runners = {name: self._runners[name] for name in planned}
        self._write()

    def _add(self, service: Service) -> None:
        self._runners[service.name] = ServiceRunner(service, self._log_of(service.name), self._write)

    async def _work(self) -> None:
        await self._start_in_order()
        while True:
            await asyncio.sleep(_ROTATE_EVERY_S)
            for name in list(self._runners):
                await asyncio.to_thread(rotate, self._log_of(name))

    async def _start_in_order(self) -> None:
        foundations = [runner for runner in self._runners.values() if runner.service.foundation]
        names = ", ".join(runner.service.name for runner in foundations)
        for runner in foundations:
            runner.start()
        self._others_wait_for(names)
        for runner in foundations:
            await runner.until_ready()
        self._others_wait_for("the topics")
        await self._set_up_with_patience()
        self._set_up_done = True
        for runner in list(self._runners.values()):
            runner.start()

    async def _set_up_with_patience(self) -> None:
        while True:
            try:
                await self._set_up()
            except GatewayError as e:
                self._others_wait_for(f"the topics: {e.message}")
                await asyncio.sleep(_SET_UP_PAUSE_S)
            else:
                return

    def _others_wait_for(self, what: str) -> None:
        for runner in self._runners.values():
            if not runner.service.foundation:
                runner.waits_for(f"waits for {what}")

    async def _stop_all(self) -> None:
        for foundation in (False, True):
            runners = [r for r in reversed(self._runners.values()) if r.service.foundation is foundation]
            await asyncio.gather(*(runner.stop(self._stop_grace_s) for runner in runners))

    def _write(self) -> None:
        write_states(self._state_file, self.states)
