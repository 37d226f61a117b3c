"""Which files a command is given: by name, as whole folders, or as a list, for a command line ends at some 60,000."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.errors import InvalidInput

STDIN = Path("-")


def listed_files(paths: Iterable[Path], files_from: Path | None, without: Path | None = None) -> list[Path]:
    """Return the files, each once, in order: those named, those in named folders by name, those of the list.

    A folder's hidden files are left out, and what lies under `without`, where results are written.
    Raises InvalidInput (`no_such_file`, `no_files`).
    """
    found: list[Path] = []
    for path in paths:
        found += _in_folder(path, without) if path.is_dir() else (path,)
    if files_from is not None:
        found += _of_list(files_from)
    if not found:
        raise InvalidInput(
            "no file is given", code="no_files", remedy="name files or folders, or use --files-from LIST"
        )
    return list(dict.fromkeys(found))


def _in_folder(folder: Path, without: Path | None) -> Iterator[Path]:
    own = None if without is None else without.resolve()
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.is_file() and not hidden and (own is None or own not in file.resolve().parents):
            yield file


def _of_list(files_from: Path) -> Iterator[Path]:
    try:
        text = sys.stdin.read() if files_from == STDIN else files_from.read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidInput(
            f"the list {files_from} cannot be read: {type(e).__name__}",
            code="no_such_file",
            remedy="write one path a line",
        ) from e
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            path = Path(line.strip())
            if not path.is_file():
                raise InvalidInput(
                    f"line {number} of the list: there is no file {path}",
                    code="no_such_file",
                    remedy="correct the line, or leave it out",
                )
            yield path
