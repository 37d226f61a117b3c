"""HWPX files as pages: paragraphs and tables on a grid, as plain text has them.

The file does not say where its lines and pages end; boxes tell a paragraph from the next, not places on paper.
"""

from pathlib import Path

from processors.ocr.hwpx_archive import HwpxArchive
from processors.ocr.hwpx_content import read_section
from processors.ocr.hwpx_styles import Styles
from processors.ocr.text_grid import LINES, WIDTH, set_pages
from processors.ocr.text_pages import TextPage


class HwpxFile:
    """An HWPX file. Raises InvalidInput with what is wrong with it."""

    def __init__(self, path: Path, name: str) -> None:
        archive = HwpxArchive(path, name)
        styles = Styles(archive.header)
        self._pages = set_pages(read_section(section, styles) for section in archive.sections)

    @property
    def page_count(self) -> int:
        """How many pages the file has; none when it is blank."""
        return len(self._pages)

    def page(self, index: int) -> TextPage:
        """Return the page at `index`, counted from 0."""
        return TextPage("\n".join(self._pages[index]), WIDTH, LINES)
