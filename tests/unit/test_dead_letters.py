"""Which letters are open, and what a replay of one asks for."""

import pytest

from cli.letter_display import full, shown
from schemas.dead_letters import (
    Buried,
    Settlement,
    Source,
    open_letters,
    parse_source,
    raised,
    settling_headers,
)
from schemas.errors import InvalidInput, WorkFailed
from schemas.payloads import text_payload
from streams.dead_letter_store import choose
from streams.log.dead_letters import dead_letter
from streams.log.protocols import LogRecord
from tests.builders import job_ref, stage_request


def buried(offset: int = 7, *, key: bytes = b"job", value: bytes | None = b"bytes", at_ms: int = 5) -> Buried:
    record = LogRecord("noop.requests", 3, offset, key, value, {"traceparent": b"t"}, 1)
    raw = dead_letter(
        record, stage="noop", attempts=3, error=WorkFailed("it died", code="died"), service="a", at_ms=at_ms
    )
    return Buried(raw.key, raw.value, raw.headers)


def mark(offset: int = 7) -> Buried:
    return Buried(b"job", None, settling_headers(Source("noop.requests", 3, offset), Settlement.DROPPED, 9))


def test_a_letter_that_was_written_twice_is_one() -> None:
    (letter,) = open_letters([buried(at_ms=5), buried(at_ms=6)])
    assert letter.times == 2
    assert letter.at_ms == 5
    assert str(letter.source) == "noop.requests/3/7"
    assert (letter.stage, letter.attempts, letter.code, letter.message, letter.service) == (
        "noop",
        "3",
        "died",
        "it died",
        "a",
    )
    assert letter.original_headers == {"traceparent": b"t"}


@pytest.mark.parametrize(
    "records",
    [[buried(), mark()], [mark(), buried()], [buried(), mark(), buried()]],
    ids=["after", "before", "between"],
)
def test_a_mark_settles_every_repeat_of_its_letter_and_no_other(records: list[Buried]) -> None:
    left = open_letters([*records, buried(8)])
    assert [letter.source.offset for letter in left] == [8]


def test_a_letter_whose_record_had_no_value_is_no_mark() -> None:
    assert len(open_letters([buried(value=None)])) == 1


def test_what_we_did_not_write_is_passed_over() -> None:
    assert open_letters([Buried(b"k", b"v", {}), Buried(None, b"v", {"dlt.topic": b"x", "dlt.offset": b"y"})]) == []


def test_ids_read_as_they_are_written() -> None:
    assert parse_source("gongmun.extract.bulk/0/12") == Source("gongmun.extract.bulk", 0, 12)
    with pytest.raises(InvalidInput):
        parse_source("nonsense")


def test_a_letter_is_chosen_by_its_id_or_by_its_job() -> None:
    job_id = job_ref().job_id
    letters = open_letters([buried(1, key=job_id.encode()), buried(2)])
    assert [x.source.offset for x in choose(letters, job_id)] == [1]
    assert [x.source.offset for x in choose(letters, "noop.requests/3/2")] == [2]
    with pytest.raises(InvalidInput):
        choose(letters, "noop.requests/3/9")


def test_a_replay_raises_the_epoch_and_nothing_else() -> None:
    request = stage_request("ocr", "gongmun.extract", position=1)
    again = raised(request)
    assert again.job.epoch == 1
    assert again.job.job_id == request.job.job_id
    assert again.event_id != request.event_id
    assert (again.position, again.inputs, again.steps) == (request.position, request.inputs, request.steps)
    assert raised(again).job.epoch == 2


def test_what_is_shown_holds_no_text_of_the_document_and_no_prompt() -> None:
    request = stage_request(
        "noop", inputs=(text_payload("a very secret text"),), options='{"prompt":"say hush","sleep_ms":5}'
    )
    (letter,) = open_letters([buried()])
    told = str(full(letter, request))
    assert "secret" not in told
    assert "hush" not in told
    assert shown(request)["options"] == {"prompt": "<8 characters>", "sleep_ms": 5}
    assert shown(request)["inputs"][0]["inline"] == "<18 bytes>"
