"""The `ocr` stage's handler: a request in; words, page pictures and figures out."""

import asyncio
import hashlib
import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from processors.ocr.engines.paddle_models import PaddlePlaces, usable_models
from processors.ocr.handler import OcrHandler, Way, build_processor, read_options
from processors.ocr.limits import Limits
from schemas import topics
from schemas.errors import InvalidInput, Outage, WorkFailed
from schemas.events import JobRef, StageRequest, Step
from schemas.pages import decode_document
from schemas.payloads import BlobRef, Payload, text_payload
from streams.runtime.children import ChildPool
from streams.runtime.context import WorkContext
from streams.runtime.processor import Context, Processor, Result
from streams.runtime.testing import FakeContext
from streams.settings import Settings
from streams.storage.fake import FakeBlobs
from tests.letter_pages import letter_page
from tests.pdf_by_hand import locked_pdf, text_pdf

HANDLER = OcrHandler(
    limits=Limits(max_pages=20),
    engine="tesseract",
    ways={"tesseract": Way(at_once=2)},
    find_paddle=partial(usable_models, PaddlePlaces(Path("/nowhere"), Path("/nowhere"), Path("/nowhere"))),
)


def _request(*inputs: Payload, options: str = "{}") -> StageRequest:
    job = JobRef("j1", "test", "k1", "ocr", "1", "interactive", 0, "")
    return StageRequest("e1", job, (Step("ocr", "ocr"),), 0, inputs, options)


def _png() -> bytes:
    buffer = io.BytesIO()
    letter_page().save(buffer, "PNG", dpi=(200, 200))
    return buffer.getvalue()


async def test_pages_come_back_in_order_with_their_pictures_and_figures() -> None:
    context = FakeContext()
    scan = await context.store("image/png", _png(), "scan.png")
    pdf = Payload("application/pdf", "letter.pdf", inline=text_pdf("SECOND PAGE"))
    result = await HANDLER(_request(scan, pdf), context)

    body = orjson.loads(result.outputs[0].inline or b"")
    document = decode_document(result.outputs[0].inline or b"")
    assert [(page.number, page.source) for page in document.pages] == [(1, "ocr"), (2, "text")]
    assert body["text"].endswith("\fSECOND PAGE")
    assert "갈숲시장" in body["text"]
    assert result.model == document.engine
    assert result.model.startswith("tesseract-5")
    assert (result.usage.pages, result.usage.bytes_in) == (2, scan.size + pdf.size)
    assert result.usage.work_seconds > 0
    assert [(each.done, each.total, each.unit) for each in context.reported] == [
        (0, 2, "pages"),
        (1, 2, "pages"),
        (2, 2, "pages"),
    ]

    manifest = orjson.loads(await context.blobs.get(result.artifacts["pages"]))
    assert [entry["number"] for entry in manifest["pages"]] == [1, 2]
    for entry, page in zip(manifest["pages"], document.pages, strict=True):
        picture = await context.blobs.get(BlobRef(**entry["blob"]))
        assert picture.startswith(b"\x89PNG")
        assert hashlib.sha256(picture).hexdigest() == entry["blob"]["sha256"]
        assert page.image == BlobRef(**entry["blob"])
        assert (entry["width"], entry["height"]) == (page.width, page.height)


async def test_a_second_run_gives_the_same_blobs_and_the_same_words() -> None:
    context = FakeContext()
    request = _request(Payload("image/png", "scan.png", inline=_png()))
    first, second = await HANDLER(request, context), await HANDLER(request, context)
    assert first.artifacts == second.artifacts
    assert first.outputs == second.outputs


async def test_plain_text_is_a_document_without_pictures() -> None:
    result = await HANDLER(_request(text_payload("수신  갈숲시장\n제목  안내\f붙임  1부.")), FakeContext())
    document = decode_document(result.outputs[0].inline or b"")
    assert [(page.source, page.image) for page in document.pages] == [("text", None), ("text", None)]
    assert [word.text for word in document.pages[0].words] == ["수신", "갈숲시장", "제목", "안내"]
    assert [word.line for word in document.pages[0].words] == [0, 0, 1, 1]
    assert result.artifacts == {}
    assert result.usage.pages == 2


async def test_a_page_without_text_is_an_honest_warning() -> None:
    buffer = io.BytesIO()
    letter_page((), width=300, height=300).save(buffer, "PNG")
    result = await HANDLER(_request(Payload("image/png", "blank.png", inline=buffer.getvalue())), FakeContext())
    assert decode_document(result.outputs[0].inline or b"").warnings == ("page 1: no text found",)


async def test_the_error_of_a_page_comes_through_as_it_is() -> None:
    cut = _png()[:-4000]
    with pytest.raises(InvalidInput) as raised:
        await HANDLER(
            _request(*(Payload("image/png", "scan.png", inline=each) for each in (_png(), cut))), FakeContext()
        )
    assert raised.value.code == "image_damaged"


