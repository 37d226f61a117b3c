"""A folder of documents with truth: `index.json`, and beside it what it names (`inputs/`, `truth/`, `boxes/`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from schemas.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Example:
    """One document in one variant: its files in the order of their pages, its truth, and the true places."""

    document: str
    variant: str
    kind: str
    pages: int
    files: tuple[Path, ...]
    truth: Mapping[str, Any]
    boxes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.document}__{self.variant}"


def read_examples(folder: Path) -> list[Example]:
    """Return the folder's examples in the order of its index.

    Raises InvalidInput naming the file that is missing or is not as it should be.
    """
    index = _json(folder / "index.json")
    if not isinstance(index, list) or not index:
        raise _unusable(folder / "index.json", "is no list of documents")
    return [_example(folder, entry, number) for number, entry in enumerate(cast("list[Any]", index), 1)]


def _example(folder: Path, entry: object, number: int) -> Example:
    if not isinstance(entry, dict):
        raise _unusable(folder / "index.json", f"entry {number} is no object")
    body = cast("dict[str, Any]", entry)
    try:
        files = tuple(folder / name for name in body["files"])
        truth = _json(folder / body["truth"])
        boxes = _json(folder / body["boxes"]) if body.get("boxes") else {}
        example = Example(
            document=str(body["doc"]),
            variant=str(body.get("variant", "document")),
            kind=str(body.get("kind", "")),
            pages=int(body.get("pages", 1)),
            files=files,
            truth=truth,
            boxes=boxes,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(folder / "index.json", f"entry {number}: {type(error).__name__} {error}") from error
    for file in files:
        if not file.is_file():
            raise _unusable(file, "is not there")
    if not files or not isinstance(truth, dict) or not isinstance(boxes, dict):
        raise _unusable(folder / "index.json", f"entry {number} has no files, or its truth or boxes are no objects")
    return example


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _unusable(path, "is not there") from error
    except (orjson.JSONDecodeError, OSError) as error:
        raise _unusable(path, f"cannot be read as JSON ({type(error).__name__})") from error


def _unusable(path: Path, what: str) -> InvalidInput:
    return InvalidInput(
        f"{path} {what}",
        code="bad_examples",
        remedy="a folder for eval has index.json: a list of {doc, variant, kind, pages, files, truth, boxes}",
    )
