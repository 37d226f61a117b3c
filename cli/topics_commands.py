"""`gateway topics` and `gateway lag`: what is on the log, and how far its readers are."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import read_settings
from cli.output import print_json_line

if TYPE_CHECKING:
    from streams.log.admin import GroupLag, TopicChanges, TopicState

_MS_PER_DAY = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the commands about topics."""
    app.command()(topics)
    app.command()(lag)


def topics(json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False) -> None:
    """Create the topics that are missing, correct settings that differ, and describe them all."""
    changes, states = asyncio.run(_ensure_and_describe())
    if json:
        print_json_line([{**asdict(s), "configs": dict(s.configs)} for s in states])
        return
    from rich.table import Table

    from cli.stack.view import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("topic", "partitions", "records", "retention", "clean-up", "compression"):
        table.add_column(column, justify="right" if column in ("partitions", "records", "retention") else "left")
    for s in states:
        policy, compression = s.configs.get("cleanup.policy", ""), s.configs.get("compression.type", "")
        table.add_row(s.name, str(s.partitions), str(s.records), _retention(s), policy, compression)
    make_console().print(table)
    for verb, names in (("created", changes.created), ("corrected", changes.updated)):
        if names:
            typer.echo(f"{verb}: {', '.join(names)}", err=True)


def lag(json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False) -> None:
    """Show how many records each consumer group has not committed yet."""
    rows = asyncio.run(_lag())
    if json:
        print_json_line([asdict(row) for row in rows])
        return
    if not rows:
        typer.echo("No consumer group has committed anything yet.")
        return
    from rich.table import Table

    from cli.stack.view import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("group", "topic", "committed", "end", "lag"):
        table.add_column(column, justify="left" if column in ("group", "topic") else "right")
    for row in rows:
        table.add_row(row.group, row.topic, str(row.committed), str(row.end), str(row.lag))
    make_console().print(table)


async def _ensure_and_describe() -> "tuple[TopicChanges, list[TopicState]]":
    from schemas.topics import doors_among
    from streams.log.admin import kafka_admin
    from streams.stages import declared_topics

    async with kafka_admin(read_settings().kafka_bootstrap) as admin:
        topics = (*declared_topics(), *doors_among(await admin.topic_names()))
        return await admin.ensure_topics(topics), await admin.describe()


async def _lag() -> "list[GroupLag]":
    from streams.log.admin import kafka_admin

    async with kafka_admin(read_settings().kafka_bootstrap) as admin:
        return await admin.lag()


def _retention(state: "TopicState") -> str:
    raw = state.configs.get("retention.ms", "")
    if not raw.isdecimal():
        return "for ever" if raw == "-1" else ""
    return f"{int(raw) / _MS_PER_DAY:g} d"
