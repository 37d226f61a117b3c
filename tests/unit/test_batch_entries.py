"""What a record of a batch door becomes: the same submission that REST would make of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.batch import BatchRequest
from schemas.codec import Codec
from schemas.errors import Outage
from schemas.events import ErrorInfo, Step
from schemas.modules import ModuleSpec, Title
from schemas.submissions import UNNAMED_MODEL
from streams.admission.checks import Checker
from streams.admission.entries import EntryMaker, startable
from streams.log.protocols import LogRecord
from streams.modules import Module, Modules, load_modules
from streams.storage.fake import FakeBlobs

FOLDER = Path(__file__).resolve().parents[2] / "modules"
CODEC = Codec()


class Decoder:
    """Decodes with the schemas at hand."""

    async def decode(self, data: bytes, kind: Any) -> Any:
        return CODEC.decode(data, kind)


def checker(modules: Any = None) -> Checker:
    return Checker(modules or load_modules(FOLDER, noop=True), FakeBlobs(), 1 << 20)


async def entry(request: BatchRequest, checker: Checker) -> Any:
    maker = EntryMaker(Decoder(), checker)
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
    made, asked = await entry(BatchRequest("r1", module, text="x", options=options), checker())
    assert made.refusal is None, made.refusal
    assert asked == model


async def test_a_text_goes_straight_to_the_model() -> None:
    made, _ = await entry(BatchRequest("r1", "summary", text="x"), checker())
    assert [step.kind for step in made.steps] == ["llm"]


async def test_what_is_refused_asks_for_no_model() -> None:
    made, asked = await entry(BatchRequest("r1", "llm", text="", options='{"model": "big"}'), checker())
    assert (made.refusal.code, asked) == ("empty_text", "")


class Changing:
    """Modules that change while the door is open, as a registry's do."""

    def __init__(self, spec: ModuleSpec) -> None:
        self.module = Module(spec)
        self.names = (spec.name,)

    def get(self, name: str) -> Module | None:
        return self.module if name == self.module.spec.name else None


SAID = Title("가", "a")
ECHO = ModuleSpec("echo", "1", SAID, SAID, frozenset({"text"}), (Step("noop", "noop"),))


def with_default(version: str, default: int) -> ModuleSpec:
    return replace(ECHO, version=version, options={"properties": {"n": {"type": "integer", "default": default}}})


async def test_options_follow_a_module_that_changes() -> None:
    """Also when the change has the version that was there before."""
    modules = Changing(with_default("1", 1))
    checking = checker(modules)
    request = BatchRequest("r1", "echo", text="x", options="{}")
    for version, default in (("1", 1), ("2", 2), ("2", 3), ("1", 1)):
        modules.module = Module(with_default(version, default))
        for _ in range(2):
            made, _ = await entry(request, checking)
            assert (made.job.module_version, made.options) == (version, f'{{"n":{default}}}')


async def test_a_stage_that_there_is_none_of_here_is_rejected() -> None:
    """Wherever it stands in the slip; what to do is told."""
    for steps in ((Step("a", "nobody-here"),), (Step("noop", "noop"), Step("a", "nobody-here"))):
        made, _ = await entry(BatchRequest("r1", "echo", text="x"), checker(Modules([replace(ECHO, steps=steps)])))
        assert made.refusal.code == "module_unavailable"
        assert "nobody-here" in made.refusal.message
        assert "install the package that adds nobody-here" in made.refusal.remedy


async def test_a_schema_that_cannot_be_used_rejects_the_record() -> None:
    """The process goes on; met again, the record is rejected again."""
    options = {"properties": {"n": {"type": "integer", "$ref": "http://127.0.0.1:1/n"}}}
    made, _ = await entry(
        BatchRequest("r1", "echo", text="x", options='{"n": 1}'), checker(Modules([replace(ECHO, options=options)]))
    )
    assert (made.refusal.code, made.steps) == ("invalid_option", ())


