"""The four forms of a transcript."""

import io
from dataclasses import replace

import orjson
import pytest

from processors.stt.formats import as_payload, to_json, to_srt, to_text, to_vtt
from processors.stt.speech import Segment, Transcript, Word

SPOKEN = Transcript(
    engine="engine 1",
    task="transcribe",
    language="ko",
    language_confidence=0.98,
    duration_s=3725.5,
    segments=(
        Segment(
            " 회의를\n\n시작하겠습니다.",
            0.0,
            3.5,
            average_log_probability=-0.1,
            words=(Word(" 회의를", 0.0, 1.0, 0.9),),
        ),
        Segment("  ", 4.0, 5.0),
        Segment(" a < b --> c & d", 3723.0004, 3725.4996),
    ),
)
NOTHING = Transcript("engine 1", "transcribe", "", 0.0, 2.0, (), ("no speech found",))


def test_srt_numbers_its_cues_and_leaves_out_empty_ones() -> None:
    """An empty line would end a cue, so there is none inside."""
    assert to_srt(SPOKEN) == (
        "1\n00:00:00,000 --> 00:00:03,500\n회의를 시작하겠습니다.\n\n"
        "2\n01:02:03,000 --> 01:02:05,500\na < b --> c & d\n\n"
    )


def test_vtt_escapes_what_would_be_markup() -> None:
    """`-->` must not appear in a cue."""
    assert to_vtt(SPOKEN) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:03.500\n회의를 시작하겠습니다.\n\n"
        "01:02:03.000 --> 01:02:05.500\na &lt; b --&gt; c &amp; d\n\n"
    )


def test_text_has_one_segment_a_line() -> None:
    """Nothing but what was said."""
    assert to_text(SPOKEN) == "회의를 시작하겠습니다.\na < b --> c & d\n"


def test_json_tells_all_and_survives_a_round() -> None:
    """Words are there when they were asked for."""
    body = orjson.loads(to_json(SPOKEN))
    assert body["text"].startswith("회의를")
    assert body["segments"][0]["confidence"] == pytest.approx(0.9048)
    assert body["segments"][0]["words"] == [{"word": "회의를", "start": 0.0, "end": 1.0, "confidence": 0.9}]
    assert "words" not in body["segments"][2]
    assert body["duration"] == 3725.5


def test_silence_has_valid_forms_too() -> None:
    """No cue, no line; JSON says why."""
    assert (to_text(NOTHING), to_srt(NOTHING), to_vtt(NOTHING)) == ("", "", "WEBVTT\n\n")
    assert orjson.loads(to_json(NOTHING))["warnings"] == ["no speech found"]


@pytest.mark.parametrize(
    ("form", "name", "media_type"),
    [
        ("json", "call.json", "application/json"),
        ("text", "call.txt", "text/plain; charset=utf-8"),
        ("srt", "call.srt", "application/x-subrip; charset=utf-8"),
        ("vtt", "call.vtt", "text/vtt; charset=utf-8"),
    ],
)
def test_payloads_are_named_and_typed(form: str, name: str, media_type: str) -> None:
    """So that a download has the right ending."""
    payload = as_payload(SPOKEN, form, "call")
    assert (payload.name, payload.media_type) == (name, media_type)


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_a_player_finds_the_cues_and_each_takes_some_time(form: str) -> None:
    """FFmpeg's own readers, not ours; a segment without a length is shown for a moment all the same."""
    av = pytest.importorskip("av", reason="the extra `stt` is not installed (./gateway install stt)")
    at_once = replace(SPOKEN, segments=(*SPOKEN.segments, Segment("끝", 3725.5, 3725.5)))
    content = as_payload(at_once, form, "meeting").inline
    assert content is not None
    with av.open(io.BytesIO(content), format={"srt": "srt", "vtt": "webvtt"}[form]) as file:
        packets = [packet for packet in file.demux() if packet.size]
    cues = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in packets]
    assert cues == [(0.0, 3.5), (3723.0, 2.5), (3725.5, 0.5)]
    assert bytes(packets[0]).decode().strip() == "회의를 시작하겠습니다."
