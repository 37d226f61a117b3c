"""Faults made of records: what no schema reads, and what was delivered before."""

import orjson

from bench.chaos.system import System
from schemas.codec import Codec
from schemas.errors import UndecodableRecord
from schemas.events import StageRequest
from schemas.topics import JOB_EVENTS, NOOP, RESULTS, STAGES, USAGE_EVENTS
from streams.log.protocols import Raw
from streams.log.whole_topics import read_whole

_GARBAGE = (b"garbage", b"\xc3\x01unknown!body", b"")
_REPEATED = 200


async def poison(system: System) -> None:
    """Put what cannot be decoded on every topic of a stage and on the folded ones, among the jobs."""
    topics = [topic.name for stage in STAGES.values() for topic in stage.requests.values()]
    topics += [JOB_EVENTS.name, RESULTS.name, USAGE_EVENTS.name]
    keys = [f"poison-{system.chance.randrange(10**6)}".encode() for _ in _GARBAGE]
    records = [Raw(topic, key, value, {}) for topic in topics for key, value in zip(keys, _GARBAGE, strict=True)]
    await system.publisher.publish_many(records)


async def repeat_records(system: System) -> None:
    """Deliver a random part of what is on the topics a second time, the bytes as they are."""
    codec = Codec()
    for topic in (next(iter(NOOP.requests.values())), JOB_EVENTS, RESULTS, USAGE_EVENTS):
        seen: list[Raw] = []
        async for batch in read_whole(system.stack.bootstrap, [topic.name]):
            seen += [Raw(r.topic, r.key, r.value, r.headers) for r in batch]
        chosen = system.chance.sample(seen, min(_REPEATED, len(seen)))
        await system.publisher.publish_many([record for record in chosen if not _breaks_things(codec, record.value)])


def _breaks_things(codec: Codec, value: bytes | None) -> bool:
    # Jobs that hang or kill did so already; what a repeat proves, the others prove sooner.
    try:
        options = orjson.loads(codec.decode(value or b"", StageRequest).options)
    except UndecodableRecord:
        return not value
    return options.get("fault", "none") not in ("none", "flaky")