async def test_an_entry_of_a_stage_that_is_gone_is_refused_when_it_is_to_be_started() -> None:
    """Its door knew the stage, so that the entry is on the log; others are left as they are."""
    made, _ = await entry(BatchRequest("r1", "noop", text="x"), checker())
    assert startable(made) is made
    refused = startable(replace(made, steps=(Step("a", "nobody-here"),)))
    assert isinstance(refused.refusal, ErrorInfo)
    assert (refused.refusal.code, refused.steps, refused.job) == ("module_unavailable", (), made.job)
    assert startable(refused) is refused


async def test_a_request_that_comes_again_after_a_default_changed_is_the_same() -> None:
    """The job that it makes has the new default; whoever asks again for the old one's answer is not refused."""
    options = {"properties": {"tone": {"type": "string", "default": "plain"}}}
    modules = Changing(replace(ECHO, options=options))
    check = checker(modules)
    first, _ = await entry(BatchRequest("r1", "echo", text="x"), check)
    modules.module = Module(replace(ECHO, options={"properties": {"tone": {"type": "string", "default": "polite"}}}))
    again, _ = await entry(BatchRequest("r1", "echo", text="x"), check)
    other, _ = await entry(BatchRequest("r1", "echo", text="x", options='{"tone": "polite"}'), check)
    assert (first.options, again.options) == ('{"tone":"plain"}', '{"tone":"polite"}')
    assert first.job.input_digest == again.job.input_digest != other.job.input_digest


async def test_what_nobody_thought_of_rejects_its_record_and_an_outage_does_not() -> None:
    """A fault that ended the process would end it again at the same record, for ever."""

    class Odd(FakeBlobs):
        error: Exception = ValueError("never told: it may quote content")

        async def find(self, service: str, sha256: str) -> Any:
            raise self.error

    odd = Odd()
    checking = Checker(load_modules(FOLDER, noop=True), odd, 1 << 20)
    made, _ = await entry(BatchRequest("r1", "noop", blobs=("0" * 64,)), checking)
    assert (made.request_id, made.refusal.code) == ("r1", "internal_error")
    assert "quote" not in made.refusal.message
    for error in (Outage("the store is down"), OSError("disk")):
        odd.error = error
        with pytest.raises(type(error)):
            await entry(BatchRequest("r1", "noop", blobs=("0" * 64,)), checking)


async def test_what_is_refused_is_not_stored() -> None:
    blobs = FakeBlobs()
    checking = Checker(load_modules(FOLDER, noop=True), blobs, 1 << 20)
    made, _ = await entry(BatchRequest("r1", "noop", text="x" * 20_000, options="{"), checking)
    assert (made.refusal.code, blobs.blobs) == ("malformed_json", {})
    made, _ = await entry(BatchRequest("r1", "noop", text="x" * 20_000), checking)
    assert made.refusal is None
    assert len(blobs.blobs) == 1


async def test_options_that_would_not_fit_into_the_jobs_records_are_refused() -> None:
    made, _ = await entry(BatchRequest("r1", "noop", text="x", options='{"sleep_ms": 1}' + " " * 600_000), checker())
    assert made.refusal is None, "it is the options that count, not how they were written"
    options = {"properties": {"said": {"type": "string"}}}
    check = checker(Modules([replace(ECHO, options=options)]))
    made, _ = await entry(BatchRequest("r1", "echo", text="x", options=f'{{"said": "{"x" * 600_000}"}}'), check)
    assert (made.refusal.code, made.options) == ("record_too_large", "{}")


async def test_a_rejection_tells_a_service_what_the_service_can_do() -> None:
    """It can write no schema, and nobody replays a door's records; a service that was deleted cannot be `set`."""
    maker, unknown = EntryMaker(Decoder(), checker()), b"\xc3\x01" + bytes(8) + b"x"
    refusals: list[ErrorInfo | None] = []
    for value, is_open in ((unknown, True), (CODEC.encode(BatchRequest("r1", "noop", text="x")), False)):
        made, _ = await maker.entry("hr", LogRecord("batch.hr", 0, 7, b"any", value, {}, 0), is_open=is_open)
        refusals.append(made.refusal)
    schema, closed = refusals
    assert schema is not None
    assert closed is not None
    assert schema.code == "unknown_schema"
    assert "BatchRequest" in schema.remedy
    assert "replay" not in schema.remedy
    assert closed.code == "door_closed"
    assert "services set hr --batch" in closed.remedy
    assert "create" in closed.remedy
