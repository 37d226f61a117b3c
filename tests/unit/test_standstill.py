"""What waits in a producer while its process is stopped is not sent when it goes on."""

from typing import Any

import pytest

from streams.tables.awake_producer import AwakeProducer, Standstill


class Clock:
    """A clock that is put on by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "stood"), [(6.9, False), (7.0, True)])
def test_a_standstill_is_one_from_its_limit_on(seconds: float, stood: bool) -> None:
    clock = Clock()
    standstill = Standstill(7.0, clock)
    before = standstill.look()
    clock.now += seconds
    assert standstill.was_since(before) is stood
    assert not standstill.was_since(standstill.look())


def test_one_that_was_looked_at_in_between_is_known_of_and_a_long_time_awake_is_none() -> None:
    clock = Clock()
    standstill = Standstill(7.0, clock)
    before = standstill.look()
    for _ in range(5):
        clock.now += 5.0
        standstill.look()
    assert not standstill.was_since(before)
    clock.now += 20.0
    standstill.look()
    clock.now += 1.0
    assert standstill.was_since(before)


async def test_a_batch_from_before_is_not_built_and_a_new_one_is() -> None:
    clock = Clock()
    made: Any = type("Made", (AwakeProducer,), {"standstill": Standstill(7.0, clock)})
    producer = made(bootstrap_servers="127.0.0.1:1", max_batch_size=1 << 20)
    try:
        batches = [producer.create_batch() for _ in range(2)]
        for batch in batches:
            batch.append(timestamp=1, key=b"k", value=b"v")
        assert batches[0]._build()
        clock.now += 20.0
        for batch in batches:  # the first may have failed on its way, and be sent again
            with pytest.raises(RuntimeError):
                batch._build()
        after = producer.create_batch()
        after.append(timestamp=1, key=b"k", value=b"v")
        assert after._build()
    finally:
        await producer.stop()
