"""`gateway topics` and `gateway lag`: what is on the log, and how far its readers are."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import read_settings
from cli.output import print_json_line
from schemas.errors import InvalidInput, Permanent

if TYPE_CHECKING:
    from schemas.topics import Topic
    from streams.log.admin import GroupLag, TopicChanges, TopicState

_MS_PER_DAY = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the commands about topics."""
    app.command()(topics)
    app.command()(lag)


def topics(
    partitions: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC=NUMBER", help="More partitions for a request topic and its lanes; repeatable."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="TOPIC=TIME", help="Keep it longer, such as 30d, until the next `topics`; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False,
) -> None:
    """Create the topics that are missing, correct settings and doors' access lists that differ, and describe all."""
    changes, states = asyncio.run(_changed_and_described(_Wanted.of(partitions or (), keep or ())))
    told = asyncio.run(_renewed_grants())
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
    if told:
        typer.echo(told, err=True)


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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be changed beyond what is declared: partitions by topic and lane, times by topic."""

    partitions: "list[tuple[list[Topic], int]]"
    kept: list[tuple[str, timedelta]]

    @classmethod
    def of(cls, partitions: Sequence[str], keep: Sequence[str]) -> "_Wanted":
        from streams.api_keys import parse_duration_ms

        numbers = [(_lanes(name), _number(text)) for name, text in map(_pair, partitions)]
        return cls(
            numbers, [(name, timedelta(milliseconds=parse_duration_ms(text))) for name, text in map(_pair, keep)]
        )


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not (name and equals and value):
        raise InvalidInput(f"{option!r} is not TOPIC=…", remedy="write it as ocr.requests=16, or ocr.requests.bulk=30d")
    return name, value


def _number(text: str) -> int:
    if not text.isdecimal():
        raise InvalidInput(f"{text!r} is no number of partitions", remedy="write it as ocr.requests=16")
    return int(text)


def _lanes(name: str) -> "list[Topic]":
    """Return the request topics of the stage whose interactive one is named: a processor reads them together."""
    from streams.stages import all_stages

    for stage in all_stages().values():
        if stage.requests["interactive"].name == name:
            return list(stage.requests.values())
    names = ", ".join(sorted(stage.requests["interactive"].name for stage in all_stages().values()))
    raise InvalidInput(f"{name} is no request topic of a stage", remedy=f"name one of {names}")


async def _changed_and_described(wanted: _Wanted) -> "tuple[TopicChanges, list[TopicState]]":
    from streams.log.admin import kafka_admin
    from streams.stages import declared_topics

    async with kafka_admin(read_settings().kafka_bootstrap) as admin:
        changes = await admin.ensure_topics([*declared_topics(), *await admin.doors()])
        for lanes, number in wanted.partitions:
            await admin.grow(lanes, number)
        for name, kept in wanted.kept:
            await admin.keep(name, kept)
        return changes, await admin.describe()


async def _renewed_grants() -> str:
    """Return what to tell of the access lists of batch doors."""
    from cli.batch_doors import renew_grants

    try:
        renewed = await renew_grants(read_settings())
    except Permanent as e:
        why = "; ".join(filter(None, (e.message, e.remedy)))
        return f"the access lists of the batch doors were left as they are: {why}"
    return f"corrected the access lists of {', '.join(renewed)}" if renewed else ""


async def _lag() -> "list[GroupLag]":
    from streams.log.admin import kafka_admin

    async with kafka_admin(read_settings().kafka_bootstrap) as admin:
        return await admin.lag()


def _retention(state: "TopicState") -> str:
    raw = state.configs.get("retention.ms", "")
    if not raw.isdecimal():
        return "for ever" if raw == "-1" else ""
    return f"{int(raw) / _MS_PER_DAY:g} d"
