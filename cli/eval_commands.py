"""`gateway eval gongmun DIR`: how well letters whose truth is known are read."""

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from cli.evaluation.examples import Example
    from cli.evaluation.readers import Reading
    from cli.evaluation.report import Scored


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(help="Score results against documents whose truth is known.", no_args_is_help=True)
    commands.command("gongmun")(evaluate)
    # With one command only, the group would take its place.
    commands.callback()(lambda: None)
    app.add_typer(commands, name="eval")


def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Has index.json, inputs, truth and boxes.", exists=True, file_okay=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON, for --against later.")] = False,
    against: Annotated[
        Path | None, typer.Option(help="An earlier --json output to compare with.", exists=True, dir_okay=False)
    ] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Read here, without the local stack.")] = False,
    variant: Annotated[str | None, typer.Option(help="Only this variant, such as scan.")] = None,
    limit: Annotated[int, typer.Option(help="Only so many documents.", min=1)] = 100_000,
    workers: Annotated[int, typer.Option(help="Documents at a time.", min=1, max=64)] = 2,
    faults: Annotated[bool, typer.Option("--faults", help="Also list every wrong core value.")] = False,
    key: Annotated[str | None, typer.Option("--key", help="API key; see ./gateway submit --help.")] = None,
) -> None:
    """Read every letter of a folder and score it: per field, kind and variant, evidence, seconds a page.

    Exit code 1 when a document could not be read at all.
    """

    from cli.evaluation.examples import read_examples
    from cli.evaluation.report import as_text, difference, difference_as_text, report

    earlier = _earlier(against) if against is not None else None
    examples = [e for e in read_examples(folder) if variant in (None, e.variant)][:limit]
    if not examples:
        raise InvalidInput(f"{folder} has no variant {variant!r}", remedy="leave --variant out, or see its index.json")
    with _readings(examples, in_process, workers, key) as readings:
        scored = [
            _score(example, reading) for example, reading in zip(examples, _told(readings, examples), strict=True)
        ]
    body = report(scored)
    changes = difference(body, earlier) if earlier is not None else None
    if as_json:
        whole = {**body, **({"difference": changes} if changes is not None else {})}
        print_json(whole)
    else:
        typer.echo(as_text(body))
        if changes is not None:
            typer.echo(f"\n{difference_as_text(changes)}")
        _list_faults(scored, faults)
    if any(each.reading.error for each in scored):
        raise typer.Exit(1)


@contextmanager
def _readings(
    examples: "list[Example]", in_process: bool, workers: int, key: str | None
) -> "Generator[Iterator[Reading]]":
    from cli.evaluation.readers import read_in_process, read_through_gateway

    if in_process:
        from cli.environment import read_settings

        engine = read_settings().ocr_engine
        if engine == "paddle":
            raise InvalidInput(
                "PaddleOCR reads in children of its own environment, which an evaluation in this process has not",
                remedy="leave --in-process out, with a gateway that runs with GATEWAY_OCR_ENGINE=paddle",
            )
        yield read_in_process(examples, engine, workers)
        return
    from cli.client_commands import open_client

    with open_client(key) as client:
        yield read_through_gateway(client, examples, workers)


def _told(readings: "Iterator[Reading]", examples: "list[Example]") -> "Iterator[Reading]":
    """Pass the readings on, telling on a terminal how far it is."""
    shown = sys.stderr.isatty()
    for number, reading in enumerate(readings, 1):
        if shown:
            typer.echo(f"\r{number} of {len(examples)} {examples[number - 1].name:<40}", err=True, nl=False)
        yield reading
    if shown:
        typer.echo("", err=True)


def _score(example: "Example", reading: "Reading") -> "Scored":
    from cli.evaluation.report import Scored
    from cli.evaluation.scoring import score_letter
    from processors.llm.gongmun_stage import check_result
    from schemas.errors import WorkFailed

    valid = not reading.error
    if valid:
        import orjson

        try:
            check_result(orjson.dumps(reading.result))
        except WorkFailed:
            valid = False
    return Scored(example, reading, score_letter(example.truth, example.boxes, reading.result), valid)


def _list_faults(scored: "list[Scored]", every: bool) -> None:
    for each in scored:
        if each.reading.error:
            typer.echo(f"{each.example.name} failed: {each.reading.error}")
        elif every:
            for fault in each.score.faults:
                typer.echo(f"{each.example.name} {fault}")


def _earlier(path: Path) -> dict[str, Any]:
    import orjson

    try:
        body = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or not {"groups", "letters"} <= body.keys():
        raise InvalidInput(
            f"{path} is no report of ./gateway eval", remedy="make one with: ./gateway eval gongmun DIR --json > FILE"
        )
    return body
