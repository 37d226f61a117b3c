"""`gateway purge`: removes a job's, or a service's older jobs' content before its time."""

import getpass
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.environment import read_settings
from cli.output import print_json

if TYPE_CHECKING:
    from schemas.purges import PurgeScope
    from streams.purge.purging import Purger

JobOption = Annotated[str | None, typer.Option("--job", metavar="ID", help="One job, with the replays of it.")]
ServiceOption = Annotated[str | None, typer.Option("--service", help="A service's jobs and calls; with --before.")]
BeforeOption = Annotated[str | None, typer.Option(help="ISO 8601: only what was made before this time.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed, and what stays.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]

_SHOWN_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the `purge` command."""
    app.command("purge")(purge)


def purge(
    job: JobOption = None,
    service: ServiceOption = None,
    before: BeforeOption = None,
    dry_run: DryOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove content from blobs and views for good, and tell what stays on the topics until when."""
    import asyncio

    raise typer.Exit(asyncio.run(_purge(_scope(job, service, before), dry_run, yes, as_json)))


def _scope(job: str | None, service: str | None, before: str | None) -> "PurgeScope":
    from schemas.purges import PurgeScope
    from schemas.times import iso_ms
    from streams.api_keys import check_service

    return PurgeScope(
        job_id=job or "",
        service=check_service(service) if service else "",
        before_ms=iso_ms("--before", before) if before else 0,
    )


async def _purge(scope: "PurgeScope", dry_run: bool, yes: bool, as_json: bool) -> int:
    from streams.purge.planning import plan_document

    async with _purger() as purger:
        plan = await purger.plan(scope)
        if dry_run or plan.empty:
            _show(plan_document(plan), as_json)
            return 0
        if not yes:
            _show(plan_document(plan), as_json=False)
            if not typer.confirm("remove this for good?", err=True):
                typer.echo("nothing was removed", err=True)
                return 1
        purge_id, counts = await purger.carry_out(plan, f"cli:{getpass.getuser()}")
        document = plan_document(plan, done=counts, purge_id=purge_id)
        shown = await purger.shown(plan, _SHOWN_S)
        _show({**document, "shown": shown}, as_json)
        return 0


def _show(found: dict[str, Any], as_json: bool) -> None:

    if as_json:
        print_json(found)
        return
    would = "would remove" if found["dry_run"] else "removed"
    megabytes = found["blob_bytes"] / 1_000_000
    typer.echo(
        f"{would} {found['jobs']} jobs and {found['calls']} calls of {found['service']}, "
        f"{found['blobs']} blobs ({megabytes:.1f} MB)"
    )
    for count, what in (
        (found["purged_before"], "of these jobs were purged before"),
        (found["blobs_kept_for_others"], "blobs are kept: other jobs refer to them, or somebody sent them again"),
        (len(found["running"]), "jobs have not ended and are left: cancel them, then purge again"),
        (found["dead_letters"], "dead letters were dropped"),
    ):
        if count:
            typer.echo(f"{count} {what}")
    for one in found["remains"]:
        typer.echo(f"stays on {one['topic']}: {one['records']} records, until {one['until']} at the latest")
    typer.echo("usage rows stay, without content")
    if found.get("shown") is False:
        typer.echo("the views follow as soon as job-state runs", err=True)


@asynccontextmanager
async def _purger() -> "AsyncGenerator[Purger]":
    from schemas.codec import Codec
    from schemas.topics import SCHEMAS
    from streams.log.kafka_publisher import KafkaPublisher
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader
    from streams.log.schema_registry import in_either_framing
    from streams.purge.purging import Purger, PurgeTools
    from streams.redis_client import redis_client
    from streams.storage.checkpoints import open_checkpoints
    from streams.storage.store import open_blob_keeping, open_blob_store
    from streams.tables.job_reader import JobReader
    from streams.tables.log_ends import KafkaLogEnds

    settings, codec = read_settings(), Codec()
    bootstrap = settings.kafka_bootstrap
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, codec=codec))
        schemas = await stack.enter_async_context(SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec, publisher))
        decoder = await stack.enter_async_context(in_either_framing(schemas, settings.schema_registry_url))
        redis = redis_client(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        ends = KafkaLogEnds(bootstrap)
        stack.push_async_callback(ends.stop)
        yield Purger(
            PurgeTools(
                bootstrap=bootstrap,
                publisher=publisher,
                codec=codec,
                decoder=decoder,
                reader=JobReader(redis, ends),
                blobs=open_blob_store(settings.blob_url),
                keeping=open_blob_keeping(settings.blob_url),
                checkpoints=open_checkpoints(settings.blob_url),
            )
        )
