"""Refuses the records that the broker would refuse.

The broker's refusal costs an idempotent producer its sequence, and so the next publications, whosever they are.
"""

from schemas.errors import Permanent
from schemas.topics import DEAD_LETTER_ROOM, MAX_RECORD_BYTES, Topic
from streams.log.light_producer import lz4
from streams.log.protocols import Headers

_AROUND = 512  # bytes of a batch and a record around key, value and headers
_NOT_TRIED = 8  # times the limit: finding out what that is compressed to would hold up the event loop


def check_size(topic: Topic | str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
    """Raise Permanent (`record_too_large`) for a record that is larger than its topic takes, compressed as sent."""
    name = topic.name if isinstance(topic, Topic) else topic
    # A topic that is known by its name only may be one of dead letters.
    most = topic.max_bytes if isinstance(topic, Topic) else MAX_RECORD_BYTES + DEAD_LETTER_ROOM
    beside = len(key or b"") + sum(len(title) + len(told) + 8 for title, told in headers.items()) + _AROUND
    content = value or b""
    size = len(content)
    if size + beside <= most:
        return
    if size > _NOT_TRIED * most or len(lz4(content)) + beside > most:
        raise Permanent(
            f"a record for {name} has {size} bytes, more than {most} when compressed",
            code="record_too_large",
            remedy="send large content as a blob",
        )
