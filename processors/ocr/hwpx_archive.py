"""An HWPX file as a zip archive: the sections' XML, read under limits, before anything is believed.

HWPX (OWPML, KS X 6101) is a zip with `Contents/header.xml` and `Contents/section0.xml`, `section1.xml`, …
"""

import re
import zipfile
import zlib
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from schemas.errors import InvalidInput

MAX_ENTRIES = 5000
MAX_PART_BYTES = 24 * 1024 * 1024
"""One XML file, unpacked: some 5 million characters. A tree of it takes about ten times as much memory."""

MAX_TOTAL_BYTES = 48 * 1024 * 1024
"""All that is read of one file, unpacked."""

_HEADER = "Contents/header.xml"
_SECTION = re.compile(r"Contents/section(\d{1,4})\.xml", re.IGNORECASE)
_ENCRYPTED = 0x1
_DECLARATIONS = ("<!DOCTYPE", "<!ENTITY")


class HwpxArchive:
    """The XML parts of an HWPX file. Raises InvalidInput with what is wrong with the file."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._left = MAX_TOTAL_BYTES
        try:
            with zipfile.ZipFile(path) as archive:
                self._check(archive)
                numbers = self._numbered(archive)
                self.header = self._part(archive, _HEADER) if _HEADER in archive.namelist() else None
                self.sections = [self._part(archive, numbers[number]) for number in sorted(numbers)]
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise _damaged(name, "its archive cannot be unpacked") from error

    def _check(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            self._too_large(f"{len(entries)} parts; at most {MAX_ENTRIES} are taken")
        manifest = "META-INF/manifest.xml"
        if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
            raise _damaged(self._name, "its archive is packed in a way that the format does not know")
        locked = any(entry.flag_bits & _ENCRYPTED for entry in entries)
        if not locked and manifest in archive.namelist():
            locked = b"encryption-data" in self._bytes(archive, manifest)
        if locked:
            raise InvalidInput(
                f"{self._name} is protected by a password",
                code="hwpx_encrypted",
                remedy="save the document without a password and send it again",
            )

    def _numbered(self, archive: zipfile.ZipFile) -> dict[int, str]:
        numbers = {int(found[1]): found[0] for name in archive.namelist() if (found := _SECTION.fullmatch(name))}
        if not numbers:
            raise _damaged(self._name, "it has no Contents/section0.xml")
        return numbers

    def _part(self, archive: zipfile.ZipFile, part: str) -> ElementTree.Element:
        try:
            text = self._bytes(archive, part).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _damaged(self._name, f"{part} is not UTF-8") from error
        # Without declarations there are no entities: none from outside, and none that grow.
        for declaration in _DECLARATIONS:
            if declaration in text:
                raise InvalidInput(
                    f"{self._name}: {part} holds {declaration}, which no document needs",
                    code="hwpx_unsafe",
                    remedy="open it in Hancom Office and save it again as HWPX or PDF",
                )
        try:
            # From text, not bytes: no encoding that the file names can make it mean something else.
            return ElementTree.fromstring(text)  # noqa: S314 - see above
        except ElementTree.ParseError as error:
            raise _damaged(self._name, f"{part} is no XML ({error.code})") from error

    def _bytes(self, archive: zipfile.ZipFile, part: str) -> bytes:
        # What an entry says of its size is not believed: reading stops at the limit.
        most = min(MAX_PART_BYTES, self._left)
        with archive.open(part) as stream:
            content = stream.read(most + 1)
        if len(content) > most:
            self._too_large(f"{part} of more than {most} bytes unpacked")
        self._left -= len(content)
        return content

    def _too_large(self, what: str) -> NoReturn:
        raise InvalidInput(
            f"{self._name} has {what}", code="hwpx_too_large", remedy="split the document, or save it as PDF"
        )


def _damaged(name: str, what: str) -> InvalidInput:
    return InvalidInput(
        f"{name} is damaged: {what}",
        code="hwpx_damaged",
        remedy="open it in Hancom Office and save it again as HWPX or PDF, or ask the sender for it again",
    )
