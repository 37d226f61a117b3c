"""`gateway keys create`, `list`, `revoke`: API keys, kept as hashes on the topic `api.keys`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from schemas.events import ApiKey

_READ_TIMEOUT_S = 30.0


def register(app: typer.Typer) -> None:
    """Add the `keys` commands."""
    keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
    keys.command("create")(create)
    keys.command("list")(list_keys)
    keys.command("revoke")(revoke)
    app.add_typer(keys, name="keys")


def create(
    service: Annotated[str, typer.Option(help="The service that the key stands for: [a-z0-9-], up to 40.")],
    scopes: Annotated[str, typer.Option(help="Comma-separated, of jobs, chat, usage, admin.")] = "jobs,chat,usage",
    expires: Annotated[
        str | None, typer.Option(help="When it stops to work: 30s, 5m, 2h, 90d. Never, if left out.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the key alone.")] = False,
) -> None:
    """Make an API key. It is printed once and cannot be shown again."""
    import asyncio

    from streams.api_keys import make_key, parse_duration_ms

    now_ms = int(time.time() * 1000)
    expires_at_ms = now_ms + parse_duration_ms(expires) if expires else None
    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    record, key = make_key(service, wanted, expires_at_ms, now_ms)
    asyncio.run(_publish(record))
    if quiet:
        typer.echo(key)
        return
    typer.echo(key)
    typer.echo(
        f"id {record.key_id} · service {service} · scopes {', '.join(record.scopes)} · {_lifetime(record)}", err=True
    )
    typer.echo("Keep it now: only its hash is stored. It works within a second.", err=True)


def list_keys() -> None:
    """List the keys: their ids, never the keys themselves."""
    import asyncio

    from rich.console import Console
    from rich.table import Table

    keys = sorted(asyncio.run(_read()).values(), key=lambda key: key.created_at_ms)
    now_ms = int(time.time() * 1000)
    rows = [(k.key_id, k.service, ",".join(k.scopes), _iso(k.created_at_ms), _state(k, now_ms)) for k in keys]
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table("id", "service", "scopes", "created", "state")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id: the part after gw_.")]) -> None:
    """Revoke a key; within a second no replica takes it any more."""
    import asyncio

    from streams.api_keys import parse_key, revoked

    parts = parse_key(key_id)  # who pastes the whole key means its id
    wanted = parts.key_id if parts else key_id.removeprefix("gw_")
    key = asyncio.run(_read()).get(wanted)
    if key is None:
        raise InvalidInput(f"there is no key {wanted[:40]!r}", code="key_not_found", remedy="see ./gateway keys list")
    asyncio.run(_publish(revoked(key, int(time.time() * 1000))))
    typer.echo(f"revoked {wanted}")


async def _publish(record: "ApiKey") -> None:
    from cli.environment import read_settings
    from schemas.topics import API_KEYS
    from streams.log.kafka_publisher import KafkaPublisher

    async with KafkaPublisher(read_settings().kafka_bootstrap) as publisher:
        await publisher.publish(API_KEYS, record.key_id, record)


async def _read() -> "dict[str, ApiKey]":
    import asyncio

    from cli.environment import read_settings
    from schemas.codec import Codec
    from schemas.errors import Outage
    from schemas.events import ApiKey
    from schemas.topics import API_KEYS, SCHEMAS
    from streams.log.compacted_view import CompactedView
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader

    bootstrap = read_settings().kafka_bootstrap
    schemas = SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec())
    try:
        async with (
            asyncio.timeout(_READ_TIMEOUT_S),
            schemas,
            CompactedView(KafkaTail(bootstrap, API_KEYS.name), ApiKey, schemas, None) as view,
        ):
            await view.caught_up()
            return dict(view)
    except TimeoutError as e:
        message = f"Kafka at {bootstrap} does not answer"
        raise Outage(message, code="kafka_down", remedy="start it: ./gateway up --detach") from e


def _state(key: "ApiKey", now_ms: int) -> str:
    from streams.api_keys import is_expired

    if key.revoked_at_ms is not None:
        return f"revoked {_iso(key.revoked_at_ms)}"
    return "expired" if is_expired(key, now_ms) else _lifetime(key)


def _lifetime(key: "ApiKey") -> str:
    return f"expires {_iso(key.expires_at_ms)}" if key.expires_at_ms is not None else "does not expire"


def _iso(ms: int) -> str:
    from schemas.job_view import iso_time

    return iso_time(ms) or ""
