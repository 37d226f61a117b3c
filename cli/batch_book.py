"""What a folder of `submit --batch` remembers: which files were asked for, where, and how each ended."""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cli.output import free_name
from streams.client import Place

BOOK = ".batch.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
  id TEXT PRIMARY KEY, partition INTEGER, at INTEGER,
  job_id TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT '', seconds TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  tries INTEGER NOT NULL DEFAULT 0, sent_ms INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS files (
  file TEXT NOT NULL, id TEXT NOT NULL REFERENCES requests, name TEXT NOT NULL UNIQUE, PRIMARY KEY (file, id));
CREATE TABLE IF NOT EXISTS doors (service TEXT NOT NULL, cluster TEXT NOT NULL);
"""
_ADDED = ("tries", "sent_ms")
"""Columns that the books of earlier versions lack."""

ENDED = frozenset({"done", "failed", "cancelled"})
"""How a job ends; whatever else a book holds is asked for again."""


class Ended(NamedTuple):
    """How a request ended: `done`, `failed` or `cancelled`; `rejected` by the door, `refused` by the REST interface,
    or `gone`, where its result was removed before it was fetched.
    """

    job_id: str
    status: str
    seconds: str = ""
    code: str = ""
    message: str = ""


class Row(NamedTuple):
    """One file of the summary."""

    file: str
    name: str
    ended: Ended


class BatchBook:
    """The folder's memory; each change is on the disk when its call returns."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(folder / BOOK)
        self._db.executescript(_TABLES)
        have = {column for _, column, *_ in self._db.execute("PRAGMA table_info(requests)")}
        for column in _ADDED:
            if column not in have:
                self._db.execute(f"ALTER TABLE requests ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def sends_to(self, service: str, cluster: str) -> None:
        """Note the door that requests are sent to; what was sent to another one, and not answered, was not sent."""
        known = self._db.execute("SELECT service, cluster FROM doors").fetchone()
        with self._db:
            if known not in (None, (service, cluster)):
                self._db.execute(
                    "UPDATE requests SET partition = NULL, at = NULL, tries = 0, status = '' WHERE status <> 'done'"
                )
            self._db.execute("DELETE FROM doors")
            self._db.execute("INSERT INTO doors VALUES (?, ?)", (service, cluster))

    def plan(self, files: Iterable[tuple[Path, str]]) -> None:
        """Note files with their request ids; each gets a name of its own for its result, and keeps it."""
        taken = {name for (name,) in self._db.execute("SELECT name FROM files")}
        with self._db:
            for file, request_id in files:
                known = self._db.execute("SELECT 1 FROM files WHERE file = ? AND id = ?", (str(file), request_id))
                if known.fetchone() is None:
                    self._db.execute("INSERT OR IGNORE INTO requests (id) VALUES (?)", (request_id,))
                    row = (str(file), request_id, free_name(file.stem, taken))
                    self._db.execute("INSERT INTO files VALUES (?, ?, ?)", row)

    def sent(self, request_ids: Sequence[str], places: Sequence[Place], now_ms: int) -> None:
        """Note where requests stand in the door, and since when."""
        with self._db:
            rows = [(p.partition, p.offset, now_ms, i) for i, p in zip(request_ids, places, strict=True)]
            self._db.executemany("UPDATE requests SET partition = ?, at = ?, sent_ms = ? WHERE id = ?", rows)

    def sent_ms(self, request_id: str) -> int:
        """Return when a request was sent; 0 when that is not known."""
        found = self._db.execute("SELECT sent_ms FROM requests WHERE id = ?", (request_id,)).fetchone()
        return found[0] if found else 0

    def tries(self, request_id: str) -> int:
        """Return how often a request was given another try."""
        found = self._db.execute("SELECT tries FROM requests WHERE id = ?", (request_id,)).fetchone()
        return found[0] if found else 0

    def try_again(self, request_id: str) -> None:
        """Forget how a request ended, to ask for it as another one."""
        with self._db:
            self._db.execute(
                "UPDATE requests SET tries = tries + 1, partition = NULL, at = NULL, status = '', code = '',"
                " message = '' WHERE id = ?",
                (request_id,),
            )

    def status(self, request_id: str) -> str:
        """Return how a request ended; empty when it has not."""
        found = self._db.execute("SELECT status FROM requests WHERE id = ?", (request_id,)).fetchone()
        return found[0] if found else ""

    def place(self, request_id: str) -> Place | None:
        """Return where a request was sent to; None when it was not."""
        found = self._db.execute("SELECT partition, at FROM requests WHERE id = ?", (request_id,)).fetchone()
        return None if found is None or found[0] is None else Place(*found)

    def end(self, request_id: str, ended: Ended) -> None:
        """Note how a request ended, after its results were written."""
        with self._db:
            self._db.execute(
                "UPDATE requests SET job_id = ?, status = ?, seconds = ?, code = ?, message = ? WHERE id = ?",
                (*ended, request_id),
            )

    def missing(self, request_ids: Iterable[str]) -> set[str]:
        """Return those of the requests that no job has ended; what was rejected may be asked for again."""
        rows = self._db.execute("SELECT id, status FROM requests")
        return set(request_ids) - {request_id for request_id, status in rows if status in ENDED}

    def files(self, request_id: str) -> list[tuple[str, str]]:
        """Return the files of a request, each with the name of its result."""
        return self._db.execute("SELECT file, name FROM files WHERE id = ? ORDER BY file", (request_id,)).fetchall()

    def results(self, request_id: str) -> list[tuple[str, str]]:
        """Return the files of a request that is done, each with the name of its result; else none."""
        done = self._db.execute("SELECT 1 FROM requests WHERE id = ? AND status = 'done'", (request_id,)).fetchone()
        return self.files(request_id) if done else []

    def rows(self) -> list[Row]:
        """Return every file, by its path."""
        found = self._db.execute(
            "SELECT file, name, job_id, status, seconds, code, message FROM files JOIN requests USING (id)"
            " ORDER BY file, id"
        )
        return [Row(file, name, Ended(*ended)) for file, name, *ended in found]
