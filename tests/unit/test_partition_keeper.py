"""What a rebalance leaves behind of views: a batch that was folded but not shown, and one that waits for Redis."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from schemas.errors import Outage
from streams.redis_keys import Marker, Offsets
from streams.tables import view_keeper
from streams.tables.redis_view import Fenced, FencedWriter, PartitionWrite
from streams.tables.view_keeper import PartitionKeeper

View = tuple[bytes, bytes]
BOTH = frozenset({0, 1})


class Writer(FencedWriter[View]):
    """Views and markers as Redis holds them; `down`: writes fail, and set `tried`."""

    def __init__(self) -> None:
        self.held: dict[int, Marker] = {}
        self.shown: dict[bytes, bytes] = {}
        self.asked: list[int] = []
        self.down = False
        self.tried = asyncio.Event()

    def arguments(self, write: PartitionWrite[View]) -> list[str | int | bytes]:
        raise NotImplementedError

    async def write(self, writes: Sequence[PartitionWrite[View]]) -> list[Fenced | None]:
        if self.down:
            self.tried.set()
            raise Outage("Redis does not answer")
        return [self._written(write) for write in writes]

    def _written(self, write: PartitionWrite[View]) -> Fenced | None:
        self.asked.append(write.partition)
        held = self.held.get(write.partition)
        if held is None or held.generation != write.marker.generation:
            return Fenced(held)
        self.shown.update(write.views)
        self.held[write.partition] = write.marker
        return None

    async def markers(self, partitions: Sequence[int]) -> list[Marker | None]:
        return [self.held.get(p) for p in partitions]

    async def set_markers(self, markers: dict[int, Marker]) -> None:
        self.held.update(markers)


class States:
    """States by key; each key begins with its partition."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, bytes] = {}

    def get(self, key: bytes, /) -> bytes | None:
        return self.by_key.get(key)

    peek = get

    def keys(self, partition: int, /) -> list[bytes]:
        return [key for key in self.by_key if key.startswith(b"%d" % partition)]


class Log:
    """Says what is committed, and where the log ends."""

    def __init__(self) -> None:
        self.following, self.end = Offsets(5, 0), Offsets(9, 0)

    async def read(self, partitions: Iterable[int]) -> dict[int, tuple[Offsets, Offsets]]:
        return dict.fromkeys(partitions, (self.following, self.end))


class Keeper(PartitionKeeper[bytes, View]):
    """Shows states as they are."""

    def views(self, states: Iterable[View], /) -> list[View]:
        return list(states)


class World:
    """A keeper that has taken partitions 0 and 1 over, where offset 5 is the next."""

    def __init__(self) -> None:
        self.redis, self.states, self.log = Writer(), States(), Log()
        self.keeper = Keeper(self.redis, self.states, self.log)

    def fold(self, key: bytes, value: bytes) -> dict[int, dict[bytes, bytes]]:
        """Change a state; return what is to be shown of it."""
        self.states.by_key[key] = value
        return {int(key[:1]): {key: value}}


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(view_keeper, "_RETRY_S", 0.0)
    world = World()
    await world.keeper.take_over(BOTH, 1)
    return world


def foreign(generation: str) -> Marker:
    return Marker(generation, Offsets(5, 0))


async def test_a_batch_that_was_refused_is_shown_when_its_records_come_again_and_change_nothing(world: World) -> None:
    changed = world.fold(b"0a", b"1")
    world.redis.held[0] = foreign("2.stranger")
    assert await world.keeper.publish(changed, {0: Offsets(6, 0)}) == {0}
    await world.keeper.take_over(BOTH, 3)
    assert world.redis.shown == {}
    assert await world.keeper.publish({0: {}}, {0: Offsets(6, 0)}) == frozenset()
    assert world.redis.shown == {b"0a": b"1"}
    assert world.redis.held[0].folded == Offsets(6, 0)


async def test_what_was_left_behind_is_shown_as_it_is_by_then_and_once(world: World) -> None:
    changed = world.fold(b"0a", b"1")
    world.redis.held[0] = foreign("2.stranger")
    await world.keeper.publish(changed, {0: Offsets(6, 0)})
    world.states.by_key[b"0a"] = b"2"  # recovered from the changelog of whoever had the partition in between
    await world.keeper.take_over(BOTH, 3)
    await world.keeper.publish({0: {}}, {0: Offsets(6, 0)})
    assert world.redis.shown == {b"0a": b"2"}
    world.redis.shown.clear()
    await world.keeper.publish(world.fold(b"0b", b"1"), {0: Offsets(7, 0)})
    assert world.redis.shown == {b"0b": b"1"}


async def test_what_was_left_behind_of_a_partition_that_went_is_not_shown_when_it_comes_back(world: World) -> None:
    world.redis.held[0] = foreign("2.stranger")
    await world.keeper.publish(world.fold(b"0a", b"1"), {0: Offsets(6, 0)})
    await world.keeper.take_over(frozenset({1}), 3)
    await world.keeper.take_over(BOTH, 4)
    await world.keeper.publish({0: {}}, {0: Offsets(6, 0)})
    assert world.redis.shown == {}


async def test_what_waits_behind_what_a_predecessor_showed_still_waits_after_another_rebalance(world: World) -> None:
    world.redis.held = {0: foreign("1.predecessor"), 1: foreign("1.predecessor")}
    world.log.following = Offsets(3, 0)
    await world.keeper.take_over(BOTH, 2)
    await world.keeper.publish(world.fold(b"0a", b"1"), {0: Offsets(4, 0)})
    await world.keeper.take_over(BOTH, 3)
    for following in (4, 5):
        assert world.redis.shown == {}
        await world.keeper.publish({0: {}}, {0: Offsets(following, 0)})
    assert world.redis.shown == {b"0a": b"1"}


async def test_the_fence_is_asked_for_a_partition_that_is_behind_what_was_shown(world: World) -> None:
    world.redis.held = {0: foreign("1.predecessor"), 1: foreign("1.predecessor")}
    world.log.following = Offsets(3, 0)
    await world.keeper.take_over(BOTH, 2)
    world.redis.held[0] = foreign("3.stranger")
    assert await world.keeper.publish(world.fold(b"0a", b"1"), {0: Offsets(4, 0)}) == {0}
    assert world.redis.held[0] == foreign("3.stranger")


async def test_a_check_tells_whether_every_partition_is_held(world: World) -> None:
    assert await world.keeper.check()
    world.redis.held[0] = foreign("2.stranger")
    assert not await world.keeper.check()
    await world.keeper.take_over(BOTH, 3)
    assert await world.keeper.check()


async def test_a_batch_that_waits_for_redis_gives_up_when_its_partitions_are_taken_over_anew(world: World) -> None:
    world.redis.down = True
    waiting = asyncio.create_task(world.keeper.publish(world.fold(b"0a", b"1"), {0: Offsets(6, 0)}))
    await world.redis.tried.wait()
    await world.keeper.take_over(BOTH, 2)
    world.redis.down = False
    await waiting
    assert world.redis.shown == {}
    assert world.keeper.folded[0] == Offsets(5, 0)
    await world.keeper.publish({0: {}}, {0: Offsets(6, 0)})
    assert world.redis.shown == {b"0a": b"1"}
