"""From a record to its request, or to the dead letter topic."""

from schemas.codec import UnknownFingerprint
from schemas.errors import GatewayError, UndecodableRecord
from schemas.events import StageRequest
from streams.log.dead_letters import bury
from streams.log.protocols import LogRecord
from streams.runtime.handling import Handling, Tools


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
        """Look for the writer's schema once more; what still cannot be read goes to the dead letter topic (None).

        Raises Outage while the log does not tell whether the schema is there.
        """
        if isinstance(error, UnknownFingerprint) and record.value is not None:
            try:
                return _checked(await self._tools.decoder.decode(record.value, StageRequest))
            except UndecodableRecord as e:
                error = e
        await bury(record, error, self._handling.publish_raw, stage=self._kind)
        return None


def _checked(request: StageRequest) -> StageRequest:
    if not 0 <= request.position < len(request.steps):
        raise UndecodableRecord(f"the request is for step {request.position} of {len(request.steps)}")
    return request
