"""PaddleOCR 3 with local PP-OCR models, on a GPU where Paddle finds one.

Runs in child processes of Paddle's own environment only: a child loads its models once and reads batches of pages.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, cast

import numpy as np

from processors.ocr.engines.base import EngineWord, Layout, Script
from processors.ocr.engines.paddle_models import PaddleMissing, PaddleModels
from processors.ocr.engines.paddle_words import Line, Piece, words_of
from processors.ocr.ink import ink_of
from processors.ocr.page_source import Pixels
from schemas.errors import Transient

_PAPER = 255
_LINES_ON_CPU, _LINES_ON_GPU = 6, 64
"""Lines that the recogniser reads in one run: each is as long as the longest, which a CPU pays for."""


class Paddle:
    """A pair of models that is loaded once and kept; no two calls at a time."""

    def __init__(self, models: PaddleModels) -> None:
        self._models = models
        try:
            self._pipeline, self._device = _load(models)
        except MemoryError:
            raise
        except ImportError as error:
            raise PaddleMissing(
                f"PaddleOCR cannot be imported: {_first_line(error)}", remedy="run ./gateway install paddle"
            ) from error
        except Exception as error:  # bare ones too
            raise PaddleMissing(
                f"the models {models.detection.name} and {models.recognition.name} cannot be loaded: "
                f"{_first_line(error)}",
                code="paddle_model_broken",
                remedy="copy the whole inference models again, or set GATEWAY_PADDLE_…_MODEL to others",
            ) from error

    @property
    def name(self) -> str:
        """Engine, version, recogniser and device, as results name them."""
        return f"paddleocr-{version('paddleocr')} {self._models.recognition.name} {self._device}"

    def read(self, pixels: Pixels, dpi: float, layout: Layout = Layout.PAGE) -> list[EngineWord]:
        """Read one picture; what is told of its layout is not needed."""
        del layout
        return self.read_pages([(pixels, dpi)])[0]

    def read_pages(self, pages: Sequence[tuple[Pixels, float]]) -> list[list[EngineWord]]:
        """Read several pages in one run; all are set on sheets of one size, which the detector wants."""
        if not pages:
            return []
        height = max(pixels.shape[0] for pixels, _ in pages)
        width = max(pixels.shape[1] for pixels, _ in pages)
        try:
            found = list(self._pipeline.predict([_sheet(pixels, height, width) for pixels, _ in pages]))
        except MemoryError:
            raise
        except Exception as error:
            # Only the class: the text may quote the page.
            raise Transient(f"PaddleOCR raised {type(error).__name__}", code="ocr_failed") from error
        return [
            _words(cast("Mapping[str, Any]", result), pixels, dpi)
            for result, (pixels, dpi) in zip(found, pages, strict=True)
        ]

    def reread(self, lines: Sequence[Pixels], dpi: float, script: Script) -> list[list[EngineWord]]:
        """Return no second readings: the same recogniser would see the same line."""
        del dpi, script
        return [[] for _ in lines]


def _load(models: PaddleModels) -> tuple[Any, str]:
    # Paddle reads these when it is loaded. Children are held to one thread, which a model alone in its child is not;
    # and nothing is to be looked up on a hub.
    os.environ.pop("OMP_THREAD_LIMIT", None)
    os.environ["OMP_NUM_THREADS"] = str(models.threads)
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"

    # By name: they are in another environment than the one that is type-checked.
    paddle, paddleocr, paddlex = (
        cast(Any, import_module(name)) for name in ("paddle", "paddleocr", "paddlex.inference")
    )
    cuda = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    device = "gpu:0" if cuda else "cpu"
    pages = paddlex.load_pipeline_config("OCR")
    pages["batch_size"] = models.pages_at_once
    pages["SubModules"]["TextDetection"]["batch_size"] = models.pages_at_once
    pipeline = paddleocr.PaddleOCR(
        paddlex_config=pages,
        # Names and directories: with either alone it goes to a hub for the rest.
        text_detection_model_name=models.detection.name,
        text_detection_model_dir=models.detection.directory,
        text_recognition_model_name=models.recognition.name,
        text_recognition_model_dir=models.recognition.directory,
        text_recognition_batch_size=_LINES_ON_GPU if cuda else _LINES_ON_CPU,
        # Pages are prepared before they come here.
        use_doc_orientation_classify=False,
        use_doc_unwarping=False,
        use_textline_orientation=False,
        return_word_box=True,
        device=device,
        cpu_threads=models.threads,
    )
    return pipeline, device.partition(":")[0]


def _sheet(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the picture on a white sheet, as Paddle wants it: three channels, blue first."""
    sheet = np.full((height, width, 3), _PAPER, np.uint8)
    colours = pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]
    sheet[: pixels.shape[0], : pixels.shape[1]] = colours
    return sheet


def _words(result: Mapping[str, Any], pixels: Pixels, dpi: float) -> list[EngineWord]:
    ink = ink_of(pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., 0]), dpi)
    words: list[EngineWord] = []
    for number, line in enumerate(_lines(result)):
        # Paddle's boxes stand off the letters; the height of a line is what gaps between words are measured by.
        left, _, right, _ = line.box
        _, top, _, bottom = ink.tighten(line.box)
        words += words_of(Line(line.text, (left, top, right, bottom), line.confidence, line.pieces), number)
    return words


def _lines(result: Mapping[str, Any]) -> Iterable[Line]:
    columns = ("rec_texts", "rec_scores", "rec_polys", "text_word", "text_word_region")
    for text, score, corners, pieces, places in zip(*(result[name] for name in columns), strict=True):
        if not text.strip():
            continue
        (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
        yield Line(
            text,
            (float(left), float(top), float(right), float(bottom)),
            min(1.0, max(0.0, float(score))),
            tuple(
                Piece(piece, float(np.min(place, axis=0)[0]), float(np.max(place, axis=0)[0]))
                for piece, place in zip(pieces, places, strict=False)
            ),
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
