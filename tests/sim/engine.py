"""The simulated model server behind the protocols: loading, slots, waiting, faults. No HTTP here."""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.sim.config import Fault, SimConfig
from tests.sim.counts import Counts
from tests.sim.text import Dice, as_json, instance, pieces, seed_of, until_stop


class Busy(Exception):
    """The queue of a model that is loading is full."""


@dataclass(slots=True)
class Plan:
    """What a call will be answered: its tokens, why it ends, and the tool call if it is one."""

    tokens: Iterable[str]
    finish: str
    prompt_tokens: int
    endless: bool = False
    tool: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller asked for, the same in every protocol. `limit` None: the model ends by itself."""

    model: str
    prompt: str
    prompt_tokens: int
    limit: int | None
    endless: bool
    stops: list[str]
    seed: int | None
    schema: dict[str, Any] | None
    tools: list[dict[str, Any]]
    after_tool: bool  # the last message is a tool's result


class Engine:
    """One server's state."""

    def __init__(self, config: SimConfig) -> None:
        self.config = config
        self.counts = Counts()
        self.loaded: set[str] = set()
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._waiting_load = 0
        self._active = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._calls = 0
        self._faults = 0

    def next_fault(self, prompt: str) -> Fault:
        """Return the fault that the next call, which asks this, meets."""
        config = self.config
        self._calls += 1
        if config.fault is Fault.NONE or config.fault_prompt not in prompt:
            return Fault.NONE
        if config.fault_count and self._faults >= config.fault_count:
            return Fault.NONE
        if Dice(seed_of(config.seed, self._calls)).below(1000) >= config.fault_rate * 1000:
            return Fault.NONE
        self._faults += 1
        return config.fault

    def reset_faults(self) -> None:
        """Start the count of faults anew, as after a change of the configuration."""
        self._faults = 0

    def plan(self, wish: Wish, fault: Fault) -> Plan:
        """Decide the answer to a call; a function of seed and wish."""
        config = self.config
        dice = Dice(seed_of(config.seed, wish.seed, wish.prompt, wish.model))
        if wish.endless or fault is Fault.ENDLESS:
            return Plan((w for _ in itertools.count() for w in dice.words(1)), "length", wish.prompt_tokens, True)
        if wish.tools and config.call_tools and not wish.after_tool:
            function = wish.tools[0].get("function", {})
            arguments = instance(function.get("parameters", {}), dice)
            tool = (str(function.get("name", "")), arguments if isinstance(arguments, dict) else {})
            return Plan(pieces(as_json(tool[1])), "tool", wish.prompt_tokens, tool=tool)
        if wish.schema is not None and fault is not Fault.BAD_ANSWER:
            full = pieces(config.answer or as_json(instance(wish.schema, dice)))
        elif config.echo and "<text>" in wish.prompt and fault is not Fault.BAD_ANSWER:
            full = pieces(wish.prompt.rpartition("<text>")[2].partition("</text>")[0])
            return Plan(full, "stop", wish.prompt_tokens)
        else:
            full = dice.words(config.tokens if wish.limit is None else wish.limit)
        cut = full if wish.limit is None else full[: wish.limit]
        tokens, stopped = until_stop(cut, wish.stops) if wish.stops else (cut, False)
        natural = wish.schema is not None and len(cut) == len(full)
        ended = stopped or wish.limit is None or natural
        return Plan(tokens, "stop" if ended else "length", wish.prompt_tokens)

    @asynccontextmanager
    async def turn(self, model: str) -> AsyncIterator[None]:
        """Hold a slot, once the model is loaded. Raises Busy as a cold server does."""
        if model not in self.loaded:
            await self._load(model)
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def unload(self, model: str) -> None:
        """Forget a model: its next call loads it again."""
        self.loaded.discard(model)

    async def _load(self, model: str) -> None:
        if not self.config.load_ms:
            self.loaded.add(model)
            return
        loading = self._loading.get(model)
        if loading is None:
            loading = self._loading[model] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(self.config.load_ms * self.config.slow / 1000, self._is_loaded, model)
        elif self.config.queue and self._waiting_load >= self.config.queue:
            raise Busy
        self._waiting_load += 1
        try:
            await asyncio.shield(loading)
        finally:
            self._waiting_load -= 1

    def _is_loaded(self, model: str) -> None:
        self.loaded.add(model)
        self._loading.pop(model).set_result(None)

    async def _enter(self) -> None:
        if self.config.slots and (self._active >= self.config.slots or self._queue):
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn  # whoever leaves counts us in before waking us
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
            return
        self._active += 1

    def _leave(self) -> None:
        self._active -= 1
        while self._queue and self._active < (self.config.slots or len(self._queue) + self._active + 1):
            turn = self._queue.popleft()
            if not turn.done():
                self._active += 1
                turn.set_result(None)
