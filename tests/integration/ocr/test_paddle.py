"""PaddleOCR itself, on models made by the tests, in child processes of its own environment."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from processors.ocr.engines.paddle_models import PaddlePlaces
from processors.ocr.handler import OcrHandler, build_processor
from schemas.errors import Outage, Transient, WorkFailed
from schemas.events import Progress, StageRequest
from schemas.payloads import Payload
from streams.runtime.children import ChildPool
from streams.runtime.context import WorkContext
from streams.runtime.processor import Processor, Result
from streams.runtime.testing import stage_request
from streams.settings import Settings
from streams.storage.fake import FakeBlobs
from tests.models.tiny_paddle import draw, place_of
from tests.pdf_by_hand import text_pdf

pytestmark = pytest.mark.timeout(300)  # the libraries are half a gigabyte, read from a cold disk at first

LINES = ["가나다라마바", "가마 바다나 가"]
SIZE = (640, 900)


class Bench:
    """The processor's handler with both kinds of children."""

    def __init__(self, processor: Processor, children: ChildPool, own: ChildPool) -> None:
        self.processor, self._children, self.own = processor, children, own
        self.told: list[Progress] = []

    async def read(self, request: StageRequest) -> Result:
        """Handle a request."""
        context = WorkContext(
            self.processor,
            request,
            1,
            FakeBlobs(),
            self._children,
            pools={"paddle": self.own},
            on_progress=self.told.append,
            on_spent=lambda _: None,
            before_call=_nothing,
        )
        return await self.processor.handle(request, context)


@pytest.fixture(scope="module")
async def bench(paddle: PaddlePlaces) -> AsyncIterator[Bench]:
    """One model in one child, which reads two pages at a time."""
    processor = build_processor(_settings(paddle, GATEWAY_PADDLE_BATCH_PAGES="2"))
    spec = processor.pools["paddle"]
    async with ChildPool(1) as children, ChildPool(spec.size, python=spec.python) as own:
        yield Bench(processor, children, own)


async def test_pages_are_read_in_batches_with_words_in_their_places(bench: Bench) -> None:
    """As with Tesseract: text by lines, a box and a confidence a word; the text layer is used as it is."""
    inputs = [_page(LINES), Payload("application/pdf", "b.pdf", inline=text_pdf("A TEXT LAYER")), _page(["가라 나다"])]
    result = await bench.read(stage_request("ocr", *inputs, options='{"engine":"paddle"}'))
    body = orjson.loads(result.outputs[0].inline or b"")
    assert body["text"] == "가나다라마바\n가마 바다나 가\fA TEXT LAYER\f가라 나다"
    assert [page["source"] for page in body["pages"]] == ["ocr", "text", "ocr"]
    assert result.model == body["engine"] == "paddleocr-3.7.0 korean_PP-OCRv5_mobile_rec cpu"
    assert result.usage.pages == 3
    assert [step.done for step in bench.told] == [0, 2, 3]
    for word in body["pages"][0]["words"]:
        text, *box, confidence, line, _ = word
        assert 0.9 < confidence <= 1
        left, top, right, bottom = place_of(LINES, line, text)
        wanted = (left / SIZE[0], top / SIZE[1], right / SIZE[0], bottom / SIZE[1])
        assert box == pytest.approx(wanted, abs=0.002)


async def test_pages_of_different_sizes_are_read_together(bench: Bench) -> None:
    """The detector wants one size a batch."""
    inputs = [_page(["가나 다라"]), _page(["마바"], size=(500, 400))]
    body = _body(await bench.read(stage_request("ocr", *inputs, options='{"engine":"paddle"}')))
    assert body["text"] == "가나 다라\f마바"
    left, _, right, _ = place_of(["마바"], 0, "마바")
    assert body["pages"][1]["words"][0][1] == pytest.approx(left / 500, abs=0.003)
    assert body["pages"][1]["words"][0][3] == pytest.approx(right / 500, abs=0.003)


async def test_a_page_without_text_is_empty_and_says_so(bench: Bench) -> None:
    """Nothing is made up."""
    body = _body(await bench.read(stage_request("ocr", _page([]), options='{"engine":"paddle"}')))
    assert body["pages"][0]["words"] == []
    assert body["warnings"] == ["page 1: no text found"]


async def test_a_crash_costs_its_child_and_the_next_call_gets_another(bench: Bench) -> None:
    """With the models loaded again."""
    with pytest.raises(Transient, match="SIGABRT"):
        await bench.own.call("os:abort", (), 30, 4 << 30)
    body = _body(await bench.read(stage_request("ocr", _page(["가나"]), options='{"engine":"paddle"}')))
    assert body["text"] == "가나"


async def test_models_that_cannot_be_loaded_are_told_of(paddle: PaddlePlaces, tmp_path: Path) -> None:
    """A job that chose the engine fails; where the settings chose it, jobs wait."""
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in paddle.recognition.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "inference.json").write_text("{")
    processor = build_processor(_settings(replace(paddle, recognition=broken)))
    handler = processor.handle
    assert isinstance(handler, OcrHandler)
    spec = processor.pools["paddle"]
    request = stage_request("ocr", _page(["가"]), options='{"engine":"paddle"}')
    async with ChildPool(1) as children, ChildPool(1, python=spec.python) as own:
        with pytest.raises(WorkFailed) as failed:
            await Bench(processor, children, own).read(request)
        chosen = replace(processor, handle=replace(handler, engine="paddle"))
        with pytest.raises(Outage) as waits:
            await Bench(chosen, children, own).read(request)
    assert failed.value.code == waits.value.code == "paddle_model_broken"
    assert "korean_PP-OCRv5_mobile_rec" in failed.value.message


def _settings(places: PaddlePlaces, **more: str) -> Settings:
    return Settings.from_env(
        {
            "GATEWAY_PADDLE_HOME": str(places.home),
            "GATEWAY_PADDLE_DETECTION_MODEL": str(places.detection),
            "GATEWAY_PADDLE_RECOGNITION_MODEL": str(places.recognition),
            "GATEWAY_WORKERS": "1",
            **more,
        }
    )


def _page(lines: list[str], size: tuple[int, int] = SIZE) -> Payload:
    buffer = io.BytesIO()
    Image.fromarray(draw(lines, size)).save(buffer, "PNG")
    return Payload("image/png", "page.png", inline=buffer.getvalue())


def _body(result: Result) -> Any:
    return orjson.loads(result.outputs[0].inline or b"")


async def _nothing() -> None:
    return None
