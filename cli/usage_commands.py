"""`gateway usage`: the report, a month's statement, its proof, and the raw ledger as Parquet."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from schemas.usage_query import UsageQuery
    from streams.metering.proof import Proof

FromOption = Annotated[str | None, typer.Option("--from", help="Date or time; else the month's first day.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Date (that day included) or time; else today.")]
MonthOption = Annotated[str | None, typer.Option("--month", help="A whole month, such as 2026-11.")]
ZoneOption = Annotated[str | None, typer.Option("--tz", help="Time zone of days and hours; else Asia/Seoul.")]
ServiceOption = Annotated[str | None, typer.Option("--service", help="Only this service (key with scope admin).")]
KeyOption = Annotated[str | None, typer.Option("--key", help="API key; else GATEWAY_API_KEY, else the stack's own.")]
_DAYS_VERIFIED = 399
_NUMBERS = ("requests", "prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds", "cost")
_WASTED = ("prompt_tokens", "completion_tokens", "pages", "audio_seconds", "work_seconds", "cost")
_DEFAULT_BY = "service,module,model"


def register(app: typer.Typer) -> None:
    """Add the `usage` commands."""
    usage = typer.Typer(help="Report usage and cost; prove the report.", invoke_without_command=True)
    usage.callback()(report)
    usage.command("statement")(statement)
    usage.command("verify")(verify)
    usage.command("export")(export)
    app.add_typer(usage, name="usage")


def report(
    ctx: typer.Context,
    start: FromOption = None,
    end: ToOption = None,
    month: MonthOption = None,
    by: Annotated[
        str, typer.Option("--by", help="Columns: service,key,module,model,upstream,lane,outcome,day,hour.")
    ] = _DEFAULT_BY,
    csv: Annotated[bool, typer.Option("--csv", help="CSV, as a spreadsheet opens it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the gateway's own JSON.")] = False,
    waste: Annotated[bool, typer.Option("--waste", help="Also attempts, and what was used and not charged.")] = False,
    zone: ZoneOption = None,
    service: ServiceOption = None,
    key: KeyOption = None,
) -> None:
    """Report usage and cost."""
    if ctx.invoked_subcommand is not None:
        return
    import sys

    from cli.client_commands import open_client

    start, end = _period(start, end, month)
    given = {"from": start, "to": end, "group_by": by, "tz": zone, "service": service}
    params = {name: value for name, value in given.items() if value is not None}
    with open_client(key) as client:
        if csv:
            sys.stdout.buffer.write(client.usage_csv(params))
            return
        found = client.usage(params)
    if as_json:
        print_json(found)
        return
    _show(found, waste=waste)


def statement(
    month: Annotated[str | None, typer.Option("--month", help="Such as 2026-11; else the last month.")] = None,
    service: ServiceOption = None,
    key: KeyOption = None,
) -> None:
    """Print a month's statement, one for each service."""
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    from cli.client_commands import open_client
    from cli.usage_statement import statement_lines
    from schemas.usage_query import month_period
    from schemas.usage_rows import LEDGER_ZONE

    if month is None:
        first = datetime.now(ZoneInfo(LEDGER_ZONE)).date().replace(day=1)
        month = f"{first - timedelta(days=1):%Y-%m}"
    start, end = month_period(month)
    params = {"from": start, "to": end, "group_by": "service,module,model,upstream,outcome"}
    with open_client(key) as client:
        found = client.usage(params if service is None else {**params, "service": service})
    for line in statement_lines(found, month):
        typer.echo(line)


def verify(
    start: FromOption = None,
    end: ToOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything that was found, as JSON.")] = False,
) -> None:
    """Compute the report again from the log and compare. Exit code 1 when anything differs.

    Without --from everything is verified that the log still holds.
    """
    import asyncio
    from datetime import UTC, datetime, timedelta

    from schemas.usage_query import usage_query

    now_ms = int(time.time() * 1000)
    oldest = datetime.now(UTC) - timedelta(days=_DAYS_VERIFIED)
    query = usage_query(
        start=start or oldest.isoformat(), end=end, group_by="hour", zone=None, service=None, now_ms=now_ms
    )
    proof = asyncio.run(_verify(query, now_ms))
    if as_json:
        _print_proof_json(proof)
    else:
        _print_proof(proof)
    if not proof.holds:
        raise typer.Exit(1)


def export(
    out: Annotated[Path, typer.Option("--out", help="The file to write.", dir_okay=False)] = Path("usage.parquet"),
    start: FromOption = None,
    end: ToOption = None,
    month: MonthOption = None,
) -> None:
    """Write the raw ledger of a period, as it stands on the log, to a Parquet file."""
    import asyncio

    from cli.environment import read_settings
    from schemas.usage_query import usage_query
    from streams.metering.parquet import export_ledger

    start, end = _period(start, end, month)
    now_ms = int(time.time() * 1000)
    query = usage_query(start=start, end=end, group_by="", zone=None, service=None, now_ms=now_ms)
    written = asyncio.run(export_ledger(read_settings().kafka_bootstrap, query, out))
    typer.echo(f"{written} records written to {out}", err=True)


