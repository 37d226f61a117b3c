"""`gateway replay …`: past jobs done again, compared, and kept or thrown away. A client of `/v1/replays`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json

if TYPE_CHECKING:
    from cli.gateway_client import GatewayClient

KeyOption = Annotated[
    str | None, typer.Option("--key", help="Key with scope admin; else GATEWAY_API_KEY, else the stack's own.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the gateway's own JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID")]

_PAUSE_S = 0.3


def register(app: typer.Typer) -> None:
    """Add the `replay` commands."""
    replay = typer.Typer(help="Run the past again, compare, keep or discard.", no_args_is_help=True)
    for name, command in (("start", start), ("status", status), ("diff", diff), ("list", list_replays)):
        replay.command(name)(command)
    for name, command in (("pause", pause), ("resume", resume), ("cancel", cancel)):
        replay.command(name)(command)
    for name, command in (("promote", promote), ("discard", discard)):
        replay.command(name)(command)
    app.add_typer(replay, name="replay")


def start(
    source: Annotated[str, typer.Option("--from", help="A topic such as ocr.done, or a module such as gongmun.")],
    since: Annotated[str | None, typer.Option(help="ISO 8601; else from the oldest record on.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO 8601, exclusive; else up to now.")] = None,
    service: Annotated[str | None, typer.Option(help="Only jobs of this service.")] = None,
    status: Annotated[str | None, typer.Option(help="Only jobs that ended done, failed or cancelled.")] = None,
    module: Annotated[str | None, typer.Option(metavar="M[@VERSION]", help="What the new jobs run with.")] = None,
    model: Annotated[str | None, typer.Option(help="The model that the new jobs ask.")] = None,
    stage: Annotated[str | None, typer.Option(help="The stage they begin with, such as gongmun.extract.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the oldest so many.")] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Jobs started a second (50).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only plan: tells how many jobs there would be.")] = False,
    as_json: JsonOption = False,
    key: KeyOption = None,
) -> None:
    """Plan and start a replay. It goes on by itself: this command ends when the plan is made."""
    given = {
        "from": source,
        "since": since,
        "until": until,
        "service": service,
        "status": status,
        "module": module,
        "model": model,
        "stage": stage,
        "limit": limit,
        "rate": rate,
        "dry_run": dry_run,
    }
    with _client(key) as client:
        found = client.start_replay({name: value for name, value in given.items() if value not in (None, False)})
        # A dry run ends with its plan, so that what is shown is its end.
        while (found["planned"] is None and found["state"] in ("planning", "paused")) or (
            dry_run and found["state"] == "running"
        ):
            time.sleep(_PAUSE_S)
            found = client.replay(found["id"])
    _show(found, as_json)
    if found["error"]:
        raise typer.Exit(1)


def status(replay_id: Id, as_json: JsonOption = False, key: KeyOption = None) -> None:
    """Tell where a replay stands."""
    with _client(key) as client:
        _show(client.replay(replay_id), as_json)


def list_replays(as_json: JsonOption = False, key: KeyOption = None) -> None:
    """List replays, newest first."""
    with _client(key) as client:
        found = client.replays()
    if as_json:
        print_json(found)
        return
    for one in found["replays"]:
        typer.echo(_line(one))
    if not found["replays"]:
        typer.echo("no replays", err=True)


def diff(
    replay_id: Id,
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as one page there.", dir_okay=False)] = None,
    language: Annotated[str, typer.Option("--lang", help="Of the page: ko or en.")] = "ko",
    examples: Annotated[int, typer.Option(min=0, max=1000, help="How many jobs in full.")] = 20,
    key: KeyOption = None,
) -> None:
    """Compare a replay's results with the originals', field by field."""
    with _client(key) as client:
        if html is not None:
            params = {"format": "html", "lang": language, "examples": examples}
            html.write_bytes(client.replay_page(replay_id, params))
            typer.echo(f"open {html.resolve().as_uri()}", err=True)
            return
        found = client.replay_diff(replay_id, {"examples": examples})
    if as_json:
        print_json(found)
        return
    totals = ", ".join(f"{found[kind]} {kind}" for kind in ("changed", "gained", "lost", "same"))
    typer.echo(f"{found['compared']} jobs compared, {found['identical']} identical; fields: {totals}")
    for why, count in found["not_compared"].items():
        typer.echo(f"not compared: {count}: {why}")
    for one in found["fields"]:
        typer.echo(f"  {one['field']}: {one['changed']} changed, {one['gained']} gained, {one['lost']} lost")
    for job in found["jobs"]:
        for change in job["fields"]:
            typer.echo(f"{job['job_id']} {change['kind']} {change['field']}: {change['before']} -> {change['after']}")


def pause(replay_id: Id, key: KeyOption = None) -> None:
    """Start no further jobs for now."""
    _order(replay_id, "pause", key)


def resume(replay_id: Id, key: KeyOption = None) -> None:
    """Go on with a paused replay."""
    _order(replay_id, "resume", key)


def cancel(replay_id: Id, key: KeyOption = None) -> None:
    """End a replay: no further jobs are started, and those that have not ended are cancelled."""
    _order(replay_id, "cancel", key)


def promote(replay_id: Id, key: KeyOption = None) -> None:
    """Make the new results the originals' current ones; what was stays on the log."""
    with _client(key) as client:
        found = client.order_replay(replay_id, "promote")
        while found["promoting"]:
            time.sleep(_PAUSE_S)
            found = client.replay(replay_id)
    typer.echo(_line(found))


def discard(replay_id: Id, key: KeyOption = None) -> None:
    """Settle a replay: the originals stay as they are."""
    _order(replay_id, "discard", key)


def _order(replay_id: str, order: str, key: str | None) -> None:
    with _client(key) as client:
        typer.echo(_line(client.order_replay(replay_id, order)))


def _client(key: str | None) -> "GatewayClient":
    from cli.client_commands import open_client

    return open_client(key)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    typer.echo(_line(found))
    for reason, count in found["skipped"].items():
        typer.echo(f"left out: {count} {reason.replace('_', ' ')}")
    if found["error"]:
        typer.echo(f"error: {found['error']['message']}", err=True)
        typer.echo(f"remedy: {found['error']['remedy']}", err=True)


def _line(found: dict[str, Any]) -> str:
    planned = "-" if found["planned"] is None else found["planned"]
    dry = " (dry run)" if found["request"]["dry_run"] else ""
    return (
        f"{found['id']} {found['state']}{dry}: {planned} planned, {found['started']} started, "
        f"{found['done']} done, {found['failed']} failed, {found['promoted']} promoted"
    )
