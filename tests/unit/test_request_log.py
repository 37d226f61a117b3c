"""What the door tells of each request in metrics."""

import pytest
from prometheus_client import REGISTRY
from starlette.types import Message, Receive, Scope, Send

from ingress.request_log import RequestLog

SCOPE = {"type": "http", "method": "GET", "path": "/healthz", "scheme": "http", "headers": []}


def in_flight() -> float | None:
    return REGISTRY.get_sample_value("gateway_http_in_flight")


def answered(status: str) -> float:
    labels = {"route": "none", "method": "GET", "status": status}
    return REGISTRY.get_sample_value("gateway_http_requests_total", labels) or 0


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Message) -> None:
    del message


@pytest.mark.parametrize(("raises", "status"), [(False, "204"), (True, "500")])
async def test_a_request_is_in_flight_until_its_answer_is_sent(raises: bool, status: str) -> None:
    during: list[float | None] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        during.append(in_flight())
        if raises:
            raise ValueError
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door, before = RequestLog(inner), answered(status)
    await door(dict(SCOPE), receive, send)
    assert (during, in_flight()) == ([1], 0)
    assert answered(status) == before + 1
