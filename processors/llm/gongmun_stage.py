"""The stage `gongmun.extract`: the OCR stage's pages in, the letter's facts with their evidence out."""

import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import orjson
from jsonschema import Draft202012Validator

from processors.llm.gongmun.extract import VERSION
from processors.llm.gongmun_model import Helped, PoolSource, helped
from schemas.errors import InvalidInput, WorkFailed
from schemas.events import StageRequest
from schemas.payloads import json_payload
from schemas.topics import GONGMUN_EXTRACT
from streams.runtime.processor import Context, Processor, Result

_SCHEMA_FILE = Path(__file__).parents[2] / "modules" / "gongmun.schema.json"
_CHILD = "processors.llm.gongmun.child:extract"
_TIMEOUT_S = 60.0


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(_SCHEMA_FILE.read_bytes()))


def check_result(raw: bytes) -> None:
    """Check an encoded result against the module's schema.

    Raises WorkFailed (`invalid_result`) naming the first place that does not fit; its text is not repeated.
    """
    error = next(iter(_validator().iter_errors(orjson.loads(raw))), None)
    if error is not None:
        place = "/" + "/".join(str(part) for part in error.absolute_path)
        raise WorkFailed(
            f"the extraction's result does not fit its schema at {place} ({error.validator})",
            code="invalid_result",
            remedy="this is a fault of the rules: report the job's id",
        )


def _own_organisation(options: str) -> str:
    value: object = orjson.loads(options or "{}").get("own_organisation", "")
    return value if isinstance(value, str) else ""


def _wants_model(options: str) -> bool:
    return orjson.loads(options or "{}").get("use_model", True) is not False


class GongmunStage:
    """The stage; with a source of a pool, a model fills and corrects what the rules read."""

    def __init__(self, pool: PoolSource = lambda: None) -> None:
        self._pool = pool
        self.processor = Processor(topics=GONGMUN_EXTRACT, handle=self.handle, concurrency=4)

    async def handle(self, request: StageRequest, context: Context) -> Result:
        """Extract one letter from the pages that the stage before has read.

        Raises InvalidInput when the request carries no pages, WorkFailed when the result breaks its schema.
        """
        if not request.inputs:
            raise InvalidInput(
                "gongmun.extract was asked without an input",
                code="missing_input",
                remedy="send the output of the ocr stage as the request's first input",
            )
        started = time.perf_counter()
        pages = await context.read(request.inputs[0])
        result: bytes = await context.call(_CHILD, pages, _own_organisation(request.options), timeout_s=_TIMEOUT_S)
        check_result(result)
        pool = self._pool() if _wants_model(request.options) else None
        helping = Helped(result)
        # A pool that knows no model yet is none: the letter does not wait for one.
        if pool is not None and pool.catalogue.models and "origin" in orjson.loads(result):
            helping = await helped(pool, request, context, pages, result)
            check_result(helping.result)
        return Result(
            outputs=(json_payload(helping.result, "gongmun.json"),),
            usage=replace(helping.usage, work_seconds=time.perf_counter() - started, bytes_in=len(pages)),
            model=helping.model or f"rules-{VERSION}",
            upstream=helping.upstream,
            wasted=helping.wasted,
        )


GONGMUN = GongmunStage().processor
"""The stage by rules alone."""
