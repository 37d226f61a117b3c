"""`gateway submit`, `job`, `jobs`, `cancel`: a client of the REST interface."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import print_json
from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from cli.gateway_client import GatewayClient
    from cli.submit_files import Outcome
    from streams.settings import Settings

KeyOption = Annotated[
    str | None, typer.Option("--key", help="API key; else GATEWAY_API_KEY, else the local stack's own key.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the gateway's own JSON.")]


def register(app: typer.Typer) -> None:
    """Add the client commands."""
    app.command()(submit)
    app.command()(job)
    app.command()(jobs)
    app.command()(cancel)


def open_client(key: str | None = None, *, url: str = "") -> "GatewayClient":
    """Return a client of the gateway at `url`, else of the one that the environment names.

    Raises InvalidInput when there is no key to be had.
    """
    from cli.gateway_client import GatewayClient

    _, base, found = _access(key)
    return GatewayClient(url or base, found)


def _access(key: str | None) -> "tuple[Settings, str, str]":
    """Return the settings, the gateway's address and the key."""
    from cli.environment import gateway_url, local_url, read_environment
    from streams.settings import Settings

    env = read_environment()
    settings = Settings.from_env(env)
    own = settings.data_dir / "local.key"
    found = key or env.get("GATEWAY_API_KEY") or (own.read_text().strip() if own.is_file() else "")
    if not found:
        raise InvalidInput(
            "there is no API key",
            code="missing_key",
            remedy="use --key, set GATEWAY_API_KEY, or start the local stack: ./gateway up --detach",
        )
    return settings, gateway_url(env) or local_url(settings), found


def submit(
    module: Annotated[str, typer.Argument(help="What to do, such as gongmun or ocr.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="One job for each file; a folder stands for those in it.", exists=True)
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the module; repeatable."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the jobs have ended.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write <stem>.json for each file and summary.csv there; waits.", file_okay=False)
    ] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="Through the service's Kafka door; the same command again goes on.")
    ] = False,
    service: Annotated[str, typer.Option(help="With --batch: the service of the key.")] = "local",
    retry: Annotated[
        bool, typer.Option("--retry", help="With --batch: ask anew for what failed or was cancelled in earlier runs.")
    ] = False,
    files_from: Annotated[
        Path | None,
        typer.Option(metavar="LIST", help="A file with a path a line; - is the standard input.", allow_dash=True),
    ] = None,
    key: KeyOption = None,
) -> None:
    """Submit files, one job each. Exit code 1 when one is refused or does not end well.

    GATEWAY_URL is the gateway's address where it is not on this host.
    """
    from cli.file_lists import listed_files
    from cli.submit_files import submit_files, write_outcomes

    every = listed_files(files or (), files_from, without=out)
    options = dict(_option(text) for text in option or ())
    if batch:
        from cli.batch_progress import submit_through_door

        if out is None:
            raise InvalidInput("--batch needs --out", code="missing_option", remedy="add --out FOLDER")
        settings, url, found = _access(key)
        registry = settings.schema_registry_url
        submit_through_door(
            settings.kafka_bootstrap, url, found, service, module, every, options, out, retry=retry, registry=registry
        )
        return
    if retry:
        raise InvalidInput("--retry is for --batch", code="missing_option", remedy="without it files are asked anew")
    waits = wait or out is not None
    with open_client(key) as client:
        if waits and len(every) == 1 and sys.stdout.isatty():
            outcomes = [_watched(client, module, every[0], options)]
        else:
            with _Reporter(len(every), waits) as report:
                outcomes = submit_files(client, module, every, options, wait=waits, done=report)
    if out is not None:
        write_outcomes(outcomes, out)
        typer.echo(f"{sum(o.status == 'done' for o in outcomes)} of {len(outcomes)} done, written to {out}", err=True)
    if any(outcome.status in ("refused", "failed", "cancelled") for outcome in outcomes):
        raise typer.Exit(1)


