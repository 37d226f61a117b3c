"""What reading a document gives: pages of words with boxes. Passed from `ocr` to the stages behind it.

Boxes are fractions (0 to 1) of the page **as supplied**, `(x0, y0, x1, y1)` from the top left.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from schemas.payloads import BlobRef

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """A run of characters read as one; `confidence` 0 to 1, `line` numbers the lines of a page."""

    text: str
    box: Box
    confidence: float
    line: int
    block: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `source` is `text` (text layer) or `ocr`; sizes are those of `image`, in pixels.

    `grey` says that the picture has no colour, so that a seal on it cannot be seen.
    """

    number: int
    width: int
    height: int
    source: str
    words: tuple[Word, ...]
    image: BlobRef | None = None
    dpi: float = 0.0
    rotation: float = 0.0
    marks: tuple["Mark", ...] = ()
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on a page that is no text: `kind` is `seal`."""

    kind: str
    box: Box
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read: its pages in order, the engine that read them, and what went wrong."""

    pages: tuple[Page, ...]
    engine: str = ""
    warnings: tuple[str, ...] = ()


def page_text(page: Page) -> str:
    """Return a page's text, one line per line of the page, words parted by a space."""
    lines: dict[int, list[str]] = {}
    for word in page.words:
        lines.setdefault(word.line, []).append(word.text)
    return "\n".join(" ".join(words) for words in lines.values())


def document_text(document: Document) -> str:
    """Return the text of all pages, parted by form feeds."""
    return "\f".join(page_text(page) for page in document.pages)


def encode_document(document: Document) -> bytes:
    """Encode as compact JSON: a word is `[text, x0, y0, x1, y1, confidence, line, block]`."""
    return orjson.dumps(
        {
            "engine": document.engine,
            "warnings": document.warnings,
            "pages": [_encode_page(page) for page in document.pages],
        }
    )


def decode_document(raw: bytes) -> Document:
    """Decode what `encode_document` wrote.

    Raises KeyError, ValueError or TypeError when `raw` is something else.
    """
    body = orjson.loads(raw)
    return Document(
        pages=tuple(_decode_page(page) for page in body["pages"]),
        engine=body["engine"],
        warnings=tuple(body["warnings"]),
    )


def _encode_page(page: Page) -> dict[str, Any]:
    return {
        "number": page.number,
        "width": page.width,
        "height": page.height,
        "source": page.source,
        "dpi": page.dpi,
        "rotation": page.rotation,
        "grey": page.grey,
        "image": page.image,
        "marks": page.marks,
        "words": [[w.text, *(round(v, 5) for v in w.box), round(w.confidence, 3), w.line, w.block] for w in page.words],
    }


def _decode_page(body: dict[str, Any]) -> Page:
    image = body["image"]
    return Page(
        number=body["number"],
        width=body["width"],
        height=body["height"],
        source=body["source"],
        words=tuple(
            Word(text, (x0, y0, x1, y1), confidence, line, block)
            for text, x0, y0, x1, y1, confidence, line, block in body["words"]
        ),
        image=BlobRef(**image) if image else None,
        dpi=body["dpi"],
        rotation=body["rotation"],
        grey=body.get("grey", False),  # not in what an earlier version wrote
        marks=tuple(
            Mark(m["kind"], (m["box"][0], m["box"][1], m["box"][2], m["box"][3]), m["colour"]) for m in body["marks"]
        ),
    )
