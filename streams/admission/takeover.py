"""What the next worker of a partition reads: notes of what was settled, written with the answers, and what was open.

Notes take some 40 bytes a request; entries and answers, with texts and results in them, take kilobytes. Where there
are none yet, everything that is on the log is read, and noted.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.batch import BatchEntry, BatchNote, BatchNotes
from schemas.errors import UndecodableRecord
from schemas.quotas import Ask
from schemas.topics import BATCH_ENTRIES, BATCH_NOTES, service_of_door
from streams.admission.book import Book
from streams.admission.entries import startable
from streams.admission.reading import jobs_consumer, offsets_since, whole
from streams.admission.reservations import Reserver
from streams.log.closing import close_client
from streams.log.kafka_tail import key_text
from streams.log.protocols import Decoder
from streams.logs import get_logger

log = get_logger(__name__)

_AT_ONCE = 5_000  # some 200 KB
_CLOCKS_DIFFER_MS = 10_000


def notes_of(news: Sequence[BatchNote], open_from: int, at_ms: int) -> Iterator[BatchNotes]:
    """Yield the records of what was settled, each well below the broker's limit."""
    for begin in range(0, len(news), _AT_ONCE):
        yield BatchNotes(open_from, at_ms, tuple(news[begin : begin + _AT_ONCE]))


async def restored(
    bootstrap: str,
    decoder: Decoder,
    reserver: Reserver,
    book: Book,
    number: int,
    committed: int,
    topics: Iterable[str],
) -> Sequence[Ask | None]:
    """Make the book of a partition whose entries below `committed` were taken; return what its open jobs reserved.

    Raises schemas.errors.Outage when the log does not answer.
    """
    entries, notes = TopicPartition(BATCH_ENTRIES.name, number), TopicPartition(BATCH_NOTES.name, number)
    answers = [
        TopicPartition(name, number)
        for name in topics
        if name.endswith(".results") and service_of_door(name.removesuffix(".results")) is not None
    ]
    reader, reserved = jobs_consumer(bootstrap, None), dict[str, Ask | None]()
    entries_from, answers_from, read = dict[TopicPartition, int](), dict[TopicPartition, int](), 0
    try:
        await reader.start()
        if (last := await _recalled(reader, notes, decoder, book)) is not None:
            entries_from = {entries: last.open_from}
            # Of a worker that is too old to take notes: whatever it answered, that was after them.
            answers_from = await offsets_since(reader, answers, last.at_ms - _CLOCKS_DIFFER_MS)
        async for record in whole(reader, [entries], entries_from):
            read += 1
            with suppress(UndecodableRecord):  # it is among the dead letters
                entry = await decoder.decode(record.value or b"", BatchEntry)
                if record.offset < committed:
                    # Whoever started it knew its stage, which this process may not; what was refused is in the notes.
                    book.take(entry, record.offset)
                else:
                    entry = startable(entry)
                if not book.has_answered(entry.job.job_id):
                    reserved.setdefault(entry.job.job_id, reserver.held(entry))
        async for record in whole(reader, answers, answers_from):
            job_id = key_text(record.key)
            book.answered(job_id, record.timestamp)
            reserved.pop(job_id, None)
    finally:
        await close_client(reader.stop(), of="admission-jobs")
    log.info("admission.partition", partition=number, waiting=len(book), entries_read=read, noted=last is not None)
    return [*reserved.values()]


async def _recalled(
    reader: AIOKafkaConsumer, partition: TopicPartition, decoder: Decoder, book: Book
) -> BatchNotes | None:
    """Fold a partition's notes into its book; return the last, or None where they do not tell all."""
    last, complete = None, True
    async for record in whole(reader, [partition]):
        try:
            last = await decoder.decode(record.value or b"", BatchNotes)
        except UndecodableRecord as e:
            log.warning("admission.unusable_notes", partition=partition.partition, offset=record.offset, code=e.code)
            complete = False
        else:
            book.recall(last.notes, last.at_ms)
    return last if complete else None
