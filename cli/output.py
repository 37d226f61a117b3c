"""What commands write in the same way: JSON, and names of result files."""

from typing import Any

import typer


def print_json(body: Any) -> None:
    """Print JSON for people and programs, indented."""
    import orjson

    typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())


def print_json_line(body: Any) -> None:
    """Print JSON in one line."""
    import orjson

    typer.echo(orjson.dumps(body).decode())


def free_name(stem: str, taken: set[str]) -> str:
    """Return a name for a result that no other has yet, and take it: `letter.json`, `letter-2.json`, …"""
    name, number = f"{stem}.json", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.json"
    taken.add(name)
    return name
