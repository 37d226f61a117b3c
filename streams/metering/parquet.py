"""The raw ledger of a period as a Parquet file: every usage event that was measured in it, repeats included."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.errors import InvalidInput, UndecodableRecord
from schemas.events import UsageEvent
from schemas.topics import SCHEMAS, USAGE_EVENTS
from schemas.usage_admission import FUTURE_MS
from schemas.usage_query import UsageQuery
from streams.log.kafka_range import log_ends, read_range
from streams.log.kafka_tail import KafkaTail
from streams.log.protocols import LogRecord
from streams.log.schema_reader import SchemaReader

_ROWS_OF_GROUP = 50_000


async def export_ledger(bootstrap: str, query: UsageQuery, out: Path) -> int:
    """Write the file and return how many records it has; a file that is there is replaced when all is written.

    Raises InvalidInput without pyarrow, Outage when the log does not answer.
    """
    pyarrow, parquet = _pyarrow()
    schema = _schema(pyarrow)
    draft = out.with_name(f"{out.name}.part")
    written = 0
    topic = USAGE_EVENTS.name
    async with SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec()) as schemas:
        with parquet.ParquetWriter(draft, schema, compression="zstd") as file:
            rows: list[Mapping[str, Any]] = []
            ends = await log_ends(bootstrap, topic)
            # A clock may have been ahead of the log's.
            async for batch in read_range(bootstrap, topic, ends, since_ms=query.from_ms - FUTURE_MS):
                for record in batch:
                    try:
                        event = await schemas.decode(record.value or b"", UsageEvent)
                    except UndecodableRecord:
                        continue
                    if query.from_ms <= event.measured_at_ms < query.to_ms:
                        rows.append(_row(record, event))
                if len(rows) >= _ROWS_OF_GROUP:
                    file.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
                    written += len(rows)
                    rows = []
            if rows:
                file.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
                written += len(rows)
    draft.replace(out)
    return written


def _row(record: LogRecord, event: UsageEvent) -> dict[str, Any]:
    flat = asdict(event)
    return {
        "partition": record.partition,
        "offset": record.offset,
        "logged_at": record.timestamp_ms,
        "measured_at": flat.pop("measured_at_ms"),
        # Calls have neither.
        "created_at": flat.pop("created_at_ms") or None,
        "started_at": flat.pop("started_at_ms") or None,
        **flat.pop("usage"),
        **flat,
    }


def _pyarrow() -> tuple[Any, Any]:
    try:
        # An extra: where it is not installed, nothing of it can be checked.
        import pyarrow  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise InvalidInput(
            "the export needs pyarrow, which is not installed",
            code="pyarrow_missing",
            remedy="run ./gateway install export, or use --csv of the report",
        ) from e
    return pyarrow, parquet


def _schema(pyarrow: Any) -> Any:
    time, text, whole, number, yes = (
        pyarrow.timestamp("ms", tz="UTC"),
        pyarrow.string(),
        pyarrow.int64(),
        pyarrow.float64(),
        pyarrow.bool_(),
    )
    return pyarrow.schema(
        {
            "partition": whole,
            "offset": whole,
            "logged_at": time,
            "measured_at": time,
            **dict.fromkeys(("event_id", "request_id", "service", "key_id", "module", "step"), text),
            "attempt": whole,
            "epoch": whole,
            **dict.fromkeys(("model", "upstream", "lane", "outcome"), text),
            **dict.fromkeys(("pages", "prompt_tokens", "completion_tokens"), whole),
            "audio_seconds": number,
            "work_seconds": number,
            "bytes_in": whole,
            "estimated": yes,
            "waste": yes,
            "final": yes,
            "digest": text,
            "created_at": time,
            "started_at": time,
        }
    )
