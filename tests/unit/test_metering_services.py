"""Which services there are, and how often the log is looked through for one that is not known."""

from collections.abc import AsyncIterator, Mapping

import pytest

from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import ApiKey
from schemas.topics import API_KEYS
from streams.log.memory import MemoryLog, MemoryPublisher, MemoryTail
from streams.log.schema_reader import CodecDecoder
from streams.metering.services import KnownServices


class CountingTail(MemoryTail):
    """Counts the looks at where the log ends; none but a look for a service asks for that."""

    looks = 0

    async def end_offsets(self) -> Mapping[int, int]:
        self.looks += 1
        return await super().end_offsets()


@pytest.fixture
async def setting() -> AsyncIterator[tuple[KnownServices, CountingTail, MemoryPublisher]]:
    log, codec = MemoryLog(), Codec()
    tail = CountingTail(log, API_KEYS.name)
    async with KnownServices(tail, CodecDecoder(codec), None) as services:
        yield services, tail, MemoryPublisher(log, codec)


async def test_use_of_unknown_services_that_was_logged_before_the_last_look_costs_no_look(
    setting: tuple[KnownServices, CountingTail, MemoryPublisher],
) -> None:
    services, tail, _ = setting
    services.use_is_logged(2_000)
    assert not [n for n in range(50) if await services.knows(f"nobody-{n % 3}", 1_000 + n)]
    assert tail.looks == 1
    assert not await services.knows("nobody", 2_000)
    assert tail.looks == 1
    assert not await services.knows("nobody", 2_001)
    assert tail.looks == 2


async def test_a_service_that_came_since_the_last_look_is_found_for_use_that_came_after_it(
    setting: tuple[KnownServices, CountingTail, MemoryPublisher],
) -> None:
    services, tail, publisher = setting
    assert not await services.knows("new", 1_000)
    key = ApiKey("k", "new", "hash", ("jobs",), 1)
    await publisher.publish(API_KEYS, key.key_id, key)
    assert await services.knows("new", 1_001)
    looks = tail.looks
    assert await services.knows("new", 9_000)  # what is known is not looked for
    assert tail.looks == looks


async def test_a_look_that_the_log_did_not_answer_is_no_answer_and_is_repeated() -> None:
    """Use that is refused for it would be off the ledger: a broker that restarts for a moment is enough."""
    log = MemoryLog()
    tail = CountingTail(log, API_KEYS.name)
    async with KnownServices(tail, CodecDecoder(Codec()), None) as services:
        log.down = True
        with pytest.raises(Outage):
            await services.knows("nobody", 1_000)
        log.down = False
        assert not await services.knows("nobody", 1_000)
        assert tail.looks == 2
