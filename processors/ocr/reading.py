"""Reading one page: its own text where it has some, else its picture through preparation and engine."""

from typing import cast

import cv2
import numpy as np

from processors.ocr import geometry
from processors.ocr.engines.base import Engine, EngineWord
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import Ink, ink_of
from processors.ocr.orientation import find_turns, turned
from processors.ocr.page_source import PageSource, Picture, Pixels
from processors.ocr.prepare import seal
from processors.ocr.prepare.page import Prepared, levelled, prepare
from processors.ocr.rereading import reread
from processors.ocr.spacing import respace
from processors.ocr.text_lines import visual_lines
from schemas.pages import Box, Mark, Page, Word


def read(source: PageSource, number: int, engine: Engine) -> tuple[Page, bytes]:
    """Return the page and its picture as PNG (empty for plain text), which its boxes fall on."""
    picture = source.picture()
    words = source.text_words(picture)
    if picture is None:
        return Page(number, 0, 0, "text", words or ()), b""
    if words is not None:
        # A seal is an image in any file: its text layer knows nothing of it.
        marks = tuple(
            Mark("seal", geometry.fractions(box, picture.width, picture.height), "red")
            for box in seal.find(picture.pixels, picture.dpi)
        )
        page = Page(number, picture.width, picture.height, "text", words, dpi=picture.dpi, marks=marks)
    else:
        page = read_picture(picture, number, engine)
    return page, encode_png(picture.pixels)


def read_picture(picture: Picture, number: int, engine: Engine) -> Page:
    """Read a page from its picture; boxes come back to the page as supplied."""
    prepared, found = _read_upright(prepare(picture), engine)

    def place(box: PixelBox) -> Box:
        on_page = geometry.map_box(prepared.to_page, box)
        return geometry.fractions(on_page, picture.width, picture.height)

    # Lines are told apart where they are level: on the prepared picture, not on the page as supplied.
    lines = visual_lines([word.box for word in found])
    return Page(
        number=number,
        width=picture.width,
        height=picture.height,
        source="ocr",
        words=tuple(
            Word(found[index].text, place(found[index].box), found[index].confidence, line, found[index].block)
            for line, members in enumerate(lines)
            for index in members
        ),
        dpi=picture.dpi,
        rotation=prepared.lean,
        marks=tuple(Mark("seal", place(box), "red") for box in prepared.seals),
    )


def _read_upright(prepared: Prepared, engine: Engine) -> tuple[Prepared, list[EngineWord]]:
    """Read the page as a whole, turned upright where that reads better, then its doubtful lines again."""
    ink, words = _read_once(prepared, engine)
    turns = find_turns(prepared, words, ink, engine)
    if turns:
        prepared = levelled(turned(prepared, turns))
        ink, words = _read_once(prepared, engine)
    return prepared, reread(words, prepared.pixels, prepared.dpi, ink, engine)


def _read_once(prepared: Prepared, engine: Engine) -> tuple[Ink, list[EngineWord]]:
    ink = ink_of(prepared.pixels, prepared.dpi)
    return ink, respace(engine.read(prepared.pixels, prepared.dpi), ink)


def encode_png(pixels: Pixels) -> bytes:
    """Encode a picture quickly; one without colour is stored as grey."""
    stored = pixels if pixels.ndim == 2 else pixels[..., 0] if _is_grey(pixels) else pixels[..., ::-1]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"a picture of {pixels.shape} cannot be encoded as PNG")
    return cast("Pixels", encoded).tobytes()


def _is_grey(pixels: Pixels) -> bool:
    return bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
