"""What reads the documents of an evaluation: the running gateway, or the same code in processes of our own."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import orjson

from cli.evaluation.examples import Example
from schemas.errors import GatewayError

if TYPE_CHECKING:
    from cli.gateway_client import GatewayClient


@dataclass(frozen=True, slots=True)
class Reading:
    """A document's result ({} when it failed, with the error), the seconds of work on it, and what did the work."""

    result: dict[str, Any]
    seconds: float
    made_by: str = ""
    error: str = ""


def read_in_process(examples: Sequence[Example], engine: str, workers: int) -> Iterator[Reading]:
    """Yield each example's reading in order; the work is done in `workers` processes."""
    # Spawned: a fork would take along whatever threads and locks this process has.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_read_here, examples, [engine] * len(examples))


def read_through_gateway(client: "GatewayClient", examples: Sequence[Example], at_once: int) -> Iterator[Reading]:
    """Yield each example's reading in order, each a job of the gateway."""

    def one(example: Example) -> Reading:
        try:
            job = client.finished(client.submit("gongmun", example.files, {}))
        except GatewayError as error:
            return Reading({}, 0.0, error=f"{error.code}: {error.message}")
        if job["status"] != "done":
            error_body = job["error"] or {"code": job["status"], "message": ""}
            return Reading({}, _work_seconds(job), error=f"{error_body['code']}: {error_body['message']}")
        return Reading(job["result"], _work_seconds(job), made_by="gateway")

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, examples)


def _read_here(example: Example, engine: str) -> Reading:
    from ingress.media import media_type_of
    from processors.llm.gongmun.child import extract
    from processors.llm.gongmun.extract import VERSION
    from processors.ocr.child import engine_name, open_document, read_page
    from processors.ocr.documents import InputFile
    from processors.ocr.limits import Limits, ReadOptions
    from schemas.pages import Document, encode_document

    started = time.perf_counter()
    options = ReadOptions(engine=engine)
    try:
        files = tuple(
            InputFile(str(file), media_type_of(file.read_bytes()[:4096], file.name, ""), file.name)
            for file in example.files
        )
        limits = Limits()
        count = open_document(files, limits)
        pages = tuple(read_page(files, limits, number, options)[0] for number in range(1, count + 1))
        read_by = engine_name(options) if any(page.source == "ocr" for page in pages) else "text layer"
        result = orjson.loads(extract(encode_document(Document(pages, read_by))))
    except GatewayError as error:
        return Reading({}, time.perf_counter() - started, error=f"{error.code}: {error.message}")
    return Reading(result, time.perf_counter() - started, f"{read_by}, rules-{VERSION}")


def _work_seconds(job: dict[str, Any]) -> float:
    """Return the seconds in which the job's stages worked; the time between them is not the reading's."""
    return sum(
        (datetime.fromisoformat(stage["finished_at"]) - datetime.fromisoformat(stage["started_at"])).total_seconds()
        for stage in job["stages"]
        if stage["started_at"] and stage["finished_at"]
    )
