"""From a record to its request, or to the dead letter topic."""

import time

from schemas.codec import UnknownFingerprint
from schemas.errors import GatewayError, UndecodableRecord
from schemas.events import StageRequest
from streams.log.dead_letters import dead_letter
from streams.log.protocols import LogRecord
from streams.logs import get_logger
from streams.metrics import STAGE_DEAD_LETTERS
from streams.runtime.handling import Handling, Tools

log = get_logger(__name__)


class RequestRecords:
    """Decodes the requests of one stage kind."""

    def __init__(self, kind: str, tools: Tools, handling: Handling) -> None:
        self._kind = kind
        self._tools = tools
        self._handling = handling

    def decode(self, record: LogRecord) -> StageRequest:
        """Return the request of a record whose schema is known here. Raises UndecodableRecord."""
        if record.value is None:
            raise UndecodableRecord("the record has no value")
        return _checked(self._tools.codec.decode(record.value, StageRequest))

    async def decode_or_bury(self, record: LogRecord, error: GatewayError) -> StageRequest | None:
        """Look for the writer's schema once more; what still cannot be read goes to the dead letter topic (None)."""
        if isinstance(error, UnknownFingerprint) and record.value is not None:
            try:
                return _checked(await self._tools.decoder.decode(record.value, StageRequest))
            except UndecodableRecord as e:
                error = e
        now_ms = time.time_ns() // 1_000_000
        letter = dead_letter(record, stage=self._kind, attempts=0, error=error, service="", at_ms=now_ms)
        await self._handling.publish_raw(letter)
        STAGE_DEAD_LETTERS.labels(record.topic, error.code).inc()
        log.warning(
            "record.undecodable",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=error.code,
            reason=error.message,
        )
        return None


def _checked(request: StageRequest) -> StageRequest:
    if not 0 <= request.position < len(request.steps):
        raise UndecodableRecord(f"the request is for step {request.position} of {len(request.steps)}")
    return request
