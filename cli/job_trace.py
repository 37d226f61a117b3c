"""`gateway job ID --trace`: all that happened to a job, read from the topics."""

from typing import TYPE_CHECKING, Any

import typer

from cli.output import print_json

if TYPE_CHECKING:
    from schemas.job_trace import TraceRow


def print_trace(job_id: str, *, as_json: bool) -> None:
    """Print every record about a job, by time; no document's text. Raises InvalidInput when no topic knows it."""
    import asyncio

    rows = asyncio.run(_read(job_id))
    if as_json:
        body = {"job_id": job_id, "records": [row.as_json() for row in rows]}
        print_json(body)
        return
    from cli.stack.view import make_console

    make_console().print(_table(rows))
    traces = sorted({row.trace_id for row in rows if row.trace_id})
    typer.echo(f"trace: {', '.join(traces) or 'none'}")


async def _read(job_id: str) -> "list[TraceRow]":
    from cli.environment import read_settings
    from schemas.codec import Codec
    from schemas.topics import SCHEMAS
    from streams.job_trace import read_trace
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader

    bootstrap = read_settings().kafka_bootstrap
    async with SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec()) as decoder:
        return await read_trace(bootstrap, decoder, job_id)


def _table(rows: "list[TraceRow]") -> Any:
    from rich.table import Table
    from rich.text import Text

    from schemas.job_view import iso_time

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("at", "record", "what", "stage", "attempt", "trace", "more"):
        table.add_column(column, no_wrap=column != "more")
    for row in rows:
        more = " ".join(f"{name}={value}" for name, value in row.more.items())
        cells = (
            iso_time(row.at_ms) or "",
            f"{row.topic}/{row.partition}/{row.offset}",
            row.what,
            row.stage,
            str(row.attempt or ""),
            row.trace_id[:8],
            more,
        )
        table.add_row(*map(Text, cells))  # as text: what stands on a topic is no markup
    return table
