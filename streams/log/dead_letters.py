"""Builds a dead letter: the original bytes, and headers that say where, why and after how many attempts."""

from schemas.errors import GatewayError
from streams.log.protocols import LogRecord, Raw

_MESSAGE_BYTES = 1024


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
