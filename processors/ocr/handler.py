"""The `ocr` stage: files in, the words of their pages out, a picture of each page beside them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import orjson

from processors.ocr.documents import InputFile
from processors.ocr.engines.choice import ENGINES, PADDLE, TESSERACT
from processors.ocr.engines.paddle_models import PaddleModels, places_of, usable_models
from processors.ocr.limits import Limits, ReadOptions
from schemas import topics
from schemas.errors import InvalidInput, Outage, WorkFailed
from schemas.events import StageRequest, Usage
from schemas.pages import Document, Page, document_text, encode_document
from schemas.payloads import BlobRef, Payload, json_payload
from streams.container import cores
from streams.runtime.processor import Context, PoolSpec, Processor, Result
from streams.serving import Choice, lack_of
from streams.settings import Settings
from streams.tasks import end_tasks

_OPEN = "processors.ocr.child:open_document"
_READ = "processors.ocr.child:read_pages"
_ENGINE_NAME = "processors.ocr.child:engine_name"

OPEN_TIMEOUT_S = 30.0
PAGE_TIMEOUT_S = 120.0
"""One page with every pass; each pass of an engine has its own, shorter limit."""

LOAD_TIMEOUT_S = 180.0
"""Importing Paddle and loading its models, from a cold disk too."""

CHILD_MEMORY_BYTES = 1024 * 1024 * 1024
"""An A4 page takes 400 MB at most; the rest is room for an image of the largest size that is allowed."""


@dataclass(frozen=True, slots=True)
class Way:
    """How an engine's pages are read: among which children, how many pages a call, how many calls at a time.

    The first call of a child may take `load_s` longer.
    """

    pool: str = ""
    batch: int = 1
    at_once: int = 1
    load_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OcrHandler:
    """Reads documents; the work on pixels is done in child processes, several pages of a document at a time.

    `engine` reads what names no other; `find_paddle` raises Outage while its engine is not there.
    """

    limits: Limits
    engine: str
    ways: Mapping[str, Way]
    find_paddle: Callable[[], PaddleModels]

    async def __call__(self, request: StageRequest, context: Context) -> Result:
        """Read the request's files as the pages of one document.

        May run twice for one request: what it stores is content-addressed, and it counts nothing.
        """
        started = time.monotonic()
        options = read_options(request.options, self.engine)
        with self._others_not_waiting(options):
            if options.engine == PADDLE:
                options = replace(options, paddle=self.find_paddle())
        async with _as_files(request.inputs, context) as files:
            count = cast("int", await context.call(_OPEN, files, self.limits, timeout_s=OPEN_TIMEOUT_S))
            await context.progress(0, count, "pages")
            pages = await self._read_pages(files, count, options, context)
            engine = "text layer"
            if any(page.source == "ocr" for page in pages):
                engine = cast("str", await self._call(context, options, OPEN_TIMEOUT_S, _ENGINE_NAME, options))
        document = Document(pages=pages, engine=engine, warnings=_warnings(pages))
        manifest = await _store_manifest(pages, context)
        return Result(
            outputs=(json_payload(_encode_with_text(document), name="ocr.json"),),
            artifacts={"pages": manifest} if manifest is not None else {},
            usage=Usage(
                pages=count,
                work_seconds=time.monotonic() - started,
                bytes_in=sum(payload.size for payload in request.inputs),
            ),
            model=engine,
        )

    async def _read_pages(
        self, files: tuple[InputFile, ...], count: int, options: ReadOptions, context: Context
    ) -> tuple[Page, ...]:
        way = self.ways[options.engine]
        slots = asyncio.Semaphore(way.at_once)
        done = 0

        async def read(numbers: tuple[int, ...]) -> list[Page]:
            nonlocal done
            # The slot is held until the pictures are stored: they wait in memory otherwise.
            async with slots:
                limit_s = PAGE_TIMEOUT_S * len(numbers)
                answer = await self._call(context, options, limit_s, _READ, files, self.limits, numbers, options)
                pages: list[Page] = []
                for page, picture in cast("list[tuple[Page, bytes]]", answer):
                    if picture:
                        stored = await context.store("image/png", picture, name=f"page-{page.number}.png")
                        page = replace(page, image=_blob_of(stored))
                    pages.append(page)
            done += len(pages)
            context.spent(Result((), Usage(pages=done)))
            await context.progress(done, count, "pages")
            return pages

        batches = [tuple(range(first, min(first + way.batch, count + 1))) for first in range(1, count + 1, way.batch)]
        found = await _all_or_first_error([read(numbers) for numbers in batches])
        return tuple(page for pages in found for page in pages)

    async def _call(
        self, context: Context, options: ReadOptions, limit_s: float, function: str, *args: object
    ) -> object:
        way = self.ways[options.engine]
        with self._others_not_waiting(options):
            return await context.call(function, *args, timeout_s=limit_s + way.load_s, pool=way.pool)

    @contextmanager
    def _others_not_waiting(self, options: ReadOptions) -> Generator[None]:
        """Let a request fail whose own choice of engine is not there, rather than hold up those behind it."""
        try:
            yield
        except Outage as missing:
            if options.engine == self.engine:
                raise
            raise WorkFailed(missing.message, code=missing.code, remedy=missing.remedy) from missing


def build_processor(settings: Settings) -> Processor:
    """Return the `ocr` processor as the settings want it."""
    workers = settings.workers or cores()
    readers = settings.paddle_workers or 1
    find_paddle = partial(
        usable_models,
        places_of(settings),
        threads=max(1, cores() // readers),
        pages_at_once=settings.paddle_batch_pages or 1,
    )
    handler = OcrHandler(
        limits=Limits(max_pages=settings.max_pages, max_pixels=settings.max_pixels),
        engine=settings.ocr_engine,
        ways={
            TESSERACT: Way(at_once=workers),
            # One call more than there are children: pictures are stored while the next pages are read.
            PADDLE: Way(PADDLE, settings.paddle_batch_pages or 1, readers + 1, LOAD_TIMEOUT_S),
        },
        find_paddle=find_paddle,
    )
    lacks = partial(lack_of, find_paddle)
    processor = Processor(
        topics=topics.OCR,
        handle=handler,
        # One more than there are workers: a document is fetched while the others are read.
        concurrency=workers + 1,
        child_timeout_s=PAGE_TIMEOUT_S,
        child_memory_bytes=CHILD_MEMORY_BYTES,
        pools={PADDLE: PoolSpec(places_of(settings).python, readers, settings.paddle_memory_bytes)},
        choice_lacks={Choice("engine", PADDLE): lacks, Choice("engine", TESSERACT): lambda: None},
    )
    return replace(processor, lacks=lacks) if settings.ocr_engine == PADDLE else processor


def read_options(options: str, default_engine: str) -> ReadOptions:
    """Read the job's options. Raises InvalidInput when they name an engine that there is not."""
    body: Any = orjson.loads(options or "{}")
    chosen = body.get("engine") if isinstance(body, dict) else None
    engine = str(chosen or default_engine)
    if engine not in ENGINES:
        raise InvalidInput(
            f"there is no OCR engine {engine!r}", code="unknown_engine", remedy=f"use one of: {', '.join(ENGINES)}"
        )
    return ReadOptions(engine=engine)


