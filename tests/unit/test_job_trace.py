"""What a record tells of its job, without the text of anything."""

from dataclasses import replace

from schemas.dead_letters import Settlement, Source, settling_headers
from schemas.errors import InvalidInput
from schemas.job_trace import TraceRow, buried, in_order, told, trace_id_of
from schemas.payloads import Payload
from streams.log.dead_letters import dead_letter
from streams.log.protocols import LogRecord
from tests.builders import stage_request

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_dead_letter_tells_its_stage_attempts_code_and_source() -> None:
    record = LogRecord("ocr.requests", 3, 17, b"job", b"the text", {"traceparent": TRACE}, 1)
    error = InvalidInput("quoting the text", code="no_pages")
    letter = dead_letter(record, stage="ocr", attempts=2, error=error, service="s", at_ms=5)
    row = buried(letter.headers)
    assert row == {
        "what": "dead letter",
        "stage": "ocr",
        "attempt": 2,
        "more": {"error": "no_pages", "source": "ocr.requests/3/17"},
    }
    assert trace_id_of(letter.headers) == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_mark_tells_how_a_letter_was_settled() -> None:
    row = buried(settling_headers(Source("ocr.requests", 3, 17), Settlement.REPLAYED, 5))
    assert row["what"] == "dead letter replayed"
    assert row["more"]["source"] == "ocr.requests/3/17"


def test_a_request_tells_its_step_and_not_its_text() -> None:
    request = replace(stage_request("ocr"), inputs=(Payload("text/plain", inline=b"the text"),), options='{"a":"text"}')
    row = told(request)
    assert (row["what"], row["stage"]) == ("requested", request.step.name)
    assert "text" not in str(row)


def test_rows_are_told_by_time_and_within_a_partition_by_offset() -> None:
    rows = [TraceRow("a", 0, 2, 7, "x"), TraceRow("a", 0, 1, 7, "x"), TraceRow("z", 0, 9, 3, "x")]
    assert [row.offset for row in in_order(rows)] == [9, 1, 2]
    assert rows[0].as_json()["at"] == "1970-01-01T00:00:00.007Z"