def _period(start: str | None, end: str | None, month: str | None) -> tuple[str | None, str | None]:
    if month is None:
        return start, end
    from schemas.usage_query import month_period

    if start or end:
        raise InvalidInput("--month and --from or --to exclude each other", remedy="give one of the two")
    return month_period(month)


async def _verify(query: "UsageQuery", now_ms: int) -> "Proof":
    from contextlib import AsyncExitStack

    from cli.environment import read_settings
    from schemas.codec import Codec
    from schemas.topics import SCHEMAS, USAGE_EVENTS
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader
    from streams.metering.log_times import LogTimes
    from streams.metering.price_file import BudgetPrices
    from streams.metering.reader import UsageReader
    from streams.metering.verify import verify as prove
    from streams.quota.replicas import replicas
    from streams.redis_client import redis_client
    from streams.tables.log_ends import KafkaLogEnds

    settings = read_settings()
    bootstrap = settings.kafka_bootstrap
    async with AsyncExitStack() as stack:
        redis = redis_client(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        ends = KafkaLogEnds(bootstrap, (USAGE_EVENTS.name,))
        stack.push_async_callback(ends.stop)
        schemas = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec()))
        prices = BudgetPrices(settings.models_file).changed()
        return await prove(
            bootstrap,
            schemas,
            UsageReader(redis, ends, LogTimes(bootstrap)),
            query,
            now_ms,
            prices,
            await replicas(redis),
        )


def _print_proof(proof: "Proof") -> None:
    from datetime import UTC, datetime

    typer.echo(
        f"{proof.events} events of {proof.requests} jobs and calls make {proof.rows} rows; "
        f"{proof.jobs} jobs finished, {proof.calls} calls were made"
    )
    for what, counts in (("refused", proof.refused), ("without usage, for a reason", proof.reasons)):
        if counts:
            typer.echo(f"{what}: {', '.join(f'{name} {n}' for name, n in sorted(counts.items()))}")
    if proof.pending:
        typer.echo(f"ended just now or still open, usage still to come: {proof.pending}")
    for what, since_ms in (("jobs", proof.jobs_since_ms), ("calls", proof.calls_since_ms)):
        if since_ms is not None:
            at = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat(timespec="seconds")
            typer.echo(f"not checked: {what} before {at}, which the log no longer holds")
    if not proof.money:
        typer.echo("not compared: money, for the prices in models.yml cannot be read (GATEWAY_MODELS_FILE)")
    for event_id in proof.conflicts:
        typer.echo(f"conflict: {event_id} came again with other content; the first is kept")
    for difference in proof.differences:
        row = " / ".join(str(part) or "-" for part in difference.row)
        made = f"reported {difference.reported}, the log makes {difference.recomputed}"
        typer.echo(f"difference: {difference.level} {row}: {made}")
        typer.echo(f"  made by {', '.join(difference.requests) or 'nothing on the log'}")
    for wrong in proof.sums:
        about = " / ".join(str(part) or "-" for part in wrong.about)
        typer.echo(f"budget sum: {about}: kept {tuple(wrong.reported)}, the log makes {tuple(wrong.recomputed)}")
    for job_id, missing in proof.unmetered.items():
        typer.echo(f"unmetered: {job_id}: {missing}")
    for event_id in proof.wrongly_refused:
        typer.echo(f"wrongly refused: {event_id}")
    typer.echo("0 differences" if proof.holds else "the report is NOT what the log makes it")


def _print_proof_json(proof: "Proof") -> None:
    from collections import Counter
    from dataclasses import asdict, replace

    document = {
        **asdict(replace(proof, differences=[], sums=[], refused=Counter(), reasons=Counter())),
        # Not by `asdict`, which counts a counter's pairs.
        "refused": dict(proof.refused),
        "reasons": dict(proof.reasons),
        "holds": proof.holds,
        "differences": [
            {
                "level": d.level,
                "row": d.row._asdict(),
                "reported": d.reported,
                "recomputed": d.recomputed,
                "requests": d.requests,
            }
            for d in proof.differences
        ],
        "sums": [
            {"sum": s.about._asdict(), "reported": s.reported._asdict(), "recomputed": s.recomputed._asdict()}
            for s in proof.sums
        ],
    }
    print_json(document)


def _show(found: dict[str, Any], *, waste: bool = False) -> None:
    from rich.table import Table

    from cli.stack.view import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in found["group_by"]:
        table.add_column(column)
    for column in _NUMBERS:
        table.add_column(column.replace("_", " "), justify="right")
    for column in ("attempts", *(f"waste {name.replace('_', ' ')}" for name in _WASTED)) if waste else ():
        table.add_column(column, justify="right")
    for row in [*found["rows"], found["total"]]:
        groups = [str(row.get(column, "")) or "-" for column in found["group_by"]]
        if row is found["total"] and groups:
            groups = ["total", *[""] * (len(groups) - 1)]
        numbers = [row[column] for column in _NUMBERS]
        numbers += [row["attempts"], *(row["waste"][name] for name in _WASTED)] if waste else []
        table.add_row(*groups, *(f"{number:,}" for number in numbers))
    make_console().print(table)
    typer.echo(f"{found['from']} to {found['to']}, complete through {found['complete_through']}", err=True)
    if found["unpriced"]:
        typer.echo(f"without a price: {', '.join(found['unpriced'])}", err=True)
