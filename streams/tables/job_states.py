"""A table of states: encoded bytes in Faust's store, decoded ones of late in a small cache."""

from collections import defaultdict
from collections.abc import Iterator, MutableMapping
from typing import Generic, TypeVar

from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.job_state import JobState
from streams.logs import get_logger

log = get_logger(__name__)

S = TypeVar("S")

_CACHED_STATES = 4_096


class States(Generic[S]):
    """Reads and writes states of one type by key; knows which keys each partition holds."""

    def __init__(self, store: MutableMapping[bytes, bytes], codec: Codec, kind: type[S]) -> None:
        self._store = store
        self._codec = codec
        self._kind = kind
        self._cache: dict[bytes, S] = {}
        self._keys: defaultdict[int, set[bytes]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._keys.values()))

    def get(self, key: bytes) -> S | None:
        """Return a state."""
        state = self.peek(key)
        if state is not None:
            self._remember(key, state)
        return state

    def peek(self, key: bytes) -> S | None:
        """Return a state, without keeping it decoded: for those who read through the whole table."""
        state = self._cache.get(key)
        if state is not None:
            return state
        raw = self._store.get(key)
        if raw is None:
            return None
        try:
            return self._codec.decode(raw, self._kind)
        except UndecodableRecord as e:
            log.error("table.state_undecodable", key=key.decode(errors="replace"), code=e.code)
            return None

    def put(self, partition: int, key: bytes, state: S) -> bytes:
        """Set a state and return it encoded, as the changelog takes it."""
        raw = self._codec.encode(state)
        self._store[key] = raw
        self._keys[partition].add(key)
        self._remember(key, state)
        return raw

    def remove(self, partition: int, key: bytes) -> None:
        """Forget a state."""
        self._store.pop(key, None)
        self._cache.pop(key, None)
        self._keys[partition].discard(key)

    def keys(self, partition: int) -> tuple[bytes, ...]:
        """Return the keys of a partition."""
        return tuple(self._keys[partition])

    def recovered(self, partition: int, key: bytes, present: bool) -> None:
        """Take note of a record that Faust applied to the store itself."""
        if present:
            self._keys[partition].add(key)
        else:
            self._keys[partition].discard(key)

    def settle(self, partitions: frozenset[int]) -> None:
        """After a recovery: keep only the states of these partitions, and nothing that is not in the store."""
        self._cache.clear()
        for partition in self._keys.keys() - partitions:
            for key in self._keys.pop(partition):
                self._store.pop(key, None)

    def everything(self) -> Iterator[tuple[int, bytes]]:
        """Yield partition and key of every state, as they are now."""
        for partition in tuple(self._keys):
            for key in self.keys(partition):
                yield partition, key

    def _remember(self, key: bytes, state: S) -> None:
        if len(self._cache) >= _CACHED_STATES and key not in self._cache:
            del self._cache[next(iter(self._cache))]  # the oldest: dictionaries keep their order
        self._cache[key] = state


class JobStates(States[JobState]):
    """The states of jobs by job id."""

    def __init__(self, store: MutableMapping[bytes, bytes], codec: Codec) -> None:
        super().__init__(store, codec, JobState)
