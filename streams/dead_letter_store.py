"""Looks through the dead letter topics, and settles letters: replayed or dropped, which a mark on the topic says."""

from collections.abc import Mapping
from typing import NamedTuple

from schemas.codec import Codec
from schemas.dead_letters import (
    Buried,
    Letter,
    Settlement,
    open_letters,
    parse_source,
    raised,
    settling_headers,
    source_of,
)
from schemas.errors import InvalidInput, Outage, UndecodableRecord
from schemas.events import StageRequest
from schemas.ids import is_job_id
from schemas.purges import blob_refs
from schemas.topics import Topic
from streams.log.protocols import Decoder, Publisher
from streams.log.whole_topics import read_whole
from streams.stages import declared_topics
from streams.storage.blobs import BlobStore


class Replayed(NamedTuple):
    """What a replay wrote: to which topic, and the epoch of the job there (None where no job was meant)."""

    topic: str
    epoch: int | None


def topics_with_letters() -> dict[str, Topic]:
    """Return the topics that have a dead letter topic, by name."""
    declared = {topic.name: topic for topic in declared_topics()}
    return {name: topic for name, topic in declared.items() if topic.dead_letters in declared}


async def read_open_letters(bootstrap: str, topics: Mapping[str, Topic] | None = None) -> list[Letter]:
    """Return the letters of all topics (or of those given) that nobody settled, oldest first. Raises Outage."""
    names = [topic.dead_letters for topic in (topics or topics_with_letters()).values()]
    records: list[Buried] = []
    async for batch in read_whole(bootstrap, names):
        records += [Buried(r.key, r.value, r.headers) for r in batch if source_of(r.headers) is not None]
    return sorted(open_letters(records), key=lambda letter: (letter.at_ms, letter.source))


def choose(letters: list[Letter], wanted: str) -> list[Letter]:
    """Return the letters that `wanted` names: one by its id, or all of a job.

    Raises InvalidInput when there is none.
    """
    if is_job_id(wanted):
        chosen = [letter for letter in letters if letter.job_id == wanted]
    else:
        source = parse_source(wanted)
        chosen = [letter for letter in letters if letter.source == source]
    if not chosen:
        raise InvalidInput(
            f"no open dead letter {wanted}",
            code="letter_not_found",
            remedy="see ./gateway dlt list; letters that were replayed or dropped are no longer there",
        )
    return chosen


class DeadLetterDesk:
    """Settles dead letters. What a replayed request refers to is touched in `blobs`."""

    def __init__(
        self,
        publisher: Publisher,
        decoder: Decoder,
        codec: Codec,
        topics: Mapping[str, Topic] | None = None,
        blobs: BlobStore | None = None,
    ) -> None:
        self._publisher = publisher
        self._decoder = decoder
        self._codec = codec
        self._topics = topics or topics_with_letters()
        self._blobs = blobs

    async def replay(self, letter: Letter, at_ms: int) -> Replayed:
        """Put a letter's record back on its topic; a stage's request in the next epoch of its job.

        First the record, then the mark, both acknowledged: a crash between them leaves the letter open, and
        repeating the replay repeats the same epoch. Raises InvalidInput when it cannot be replayed, and
        UndecodableRecord when it would only come back.
        """
        topic = self._topics.get(letter.source.topic)
        if topic is None or topic.record is None or letter.lost_its_key:
            raise InvalidInput(
                f"{letter.source}: a record of this topic is not put back",
                code="not_replayable",
                remedy="it still stands on its topic and is read again at each start; drop the letter",
            )
        if letter.value is None:
            raise InvalidInput(f"{letter.source}: it has no value", code="not_replayable", remedy="drop the letter")
        record = await self._decoder.decode(letter.value, topic.record)
        value, epoch = letter.value, None
        if isinstance(record, StageRequest):
            again = raised(record)
            value, epoch = self._codec.encode(again), again.job.epoch
            if self._blobs is not None:
                for ref in blob_refs(again.inputs):
                    await self._blobs.touch(ref)  # it waits, and may be a dead letter, all over again
        await self._publisher.publish_raw(topic.name, letter.key, value, letter.original_headers)
        await self._settle(letter, Settlement.REPLAYED, at_ms)
        return Replayed(topic.name, epoch)

    async def drop(self, letter: Letter, at_ms: int) -> None:
        """Settle a letter without doing anything about it."""
        await self._settle(letter, Settlement.DROPPED, at_ms)

    async def decoded(self, letter: Letter) -> object | None:
        """Return a letter's record, or None when it cannot be decoded."""
        topic = self._topics.get(letter.source.topic)
        if topic is None or topic.record is None or letter.value is None:
            return None
        try:
            return await self._decoder.decode(letter.value, topic.record)
        except (UndecodableRecord, Outage):
            return None

    async def _settle(self, letter: Letter, how: Settlement, at_ms: int) -> None:
        headers = settling_headers(letter.source, how, at_ms)
        # A key, because aiokafka wants a key or a value; no value, because a mark has nothing to say but its headers.
        await self._publisher.publish_raw(f"{letter.source.topic}.dlt", letter.key or b"", None, headers)
