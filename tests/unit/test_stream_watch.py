"""The watch over a table's streams: a partition that stands still behind the log is read again."""

from collections.abc import Sequence

import pytest

from streams.redis_keys import Offsets
from streams.tables import stream_watch
from streams.tables.stream_watch import StreamWatch


class Log:
    """A log that ends where it is told to, and a clock."""

    def __init__(self) -> None:
        self.end = Offsets(5, 0)
        self.now = 1_000.0
        self.rewound: list[tuple[int, Offsets]] = []

    async def all_ends(self, partitions: Sequence[int]) -> dict[int, Offsets]:
        return dict.fromkeys(partitions, self.end)

    async def rewind(self, partition: int, offsets: Offsets) -> None:
        self.rewound.append((partition, offsets))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(stream_watch.time, "monotonic", lambda: log.now)
    return log


async def look(watch: StreamWatch, log: Log, at: Offsets, *, busy: bool = False, seconds: int = 4) -> str:
    """Look once a second."""
    said = ""
    for _ in range(seconds):
        log.now += 1.01
        said = said or await watch.look({3: at}, busy)
    return said


async def test_a_partition_that_does_not_move_is_read_again_from_where_it_is(log: Log) -> None:
    watch = StreamWatch(log, log.rewind)
    assert await look(watch, log, Offsets(4, 0)) == ""
    assert log.rewound == [(3, Offsets(4, 0))]
    await look(watch, log, Offsets(5, 0))
    assert len(log.rewound) == 1


async def test_one_that_moves_or_works_or_is_at_the_end_is_left_alone(log: Log) -> None:
    watch = StreamWatch(log, log.rewind)
    for at in range(5):
        await look(watch, log, Offsets(at, 0), seconds=2)
    await look(watch, log, Offsets(4, 0), busy=True, seconds=20)
    await look(watch, log, Offsets(5, 0), seconds=20)
    assert log.rewound == []


async def test_when_reading_again_does_not_help_the_process_is_to_be_restarted(log: Log) -> None:
    watch = StreamWatch(log, log.rewind)
    assert "partition 3" in await look(watch, log, Offsets(4, 0), seconds=40)
    assert len(log.rewound) == 5
