"""Tesseract as a program of its own: a crash or a hang costs one call, and its time is bounded."""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.page_source import Pixels
from schemas.errors import Outage, Transient

LANGUAGES = "kor+eng"
"""Korean first: that order keeps the spaces between words, and Korean alone misreads figures."""

KOREAN_ONLY = "kor"
"""For a line known to be Korean, where the English model would see Latin capitals in the syllables."""

_SEGMENTATION = {Layout.PAGE: "4", Layout.BLOCK: "6", Layout.LINE: "7"}
"""4 is a column of lines of varying size: any other takes a letter's margins for columns or loses its tables."""

_WORD_LEVEL = "5"


class Tesseract:
    """Tesseract 5 with its LSTM models for Korean and English."""

    def __init__(self, timeout_s: float, languages: str = LANGUAGES) -> None:
        self._timeout_s = timeout_s
        self._languages = languages

    @property
    def name(self) -> str:
        """Engine, version and languages, as results name them."""
        return f"tesseract-{version()} {self._languages}"

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        """Read a picture in one pass."""
        command = _command("stdin", self._languages, layout, dpi)
        return parse_tsv(_run(command, _portable_map(pixels), self._timeout_s))[0]

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        """Read pages one after the other."""
        return [self.read(pixels, dpi) for pixels, dpi in pages]

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        """Read pictures of one line each with one start of the program, which costs as much as two lines."""
        if not lines:
            return []
        languages = KOREAN_ONLY if script is Script.KOREAN else self._languages
        with tempfile.TemporaryDirectory(prefix="ocr-lines-") as folder:
            paths = [Path(folder) / f"{number}.pgm" for number in range(len(lines))]
            for path, pixels in zip(paths, lines, strict=True):
                path.write_bytes(_portable_map(pixels))
            names = Path(folder) / "lines.txt"
            names.write_text("".join(f"{path}\n" for path in paths))
            table = _run(_command(str(names), languages, Layout.LINE, dpi), b"", self._timeout_s)
        return parse_tsv(table, len(lines))


@lru_cache(maxsize=1)
def version() -> str:
    """Return the installed version, such as `5.3.0`; asked once a process."""
    found = re.search(rb"tesseract v?(\d+(?:\.\d+)*)", _run(["tesseract", "--version"], b"", 20.0))
    return found.group(1).decode() if found else "unknown"


def parse_tsv(table: bytes, pictures: int = 1) -> list[list[EngineWord]]:
    """Return the words of Tesseract's table, picture by picture; lines are numbered in its reading order."""
    found: list[list[EngineWord]] = [[] for _ in range(pictures)]
    lines: dict[tuple[str, ...], int] = {}
    for row in table.decode("utf-8", "replace").splitlines():
        cells = row.split("\t", 11)
        if len(cells) < 12 or cells[0] != _WORD_LEVEL or not cells[11].strip():
            continue
        line = lines.setdefault(tuple(cells[1:5]), len(lines))
        left, top, width, height = (float(cell) for cell in cells[6:10])
        box = (left, top, left + width, top + height)
        confidence = max(0.0, float(cells[10]) / 100)
        found[int(cells[1]) - 1].append(EngineWord(cells[11].strip(), box, confidence, line, int(cells[2])))
    return found


def _command(source: str, languages: str, layout: Layout, dpi: float) -> list[str]:
    return [
        *("tesseract", source, "stdout", "-l", languages, "--oem", "1"),
        *("--psm", _SEGMENTATION[layout], "--dpi", str(max(70, round(dpi)))),
        *("-c", "tessedit_create_tsv=1"),
    ]


def _run(command: list[str], picture: bytes, timeout_s: float) -> bytes:
    try:
        # More threads make Tesseract slower on a page, and pages already run side by side.
        done = subprocess.run(
            command,
            input=picture,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except FileNotFoundError as error:
        raise Outage(
            "tesseract is not installed",
            code="ocr_engine_missing",
            remedy="install the packages tesseract-ocr, tesseract-ocr-kor and tesseract-ocr-eng",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Transient(f"tesseract took longer than {timeout_s:g} s for one pass", code="ocr_timeout") from error
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        if "load" in reason[0].lower() or b"Failed loading language" in done.stderr:
            raise Outage(
                "tesseract has no models for Korean and English",
                code="ocr_engine_missing",
                remedy="install the packages tesseract-ocr-kor and tesseract-ocr-eng",
            )
        raise Transient(f"tesseract ended with {done.returncode}: {reason[0][:200]}", code="ocr_failed")
    return done.stdout


def _portable_map(pixels: Pixels) -> bytes:
    """Return the picture as PGM or PPM: nothing to compress, nothing to decode."""
    kind = b"P5" if pixels.ndim == 2 else b"P6"
    return kind + f"\n{pixels.shape[1]} {pixels.shape[0]}\n255\n".encode() + pixels.tobytes()