def job(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended, showing its stages.")] = False,
    as_json: JsonOption = False,
    evidence: Annotated[
        Path | None, typer.Option(help="Write the page that shows where each value was read there.", dir_okay=False)
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="All that happened to it, read from the topics (no key is needed).")
    ] = False,
    key: KeyOption = None,
) -> None:
    """Look at a job: its stages and, when it is done, its result."""
    if trace:
        from cli.job_trace import print_trace

        print_trace(job_id, as_json=as_json)
        return
    with open_client(key) as client:
        if not wait:
            found = client.job(job_id)
        elif sys.stdout.isatty() and not as_json:
            found = _live(client, job_id)
        else:
            found = client.finished(job_id)
        if evidence is not None:
            evidence.write_bytes(client.evidence(job_id))
            typer.echo(f"open {evidence.resolve().as_uri()}", err=True)
    if as_json:
        print_json(found)
        return
    if not (wait and sys.stdout.isatty()):
        _show(found)
    if found["result"] is not None:
        print_json(found["result"])


def jobs(
    module: Annotated[str | None, typer.Option(help="Only of this module.")] = None,
    status: Annotated[str | None, typer.Option(help="Only queued, running, done, failed or cancelled ones.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=200)] = 20,
    as_json: JsonOption = False,
    key: KeyOption = None,
) -> None:
    """List jobs of the key's service, newest first."""
    from cli.job_display import job_line

    params = {name: value for name, value in (("module", module), ("status", status), ("limit", limit)) if value}
    with open_client(key) as client:
        page = client.jobs(params)
    if as_json:
        print_json(page)
        return
    for each in page["jobs"]:
        typer.echo(f"{each['created_at']} {job_line(each)}")
    if not page["jobs"]:
        typer.echo("no jobs", err=True)


def cancel(job_id: Annotated[str, typer.Argument(metavar="ID")], key: KeyOption = None) -> None:
    """Cancel a job that has not ended."""
    with open_client(key) as client:
        found = client.cancel(job_id)
    typer.echo(f"{found['job_id']} {found['status']}")


class _Reporter:
    """Tells each outcome: a progress bar on a terminal, a line each elsewhere."""

    def __init__(self, total: int, waits: bool) -> None:
        self._waits = waits
        self._bar = self._task = None
        if sys.stderr.isatty() and total > 1:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("done" if waits else "submitted", total=total)

    def __enter__(self) -> "_Reporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, outcome: "Outcome") -> None:
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        code, message = outcome.reason
        job_id = outcome.job["job_id"] if outcome.job else "-"
        self._say(f"{job_id}\t{outcome.status}\t{outcome.file}{f'	{code}: {message}' if code else ''}")
        if outcome.error is not None and outcome.error.remedy:
            self._say(f"remedy: {outcome.error.remedy}", err=True)

    def _say(self, line: str, *, err: bool = False) -> None:
        if self._bar is not None and (err or sys.stdout.isatty()):
            # Above the bar: what is written past it lands in its line.
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            typer.echo(line, err=err)


def _watched(client: "GatewayClient", module: str, file: Path, options: dict[str, str]) -> "Outcome":
    from cli.submit_files import Outcome

    found = _live(client, client.submit(module, [file], options))
    if found["error"]:
        typer.echo(f"{found['error']['code']}: {found['error']['message']}", err=True)
    return Outcome(file, found)


def _live(client: "GatewayClient", job_id: str) -> dict[str, Any]:
    from rich.live import Live

    from cli.job_display import stage_table

    found: dict[str, Any] = {}
    with Live(refresh_per_second=10) as live:
        for found in client.follow(job_id):
            live.update(stage_table(found))
    return found


def _show(found: dict[str, Any]) -> None:
    from cli.job_display import job_line, stage_table

    if not sys.stdout.isatty():
        typer.echo(job_line(found), err=True)
        return
    from rich.console import Console

    Console().print(stage_table(found))
    if found["error"]:
        typer.echo(f"{found['error']['code']}: {found['error']['message']}", err=True)


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput(
            f"--option {text[:80]!r} is no NAME=VALUE", remedy="such as --option own_organisation=너른군"
        )
    return name, value
