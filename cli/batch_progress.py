"""`gateway submit --batch` on the command line: the connections, the progress and the exit code."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from cli.batch_book import BatchBook, Ended
from cli.stack.stack_lock import AlreadyLocked, held
from cli.submit_batch import ENDED_BADLY, BatchRun, canonical, write_summary
from schemas.errors import GatewayError, InvalidInput
from streams.client import DoorClient, RestClient


class Progress:
    """A bar with rate and remaining time on a terminal, a line for each file elsewhere."""

    def __init__(self, total: int) -> None:
        self.done = 0
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            columns = (
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
            )
            self._bar = progress.Progress(*columns, console=Console(stderr=True), speed_estimate_period=10)
            self._task = self._bar.add_task("answered", total=total, rate="")
            self._bar.start()

    def advance(self, count: int = 1) -> None:
        """Count files that were answered."""
        self.done += count
        if self._bar is not None:
            self._bar.advance(self._task, count)
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, rate=f"{speed:,.1f}/s" if speed else "")

    def __call__(self, file: str, ended: Ended) -> None:
        """Tell of one file."""
        self.advance()
        why = f"\t{ended.code}: {ended.message}" if ended.code else ""
        if self._bar is None:
            typer.echo(f"{ended.job_id or '-'}\t{ended.status}\t{file}{why}")
        elif why:
            self._bar.console.print(f"{ended.status} {file}{why}", markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()


def unavailable(module: str, modules: Sequence[Mapping[str, Any]]) -> str:
    """Return what to tell who asks for a module that nobody serves now; empty when it is served, or not known."""
    lacking = next((each for each in modules if each["name"] == module and not each["available"]), None)
    if lacking is None:
        return ""
    return (
        f"the module {module} is unavailable now: {lacking['reason']}; {lacking['remedy']}. "
        "The door takes the files, and their jobs wait until a processor serves it"
    )


def submit_through_door(
    bootstrap: str,
    url: str,
    key: str,
    service: str,
    module: str,
    files: Sequence[Path],
    options: Mapping[str, str],
    folder: Path,
    *,
    retry: bool = False,
    registry: str = "",
) -> None:
    """Submit the files through the door of `service` and write what comes to `folder`.

    With `retry`, what failed in earlier runs is asked for anew; with `registry`, as DoorClient does.

    Ends the command with code 1 when a file did not end well, with 130 when it was interrupted.
    Raises InvalidInput when another run writes to the folder, Outage as the clients do.
    """
    files = list(dict.fromkeys(files))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held(folder / ".batch.lock", "", patience_s=0):
            book, progress, interrupted = BatchBook(folder), Progress(len(files)), False
            try:
                asked = canonical(options)
                door = DoorClient(bootstrap, service, registry)
                asyncio.run(_run(door, url, key, module, files, asked, folder, book, progress, retry))
            except KeyboardInterrupt:
                interrupted = True
            finally:
                progress.close()
                write_summary(book, folder)
                rows = book.rows()
                book.close()
    except AlreadyLocked as e:
        raise InvalidInput(
            f"another submit writes to {folder}", code="folder_in_use", remedy="wait for it, or use another --out"
        ) from e
    done = sum(row.ended.status == "done" for row in rows)
    typer.echo(f"{done} of {len(rows)} done, written to {folder}", err=True)
    if interrupted:
        typer.echo("interrupted: the same command goes on where this one ended", err=True)
        raise typer.Exit(130)
    named = {str(file) for file in files}
    bad = [row.ended.status for row in rows if row.file in named and row.ended.status != "done"]
    if any(status in ENDED_BADLY for status in bad):
        typer.echo("what failed is asked for anew with --retry", err=True)
    if bad:
        raise typer.Exit(1)


async def _run(
    to: DoorClient,
    url: str,
    key: str,
    module: str,
    files: Sequence[Path],
    options: str,
    folder: Path,
    book: BatchBook,
    progress: Progress,
    retry: bool,
) -> None:
    async with RestClient(url, key) as rest, to as door:
        with contextlib.suppress(GatewayError):  # whoever needs REST below is told what is wrong with it
            if warning := unavailable(module, await rest.modules()):
                typer.echo(warning, err=True)
        await BatchRun(door, rest, book, folder, module, options, progress).run(files, progress.advance, retry=retry)