async def test_in_child_processes_pages_are_read_and_bad_input_is_told() -> None:
    processor = build_processor(Settings.from_env({"GATEWAY_WORKERS": "1"}))
    good = _request(Payload("application/pdf", "letter.pdf", inline=text_pdf("FROM A CHILD")))
    bad = _request(Payload("application/pdf", "letter.pdf", inline=locked_pdf()))
    async with ChildPool(1) as children:

        def context(request: StageRequest) -> Context:
            return WorkContext(
                processor,
                request,
                1,
                FakeBlobs(),
                children,
                on_progress=lambda _: None,
                on_spent=lambda _: None,
                before_call=_nothing,
            )

        result = await processor.handle(good, context(good))
        assert orjson.loads(result.outputs[0].inline or b"")["text"] == "FROM A CHILD"
        with pytest.raises(InvalidInput) as raised:
            await processor.handle(bad, context(bad))
    assert raised.value.code == "pdf_encrypted"
    assert raised.value.remedy


def test_the_engine_is_the_settings_unless_the_request_names_one() -> None:
    assert read_options("{}", "tesseract").engine == "tesseract"
    assert read_options('{"engine": "tesseract"}', "other").engine == "tesseract"
    with pytest.raises(InvalidInput) as raised:
        read_options('{"engine": "crystal ball"}', "tesseract")
    assert raised.value.code == "unknown_engine"


async def test_an_engine_that_is_not_there_holds_nobody_up_who_did_not_choose_it() -> None:
    """A job that names it fails; where it is the setting's, jobs wait for it."""
    request = _request(Payload("image/png", "scan.png", inline=_png()), options='{"engine": "paddle"}')
    with pytest.raises(WorkFailed) as failed:
        await HANDLER(request, FakeContext())
    assert (failed.value.code, failed.value.remedy) == ("paddle_not_installed", "run ./gateway install paddle")
    with pytest.raises(Outage):
        await replace(HANDLER, engine="paddle")(replace(request, options="{}"), FakeContext())


def test_the_processor_serves_the_ocr_topics_within_the_settings_limits() -> None:
    settings = Settings.from_env({"GATEWAY_MAX_PAGES": "7", "GATEWAY_MAX_MEGAPIXELS": "5", "GATEWAY_WORKERS": "3"})
    processor = build_processor(settings)
    assert processor.topics is topics.OCR
    assert isinstance(processor.handle, OcrHandler)
    assert processor.handle.limits == Limits(max_pages=7, max_pixels=5_000_000)
    assert processor.handle.ways["tesseract"] == Way(at_once=3)


async def test_the_setting_says_how_large_an_image_may_be() -> None:
    image = io.BytesIO()
    letter_page((), width=1000, height=1001).save(image, "PNG")
    request = _request(Payload("image/png", "large.png", inline=image.getvalue()))

    def reader(megapixels: str) -> Processor:
        return build_processor(Settings.from_env({"GATEWAY_MAX_MEGAPIXELS": megapixels}))

    with pytest.raises(InvalidInput, match="at most 1 megapixels") as raised:
        await reader("1").handle(request, FakeContext())
    assert raised.value.code == "image_too_large"
    assert (await reader("2").handle(request, FakeContext())).usage.pages == 1


class MeetingPool(ChildPool):
    """Children that read a page only when as many pages as there are children are being read."""

    def __init__(self, size: int, meeting_point: Path) -> None:
        super().__init__(size)
        self._meeting_point = meeting_point

    async def call(self, function: str, args: tuple[Any, ...], timeout_s: float, memory_bytes: int) -> Any:
        if function.endswith(":read_pages"):
            function, args = "tests.integration.meeting_child:read_pages", (self._meeting_point, *args)
        return await super().call(function, args, timeout_s, memory_bytes)


async def test_pages_of_one_document_are_read_at_the_same_time_by_different_children(tmp_path: Path) -> None:
    """Each page's child waits for the other's: pages that are read one after the other never meet."""
    processor = build_processor(Settings.from_env({"GATEWAY_WORKERS": "2"}))
    request = _request(
        *(Payload("application/pdf", f"{name}.pdf", inline=text_pdf(name)) for name in ("FIRST", "SECOND"))
    )
    everybody, met, used = asyncio.Barrier(2), set[str](), list[Result]()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.add((await reader.readline()).decode())
        await everybody.wait()
        writer.write(b"all are here\n")
        await writer.drain()
        writer.close()

    async with (
        await asyncio.start_unix_server(meet, tmp_path / "point"),
        MeetingPool(2, tmp_path / "point") as children,
    ):
        context = WorkContext(
            processor,
            request,
            1,
            FakeBlobs(),
            children,
            on_progress=lambda _: None,
            on_spent=used.append,
            before_call=_nothing,
        )
        result = await processor.handle(request, context)
    assert orjson.loads(result.outputs[0].inline or b"")["text"] == "FIRST\fSECOND"
    assert len(met) == 2, "each by a child of its own"
    assert [so_far.usage.pages for so_far in used] == [1, 2]


async def _nothing() -> None:
    return None
