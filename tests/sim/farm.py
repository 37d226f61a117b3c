"""Keeps simulators running between tests: a process costs a second to start, a reset costs nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.sim.launch import Kind, Simulator, start


class Farm:
    """Simulators that are free, by kind; those that a test has killed are not given out again."""

    def __init__(self) -> None:
        self._free: dict[Kind, list[Simulator]] = {"ollama": [], "openai": []}

    @asynccontextmanager
    async def __call__(self, kind: Kind = "ollama", **settings: Any) -> AsyncIterator[Simulator]:
        """Lend a simulator with the given settings, everything else as at its start."""
        free = self._free[kind]
        sim = free.pop() if free else start(kind)
        try:
            await sim.reset()
            await sim.set(**settings)
            yield sim
        finally:
            if sim.process.poll() is None:
                free.append(sim)
            else:
                sim.stop()

    def close(self) -> None:
        """End all processes."""
        for sims in self._free.values():
            for sim in sims:
                sim.stop()
            sims.clear()
