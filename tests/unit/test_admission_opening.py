"""What admission does when the broker does not answer while a partition is taken over."""

import asyncio
from typing import Any

import pytest

from schemas.codec import Codec
from streams.admission import answers
from streams.admission.answers import Answerer
from streams.log.schema_reader import CodecDecoder
from tests.unit.silent_broker import SilentBroker


async def test_a_takeover_that_gets_no_answer_is_given_up_and_closes_what_it_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process then connects anew; it stood still for good otherwise."""
    producer: Any = SilentBroker()
    monkeypatch.setattr(answers, "bulk_producer", lambda *_: producer)
    monkeypatch.setattr(answers, "_ROUND_S", 0.05)
    broker: Any = SilentBroker()
    codec = Codec()
    answerer = Answerer("nowhere", codec, CodecDecoder(codec), frozenset, broker, broker)
    async with asyncio.timeout(20):
        with pytest.raises(TimeoutError):
            await answerer._open(3, broker, producer)
    assert producer.stopped
