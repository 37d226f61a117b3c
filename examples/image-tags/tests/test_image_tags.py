"""The handler without Kafka: `FakeContext` gives it what the gateway would."""

import asyncio
import io
import json

import pytest
from image_tags.processor import PROCESSOR, handle
from PIL import Image

from schemas.errors import InvalidInput
from schemas.payloads import Payload
from streams.runtime.testing import FakeContext, stage_request


def png(colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> Payload:
    """Return a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "png")
    return Payload("image/png", "a.png", inline=file.getvalue())


@pytest.mark.parametrize(
    ("colour", "size", "tags"),
    [
        ((255, 255, 255), (40, 60), {"bright", "paper", "plain", "tall"}),
        ((10, 10, 40), (60, 40), {"dark", "cold", "plain", "wide"}),
        ((200, 90, 40), (50, 50), {"warm", "plain"}),
    ],
)
def test_a_picture_gets_the_tags_that_fit(colour: tuple[int, int, int], size: tuple[int, int], tags: set[str]) -> None:
    """Colour, light and shape."""
    result = asyncio.run(handle(stage_request("image-tags", png(colour, size)), FakeContext()))
    body = json.loads(result.outputs[0].inline or b"")
    assert {each["tag"] for each in body["tags"]} == tags
    assert result.usage.pages == 1


def test_what_is_no_picture_is_refused() -> None:
    """An error of the caller's, which is not tried again."""
    broken = Payload("image/png", "a.png", inline=b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(InvalidInput) as raised:
        asyncio.run(handle(stage_request("image-tags", broken), FakeContext()))
    assert raised.value.code == "not_a_picture"


def test_the_stage_is_called_as_its_entry_point() -> None:
    """Its topics follow from that name."""
    assert PROCESSOR.topics.kind == "image-tags"
    assert PROCESSOR.topics.requests["interactive"].name == "image-tags.requests"
