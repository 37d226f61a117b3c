"""Dead letters: the original bytes, and headers that say where, why and after how many attempts."""

import time
from collections.abc import Awaitable, Callable

from schemas.errors import GatewayError
from streams.log.protocols import LogRecord, Raw
from streams.logs import get_logger
from streams.metrics import STAGE_DEAD_LETTERS

log = get_logger(__name__)

_MESSAGE_BYTES = 1024


async def bury(
    record: LogRecord,
    error: GatewayError,
    publish: Callable[[Raw], Awaitable[object]],
    *,
    stage: str,
    by_place: bool = False,
) -> None:
    """Write the dead letter of a record that cannot be used, then count it. Raises what `publish` raises.

    `by_place`: for what is read more than once; the letter's key is the record's place, by which repeats can be told.
    """
    letter = letter_of_unusable(record, error, stage=stage)
    await publish(letter._replace(key=f"{record.partition}-{record.offset}".encode()) if by_place else letter)
    tell_buried(record, error, stage=stage)


def letter_of_unusable(record: LogRecord, error: GatewayError, *, stage: str) -> Raw:
    """Return the dead letter of a record that cannot be used: nobody worked on it, and its service is not known."""
    at_ms = time.time_ns() // 1_000_000
    return dead_letter(record, stage=stage, attempts=0, error=error, service="", at_ms=at_ms)


def tell_buried(record: LogRecord, error: GatewayError, *, stage: str) -> None:
    """Count and log a dead letter that is written."""
    STAGE_DEAD_LETTERS.labels(record.topic, error.code).inc()
    log.warning(
        "record.dead_lettered",
        stage=stage,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        code=error.code,
        reason=error.message,
    )


def dead_letter(record: LogRecord, *, stage: str, attempts: int, error: GatewayError, service: str, at_ms: int) -> Raw:
    """Return the record for `<topic>.dlt`: key, value and headers of the original, `dlt.…` headers added.

    `stage` and `service` are empty where they are not known.
    """
    about = {
        "dlt.topic": record.topic,
        "dlt.partition": str(record.partition),
        "dlt.offset": str(record.offset),
        "dlt.stage": stage,
        "dlt.attempts": str(attempts),
        "dlt.error.code": error.code,
        "dlt.error.message": error.message,
        "dlt.service": service,
        "dlt.time": str(at_ms),
    }
    # Those of an earlier burial give way: a dead letter that was replayed may come back.
    kept = {name: value for name, value in record.headers.items() if not name.startswith("dlt.")}
    # aiokafka wants a key or a value.
    key = record.key if record.key is not None or record.value is not None else b""
    headers = {**kept, **{name: value.encode()[:_MESSAGE_BYTES] for name, value in about.items()}}
    return Raw(f"{record.topic}.dlt", key, record.value, headers)
