"""`gateway restore`: a table made from the log again."""

from typing import Annotated

import typer

from schemas.errors import InvalidInput
from schemas.topics import JOB_TABLE_CHANGELOG, LEDGER_TABLE_CHANGELOG

_TABLES = {"job-state": JOB_TABLE_CHANGELOG, "metering": LEDGER_TABLE_CHANGELOG}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(restore)


def restore(
    table: Annotated[str, typer.Argument(help="job-state or metering, none of whose processes runs.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget the table of a role that was stopped; its next start makes it from the log again.

    It reaches back as far as the topics do (docs/retention.md): what was kept for longer is gone.
    """
    import asyncio

    from cli.environment import read_settings
    from streams.log.restoring import forget_table

    if table not in _TABLES:
        raise InvalidInput(f"there is no table {table!r}", remedy=f"tables: {', '.join(_TABLES)}")
    if not yes and not typer.confirm(f"forget the table of {table}, to be made from the log again?", err=True):
        raise typer.Exit(1)
    asyncio.run(forget_table(read_settings().kafka_admin, table, _TABLES[table]))
    typer.echo(f"forgotten; start {table} again")