@asynccontextmanager
async def _as_files(inputs: tuple[Payload, ...], context: Context) -> AsyncGenerator[tuple[InputFile, ...]]:
    async with AsyncExitStack() as stack:
        files: list[InputFile] = []
        for number, payload in enumerate(inputs, 1):
            path = await stack.enter_async_context(context.as_file(payload))
            files.append(InputFile(str(path), payload.media_type, payload.name or f"file {number}"))
        yield tuple(files)


async def _all_or_first_error(work: list[Coroutine[Any, Any, list[Page]]]) -> list[list[Page]]:
    """Await all; when one fails the others are cancelled, and its own error is raised, not a group."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end_tasks(*tasks)


async def _store_manifest(pages: tuple[Page, ...], context: Context) -> BlobRef | None:
    entries = [
        {"number": page.number, "blob": page.image, "width": page.width, "height": page.height}
        for page in pages
        if page.image is not None
    ]
    if not entries:
        return None
    return _blob_of(await context.store("application/json", orjson.dumps({"pages": entries}), name="pages.json"))


def _encode_with_text(document: Document) -> bytes:
    """Encode the document, with its plain text added for people; `decode_document` does not look at that."""
    return orjson.dumps({**orjson.loads(encode_document(document)), "text": document_text(document)})


def _warnings(pages: tuple[Page, ...]) -> tuple[str, ...]:
    return tuple(f"page {page.number}: no text found" for page in pages if not page.words)


def _blob_of(payload: Payload) -> BlobRef:
    if payload.blob is None:
        raise TypeError("what is stored comes back as a reference to a blob")
    return payload.blob
