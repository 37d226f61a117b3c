"""A task's trace: in its log lines, and for its calls to others."""

from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from streams.log.kafka_tail import to_log_record
from streams.tracing import named_now, trace_begun_or_kept, traced, traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_a_task_works_on_is_named_as_long_as_it_does() -> None:
    with traced({"traceparent": TRACE.encode()}, job_id="j", service="s"):
        assert traceparent() == TRACE
        named = {"trace_id": TRACE.split("-")[1], "job_id": "j", "service": "s"}
        assert named.items() <= named_now().items()
    assert traceparent() == ""
    assert not {"trace_id", "job_id", "service"} & named_now().keys()


@pytest.mark.parametrize("given", [b"", b"00-1-2-01", b"\xff", TRACE.encode() + b"\r\nAuthorization: x", b"t"])
def test_what_is_no_traceparent_goes_nowhere(given: bytes) -> None:
    with traced({"traceparent": given}):
        assert traceparent() == ""
        assert "trace_id" not in named_now()


def test_a_tracestate_is_carried_as_far_as_w3c_asks() -> None:
    """It stands in every record of a job, so a long one would multiply."""
    headers = {"traceparent": TRACE.encode(), "tracestate": b"v=1"}
    assert trace_begun_or_kept(headers) == headers
    assert trace_begun_or_kept({**headers, "tracestate": b"v" * 513}) == {"traceparent": TRACE.encode()}


def test_a_header_without_a_value_is_none() -> None:
    """Kafka allows it; a batch door's client may send one."""
    headers = (("traceparent", None), ("tracestate", b"v=1"))
    raw: Any = ConsumerRecord("t", 0, 1, 2, 0, b"k", b"v", None, 1, 1, headers)
    assert to_log_record(raw).headers == {"tracestate": b"v=1"}
    assert trace_begun_or_kept(to_log_record(raw).headers).keys() == {"traceparent"}
