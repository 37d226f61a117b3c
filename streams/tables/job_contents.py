"""The table of jobs: what events and results do to it, and which jobs have had their time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any

from schemas.codec import Codec, UnknownFingerprint
from schemas.errors import Outage
from schemas.events import JobEvent, JobResult
from streams.log.protocols import Decoder, LogRecord
from streams.metrics import FOLD_BATCH, FOLD_CHANGED, FOLDED, TABLE_EXPIRED, TABLE_JOBS
from streams.tables.expiry import Expiry, Ttl
from streams.tables.folding import RECORD_OF, Position, check_place, fold_batch
from streams.tables.job_states import JobStates
from streams.tables.job_table import GROUP
from streams.tables.table_process import Change, Contents, Taken
from streams.tables.view_keeper import ViewKeeper


class JobContents(Contents[JobEvent | JobResult]):
    """Folds `job.events` and `results`; see Contents."""

    name = GROUP

    def __init__(
        self,
        store: MutableMapping[bytes, bytes],
        codec: Codec,
        decoder: Decoder,
        keeper_of: Callable[[JobStates], ViewKeeper],
        ttl_s: Ttl,
        now_ms: Callable[[], int],
    ) -> None:
        self._codec, self._decoder = codec, decoder
        self._states = JobStates(store, codec)
        self.keeper = keeper_of(self._states)
        self._expiry = Expiry(self._states, ttl_s, now_ms)
        self._outdated: defaultdict[int, set[bytes]] = defaultdict(set)

    @property
    def states(self) -> JobStates:
        """The jobs of this process."""
        return self._states

    def __len__(self) -> int:
        return len(self._states)

    async def decode(self, record: LogRecord) -> JobEvent | JobResult:
        """Return the record; UndecodableRecord when it can never be folded."""
        kind: Any = RECORD_OF[record.topic]
        try:
            decoded = self._codec.decode(record.value or b"", kind)
        except UnknownFingerprint:
            decoded = await self._decoder.decode(record.value or b"", kind)
        check_place(_position(record), record.key, decoded)
        return decoded

    def take(self, batch: Iterable[tuple[LogRecord, JobEvent | JobResult]]) -> Taken:
        """Fold records; each changed job is written once."""
        records = [(_position(record), decoded) for record, decoded in batch]
        folded = fold_batch(records, self._states)
        changes: list[Change] = [
            (partition, key, self._states.put(partition, key, state))
            for partition, states in folded.changed.items()
            for key, state in states.items()
        ]
        FOLD_BATCH.observe(len(records))
        FOLD_CHANGED.inc(len(changes))
        for topic, count in Counter(position.topic for position, _ in records).items():
            FOLDED.labels(topic).inc(count)
        TABLE_JOBS.set(len(self._states))
        return Taken(changes, folded.changed)

    def recovered(self, partition: int, key: bytes, present: bool) -> None:
        """Take note of a record that was recovered from the changelog."""
        self._states.recovered(partition, key, present)

    def settle(self, partitions: frozenset[int]) -> None:
        """Forget the jobs of other partitions."""
        self._states.settle(partitions)
        TABLE_JOBS.set(len(self._states))

    async def tidy(self) -> list[Change]:
        """Remove expired jobs, from the view first: a job that only the table knows would come back with a rebuild."""
        due = self._expiry.due()
        if not due:
            return []
        try:
            await self.keeper.forget([(key.decode(), service) for _, key, service in due])
        except Outage:
            return []  # they stay due
        gone: list[Change] = []
        for partition, key, _ in due:
            if self._expiry.over(key):
                self._states.remove(partition, key)
                gone.append((partition, key, None))
            else:  # begun anew while Redis was asked
                self._outdated[partition].add(key)
        TABLE_EXPIRED.inc(len(gone))
        return gone

    def outdated(self) -> Mapping[int, Iterable[bytes]]:
        """Return the jobs whose views were removed although they go on."""
        return self._outdated

    def shown_again(self) -> None:
        """Take note that these are shown."""
        self._outdated.clear()


def _position(record: LogRecord) -> Position:
    return Position(record.topic, record.partition, record.offset)
