from dataclasses import replace

import orjson
import pytest

from processors.llm.gongmun_stage import GONGMUN, check_result
from schemas.errors import InvalidInput, WorkFailed
from schemas.events import JobRef, StageRequest, Step
from schemas.pages import Document, decode_document, encode_document
from schemas.payloads import Payload, json_payload
from streams.runtime.testing import FakeContext
from tests.unit.gongmun.pages import PUBLIC, document_of


def asked(*inputs: Payload, options: str = "{}") -> StageRequest:
    job = JobRef("j", "s", "k", "gongmun", "1", "interactive", 0, "d")
    return StageRequest("e", job, (Step("gongmun.extract", "gongmun.extract"),), 0, inputs, options=options)


async def test_pages_become_a_result() -> None:
    pages = json_payload(encode_document(document_of(PUBLIC)))
    result = await GONGMUN.handle(asked(pages, options='{"own_organisation":"가람시"}'), FakeContext())

    (output,) = result.outputs
    assert (output.media_type, output.name) == ("application/json", "gongmun.json")
    body = orjson.loads(output.inline or b"")
    assert body["document_number"] == "도로과-512"
    assert body["direction"] == "incoming"
    assert result.model.startswith("rules-")
    assert result.usage.work_seconds > 0


def test_pages_that_an_earlier_version_wrote_are_read() -> None:
    document = document_of(PUBLIC)
    body = orjson.loads(encode_document(document))
    for page in body["pages"]:
        del page["grey"]

    assert not decode_document(orjson.dumps(body)).pages[0].grey
    grey = Document(tuple(replace(page, grey=True) for page in document.pages))
    assert decode_document(encode_document(grey)).pages[0].grey


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'{"pages":[1],"engine":"","warnings":[]}', b'"text"'])
async def test_what_is_no_document_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        await GONGMUN.handle(asked(json_payload(raw)), FakeContext())

    assert caught.value.code == "bad_document"


async def test_a_request_without_input_is_refused() -> None:
    with pytest.raises(InvalidInput):
        await GONGMUN.handle(asked(), FakeContext())


def test_a_result_that_breaks_the_schema_is_named_without_its_text() -> None:
    with pytest.raises(WorkFailed) as caught:
        check_result(orjson.dumps({"title": ["비밀"]}))

    assert "/title" in str(caught.value)
    assert "비밀" not in str(caught.value)
