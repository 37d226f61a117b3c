"""Nothing that a caller sends makes a model server fetch something: content is sent, not pointed at."""

import base64
from typing import Any

import pytest

from processors.llm.protocols.checks import checked_call
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Dialect, Json, Task
from schemas.errors import InvalidInput

_INSIDE = "http://169.254.169.254/latest"
_PNG = "data:image/png;base64,iVBORw0KGgo="


def _chat(part: Json, dialect: Dialect = Dialect.OPENAI) -> Json:
    body = {"model": "a", "messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, part]}]}
    return upstream_request(checked_call(dialect, Task.CHAT, body), dialect, "a").body


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": _INSIDE}},
        {"type": "image_url", "image_url": _INSIDE},
        {"image_url": {"url": _INSIDE}},
        {"type": "text", "text": "x", "image_url": _INSIDE},
        {"type": "video_url", "video_url": {"url": _INSIDE}},
        {"type": "audio_url", "audio_url": {"url": _INSIDE}},
        {"audio_url": {"url": "/etc/passwd"}},
        {"video_url": [{"url": _PNG}, {"url": _INSIDE}]},
        {"type": "input_image", "image_url": _INSIDE},
        {"type": "file", "file": {"file_data": _INSIDE}},
        {"type": "file", "file": {"file_url": "//inside/x.pdf"}},
        {"type": "image", "image": _INSIDE},
        {"type": "image", "source": {"type": "url", "url": _INSIDE}},
        {"type": "media", "fileData": {"fileUri": "gs://bucket/x"}},
        {"type": "video", "video": [" \n" + _INSIDE]},
        {"type": "video", "video": "FILE:/etc/passwd"},
    ],
)
def test_a_part_that_points_somewhere_is_refused(part: Json) -> None:
    with pytest.raises(InvalidInput, match="fetches nothing") as refused:
        _chat(part)
    assert refused.value.code in ("image_url_refused", "url_refused")
    assert "169.254" not in refused.value.message


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "https://example.com is down, see file:///var/log"},
        {"type": "refusal", "refusal": "http://x is not for you"},
        {"type": "image_url", "image_url": {"url": _PNG, "detail": "low"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"\xff\xfb\x90").decode(), "format": "mp3"}},
        {"type": "file", "file": {"filename": "C:/letters/re: x.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-abc123"}},
        {"type": "output_text", "text": "found", "annotations": [{"type": "url_citation", "url": "https://a.example"}]},
    ],
)
def test_content_itself_goes_on_unchanged(part: Json) -> None:
    assert _chat(part)["messages"][0]["content"][1] == part


@pytest.mark.parametrize("image", [_INSIDE, "file:/etc/passwd", "s3://bucket/x"])
@pytest.mark.parametrize("task", [Task.CHAT, Task.COMPLETION])
def test_images_in_ollamas_protocol_are_sent_themselves(image: str, task: Task) -> None:
    bodies: dict[Task, Any] = {
        Task.CHAT: {"messages": [{"role": "user", "content": "x", "images": [image]}]},
        Task.COMPLETION: {"prompt": "x", "images": [image]},
    }
    with pytest.raises(InvalidInput, match="fetches nothing"):
        checked_call(Dialect.OLLAMA, task, bodies[task])


def test_messages_of_an_embedding_are_held_to_the_same() -> None:
    """Servers that embed pictures take `messages` here, and unknown fields are passed on."""
    body = {"model": "a", "input": "x", "messages": [{"role": "user", "content": [{"image_url": _INSIDE}]}]}
    with pytest.raises(InvalidInput, match="fetches nothing"):
        checked_call(Dialect.OPENAI, Task.EMBED, body)
