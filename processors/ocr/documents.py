"""Opening what was sent: one or several files become the pages of one document, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from processors.ocr import sniff
from processors.ocr.hwpx_pages import HwpxFile
from processors.ocr.image_pages import ImageFile
from processors.ocr.limits import Limits
from processors.ocr.page_source import PageSource
from processors.ocr.pdf_pages import PdfFile
from processors.ocr.text_pages import TextFile
from schemas.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: where it is, what its sender says it is, and its name for messages."""

    path: str
    media_type: str
    name: str


class SourceFile(Protocol):
    """An opened file: it knows its pages and gives each as a source."""

    @property
    def page_count(self) -> int:
        """How many pages the file has."""
        ...

    def page(self, index: int) -> PageSource:
        """Return the page at `index`, counted from 0."""
        ...


class OpenedDocument:
    """The pages of one document, whatever files they come from."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self._places = [(file, index) for file in files for index in range(file.page_count)]

    @property
    def page_count(self) -> int:
        """How many pages the document has."""
        return len(self._places)

    def page(self, number: int) -> PageSource:
        """Return page `number`, counted from 1."""
        file, index = self._places[number - 1]
        return file.page(index)


def open_files(files: Sequence[InputFile], limits: Limits) -> OpenedDocument:
    """Open every file and check it against the limits before anything large is decoded.

    Raises InvalidInput with the code of what is wrong.
    """
    opened: list[SourceFile] = []
    left = limits.max_pages
    for file in files:
        source = _open(file, limits, left)
        left -= source.page_count
        if left < 0:
            raise InvalidInput(
                f"{file.name}: the document has more than {limits.max_pages} pages",
                code="too_many_pages",
                remedy="split the document, or raise GATEWAY_MAX_PAGES",
            )
        opened.append(source)
    document = OpenedDocument(opened)
    if document.page_count == 0:
        raise InvalidInput(
            "the document has no pages", code="no_pages", remedy="send a document with at least one page"
        )
    return document


def _open(file: InputFile, limits: Limits, pages_left: int) -> SourceFile:
    path = Path(file.path)
    with path.open("rb") as stream:
        head = stream.read(sniff.SNIFF_BYTES)
    media_type = sniff.resolve_media_type(file.media_type, head, file.name)
    if media_type == sniff.PDF:
        return PdfFile(path, file.name, limits)
    if media_type == sniff.HWPX:
        return HwpxFile(path, file.name)
    if media_type == sniff.TEXT:
        return TextFile(path, file.name)
    return ImageFile(path, file.name, media_type, limits, pages_left)
