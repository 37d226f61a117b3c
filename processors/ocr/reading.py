"""Reading pages: their own text where they have some, else their pictures through preparation and engine."""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from processors.ocr import geometry
from processors.ocr.engines.base import Engine, EngineWord
from processors.ocr.geometry import PixelBox
from processors.ocr.ink import ink_of
from processors.ocr.layer_check import is_belied
from processors.ocr.orientation import find_turns, turned
from processors.ocr.page_source import PageSource, Picture, Pixels
from processors.ocr.prepare import seal
from processors.ocr.prepare.page import Prepared, levelled, prepare
from processors.ocr.rereading import reread
from processors.ocr.spacing import respace
from processors.ocr.text_lines import visual_lines
from schemas.pages import Box, Mark, Page, Word


def read(pages: Sequence[tuple[int, PageSource]], engine: Engine) -> list[tuple[Page, bytes]]:
    """Return pages, given with their numbers, each with its picture as PNG, which its boxes fall on.

    Plain text has no picture. Those that are read from their pictures are given to the engine together.
    """
    found: dict[int, tuple[Page, bytes]] = {}
    pictures: list[tuple[int, Picture]] = []
    for number, source in pages:
        picture = source.picture()
        words = source.text_words(picture)
        if picture is None:
            found[number] = Page(number, 0, 0, "text", words or ()), b""
        elif words is None or is_belied(words, source.doubtful_digits(picture), picture, engine):
            pictures.append((number, picture))
        else:
            # A seal is an image in any file: its text layer knows nothing of it.
            marks = tuple(
                Mark("seal", geometry.fractions(box, picture.width, picture.height), "red")
                for box in seal.find(picture.pixels, picture.dpi)
            )
            page = Page(number, picture.width, picture.height, "text", words, dpi=picture.dpi, marks=marks)
            found[number] = page, encode_png(picture.pixels)
    for page, (number, picture) in zip(read_pictures(pictures, engine), pictures, strict=True):
        found[number] = page, encode_png(picture.pixels)
    return [found[number] for number, _ in pages]


def read_pictures(pictures: Sequence[tuple[int, Picture]], engine: Engine) -> list[Page]:
    """Read pages, given with their numbers, from their pictures; boxes come back to the pages as supplied."""
    prepared = [prepare(picture) for _, picture in pictures]
    readings = engine.read_pages([(one.pixels, one.dpi) for one in prepared])
    return [
        _page(number, picture, *_read_upright(one, words, engine))
        for (number, picture), one, words in zip(pictures, prepared, readings, strict=True)
    ]


def _page(number: int, picture: Picture, prepared: Prepared, found: list[EngineWord]) -> Page:
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
        grey=_is_grey(picture.pixels),
    )


def _read_upright(
    prepared: Prepared, read_as_is: list[EngineWord], engine: Engine
) -> tuple[Prepared, list[EngineWord]]:
    """Read the page again turned upright where that reads better, then its doubtful lines again."""
    ink = ink_of(prepared.pixels, prepared.dpi)
    words = respace(read_as_is, ink)
    turns = find_turns(prepared, words, ink, engine)
    if turns:
        prepared = levelled(turned(prepared, turns))
        ink = ink_of(prepared.pixels, prepared.dpi)
        words = respace(engine.read(prepared.pixels, prepared.dpi), ink)
    return prepared, reread(words, prepared.pixels, prepared.dpi, ink, engine)


def encode_png(pixels: Pixels) -> bytes:
    """Encode a picture quickly; one without colour is stored as grey."""
    stored = pixels if pixels.ndim == 2 else pixels[..., 0] if _is_grey(pixels) else pixels[..., ::-1]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"a picture of {pixels.shape} cannot be encoded as PNG")
    return cast("Pixels", encoded).tobytes()


def _is_grey(pixels: Pixels) -> bool:
    return pixels.ndim == 2 or bool(
        (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
    )
