"""What a record of a batch door becomes: the same submission that REST would make of it."""

from pathlib import Path
from typing import Any

import pytest

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.submissions import UNNAMED_MODEL
from streams.admission.checks import Checker
from streams.admission.entries import EntryMaker
from streams.log.protocols import LogRecord
from streams.modules import load_modules
from streams.storage.fake import FakeBlobs

FOLDER = Path(__file__).resolve().parents[2] / "modules"
CODEC = Codec()


class Decoder:
    """Decodes with the schemas at hand."""

    async def decode(self, data: bytes, kind: Any) -> Any:
        return CODEC.decode(data, kind)


async def entry(request: BatchRequest) -> Any:
    maker = EntryMaker(Decoder(), Checker(load_modules(FOLDER, noop=True), FakeBlobs(), 1 << 20))
    record = LogRecord("batch.hr", 0, 7, b"any", CODEC.encode(request), {}, 0)
    return await maker.entry("hr", record, is_open=True)


@pytest.mark.parametrize(
    ("module", "options", "model"),
    [
        ("llm", '{"model": "big"}', "big"),
        ("llm", "", UNNAMED_MODEL),
        ("summary", "", UNNAMED_MODEL),
        ("noop", "", ""),
    ],
)
async def test_the_model_that_it_asks_for_is_told(module: str, options: str, model: str) -> None:
    made, asked = await entry(BatchRequest("r1", module, text="x", options=options))
    assert made.refusal is None, made.refusal
    assert asked == model


async def test_a_text_goes_straight_to_the_model() -> None:
    made, _ = await entry(BatchRequest("r1", "summary", text="x"))
    assert [step.kind for step in made.steps] == ["llm"]


async def test_what_is_refused_asks_for_no_model() -> None:
    made, asked = await entry(BatchRequest("r1", "llm", text="", options='{"model": "big"}'))
    assert (made.refusal.code, asked) == ("empty_text", "")
