"""What runs in the child processes: opening a document and reading some of its pages.

A child keeps the document that it opened last, because it is asked for several pages of it in a row.
"""

from functools import lru_cache
from pathlib import Path

from processors.ocr.documents import InputFile, OpenedDocument, open_files
from processors.ocr.engines.choice import engine_for
from processors.ocr.limits import Limits, ReadOptions
from processors.ocr.reading import read
from schemas.pages import Page


def open_document(files: tuple[InputFile, ...], limits: Limits) -> int:
    """Open and check the files; return how many pages the document has. Raises InvalidInput."""
    return _document(files, limits).page_count


def read_pages(
    files: tuple[InputFile, ...], limits: Limits, numbers: tuple[int, ...], options: ReadOptions
) -> list[tuple[Page, bytes]]:
    """Return the pages of these numbers (from 1), each with its picture as PNG.

    Raises InvalidInput, Transient or Outage.
    """
    document = _document(files, limits)
    return read([(number, document.page(number)) for number in numbers], engine_for(options))


def read_page(files: tuple[InputFile, ...], limits: Limits, number: int, options: ReadOptions) -> tuple[Page, bytes]:
    """Return one page as `read_pages` does."""
    return read_pages(files, limits, (number,), options)[0]


def engine_name(options: ReadOptions) -> str:
    """Return the engine's full name. Raises Outage when it is not installed."""
    return engine_for(options).name


def _document(files: tuple[InputFile, ...], limits: Limits) -> OpenedDocument:
    # Paths of temporary files are used again: the stamps tell one content from the next.
    stats = [Path(file.path).stat() for file in files]
    return _opened(files, limits, tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats))


@lru_cache(maxsize=1)
def _opened(files: tuple[InputFile, ...], limits: Limits, stamps: tuple[tuple[int, int, int], ...]) -> OpenedDocument:
    del stamps  # only tells cached documents apart
    return open_files(files, limits)
