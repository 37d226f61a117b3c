"""`gateway dlt list`, `show`, `replay`, `drop`: what could not be processed, and what becomes of it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.environment import read_settings
from cli.output import print_json, print_json_line
from schemas.errors import GatewayError, InvalidInput

if TYPE_CHECKING:
    from schemas.dead_letters import Letter
    from streams.dead_letter_store import DeadLetterDesk

Wanted = Annotated[
    list[str] | None, typer.Argument(metavar="ID…", help="A letter (topic/partition/offset) or a job's id.")
]
All = Annotated[bool, typer.Option("--all", help="Every open letter that the filters leave.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Only letters of this topic.")]
OfService = Annotated[str | None, typer.Option("--service", help="Only letters of this service.")]
OfCode = Annotated[str | None, typer.Option("--code", help="Only letters with this error code.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def register(app: typer.Typer) -> None:
    """Add the `dlt` commands."""
    dlt = typer.Typer(help="Look at dead letters, replay them or drop them.", no_args_is_help=True)
    dlt.command("list")(list_letters)
    dlt.command("show")(show)
    dlt.command("replay")(replay)
    dlt.command("drop")(drop)
    app.add_typer(dlt, name="dlt")


def list_letters(topic: OfTopic = None, service: OfService = None, code: OfCode = None, json: AsJson = False) -> None:
    """List what could not be processed and waits for a decision, oldest first."""
    from cli.letter_display import summary

    rows = [summary(letter) for letter in _filtered(asyncio.run(_read()), topic, service, code)]
    if json:
        print_json_line(rows)
        return
    if not rows:
        typer.echo("No dead letters.")
        return
    from rich.table import Table

    from cli.stack.view import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ("id", "job_id", "service", "stage", "attempts", "code", "at")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=column in ("id", "job_id"))
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    make_console().print(table)
    typer.echo("Look at one with: ./gateway dlt show ID", err=True)


def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A letter (topic/partition/offset) or a job's id.")],
    json: AsJson = False,
) -> None:
    """Show a dead letter: its headers and its record, without the document's text."""
    from cli.letter_display import full
    from streams.dead_letter_store import choose

    letter = choose(asyncio.run(_read()), wanted)[-1]
    body = full(letter, asyncio.run(_decoded(letter)))
    if json:
        print_json_line(body)
        return

    print_json(body)


def replay(
    wanted: Wanted = None,
    every: All = False,
    topic: OfTopic = None,
    service: OfService = None,
    code: OfCode = None,
    json: AsJson = False,
) -> None:
    """Put records back on their topics; a job is worked on again under its old id."""
    letters = asyncio.run(_read())
    raise typer.Exit(asyncio.run(_replay(_wanted(letters, wanted, every, topic, service, code), json)))


def drop(
    wanted: Wanted = None,
    every: All = False,
    topic: OfTopic = None,
    service: OfService = None,
    code: OfCode = None,
) -> None:
    """Take letters off the list for good; their jobs stay failed."""
    letters = _wanted(asyncio.run(_read()), wanted, every, topic, service, code)
    asyncio.run(_drop(letters))
    typer.echo(f"dropped {len(letters)}")


def _wanted(
    letters: "list[Letter]",
    wanted: list[str] | None,
    every: bool,
    topic: str | None,
    service: str | None,
    code: str | None,
) -> "list[Letter]":
    from streams.dead_letter_store import choose

    if bool(wanted) == every:
        raise InvalidInput("name letters or give --all, one of the two", remedy="see ./gateway dlt list for the ids")
    if every:
        return _filtered(letters, topic, service, code)
    chosen = {letter.source: letter for one in wanted or () for letter in choose(letters, one)}
    return _filtered(list(chosen.values()), topic, service, code)


def _filtered(letters: "list[Letter]", topic: str | None, service: str | None, code: str | None) -> "list[Letter]":
    return [
        letter
        for letter in letters
        if topic in (None, letter.source.topic) and service in (None, letter.service) and code in (None, letter.code)
    ]


async def _replay(letters: "list[Letter]", json: bool) -> int:
    done: list[dict[str, object]] = []
    failed = 0
    async with _desk() as desk:
        for letter in letters:
            try:
                replayed = await desk.replay(letter, int(time.time() * 1000))
            except GatewayError as e:
                failed += 1
                typer.echo(f"error: {letter.source}: {e.message}", err=True)
                if e.remedy:
                    typer.echo(f"remedy: {e.remedy}", err=True)
                continue
            done.append({"id": str(letter.source), "job_id": letter.job_id, "epoch": replayed.epoch})
            if not json:
                epoch = "" if replayed.epoch is None else f", epoch {replayed.epoch}"
                typer.echo(f"replayed {letter.source}: {letter.job_id} to {replayed.topic}{epoch}")
    if json:
        print_json_line({"replayed": done, "failed": failed})
    elif not letters:
        typer.echo("No dead letters.")
    return 1 if failed else 0


async def _drop(letters: "list[Letter]") -> None:
    async with _desk() as desk:
        for letter in letters:
            await desk.drop(letter, int(time.time() * 1000))


async def _decoded(letter: "Letter") -> object | None:
    async with _desk() as desk:
        return await desk.decoded(letter)


async def _read() -> "list[Letter]":
    from streams.dead_letter_store import read_open_letters

    return await read_open_letters(read_settings().kafka_bootstrap)


@asynccontextmanager
async def _desk() -> "AsyncGenerator[DeadLetterDesk]":
    from schemas.codec import Codec
    from schemas.topics import SCHEMAS
    from streams.dead_letter_store import DeadLetterDesk
    from streams.log.kafka_publisher import KafkaPublisher
    from streams.log.kafka_tail import KafkaTail
    from streams.log.schema_reader import SchemaReader
    from streams.storage.store import open_blob_store

    settings, codec = read_settings(), Codec()
    bootstrap = settings.kafka_bootstrap
    async with (
        KafkaPublisher(bootstrap, codec=codec) as publisher,
        SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), codec) as decoder,
    ):
        yield DeadLetterDesk(publisher, decoder, codec, blobs=open_blob_store(settings.blob_url))
