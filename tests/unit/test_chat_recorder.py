"""A call whose request the log does not acknowledge: the producer learns of it with that call, not with a later one."""

import asyncio
from typing import Any

import pytest

from ingress.__main__ import DELIVERY_TIMEOUT_S
from ingress.auth import Caller
from ingress.chat.requests import Recorder, asked_now
from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.values import Dialect, Task
from schemas.errors import Outage
from schemas.events import ChatRequest
from streams.log.kafka_publisher import KafkaPublisher
from streams.storage.fake import FakeBlobs


class _Deaf:
    """A producer whose broker never answers."""

    def __init__(self) -> None:
        self.client = self._sender = self
        self._closed = False

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        self._closed = True


async def test_a_request_that_is_not_acknowledged_in_time_leaves_the_producer_unhealthy() -> None:
    publisher = KafkaPublisher("127.0.0.1:1", delivery_timeout_s=DELIVERY_TIMEOUT_S)
    vars(publisher).update(_producer=_Deaf(), _announced={ChatRequest})
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    call = checked_call(Dialect.OPENAI, Task.CHAT, body)
    asked = asked_now(Caller("team-a", "key", frozenset()), call, "m", b"{}", {})
    assert publisher.healthy
    with pytest.raises(Outage) as late:
        await Recorder(publisher, FakeBlobs(), lambda _: True, "a").record(asked)
    assert late.value.code == "log_unavailable"
    assert not publisher.healthy
    await publisher.__aexit__()
