"""faster-whisper itself, on the tiny model: loading, decoding, word times, detection of speech."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="the extra `stt` is not installed (./gateway install stt)")

from processors.stt.engine import RATE, Ask
from processors.stt.faster_whisper_engine import FasterWhisper, open_engine
from processors.stt.models import ModelMissing
from schemas.errors import InvalidInput
from tests.models.tiny_whisper import SENTENCE, SPOKEN_S, build
from tests.recordings import silence, speech, tone

SAID = "".join(SENTENCE)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> FasterWhisper:
    """The engine with its model loaded."""
    return open_engine(str(tiny_model), "tiny", 1)


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """About 40 s of speech with pauses."""
    parts = [speech("안녕하십니까. 지금부터 예산 심의 회의를 시작하겠습니다."), silence(0.7)] * 12
    return np.concatenate(parts)[: 40 * RATE]


def test_speech_is_written_down_with_times(engine: FasterWhisper, spoken: np.ndarray) -> None:
    """Once for each 30 s: that is what the model says."""
    told: list[float] = []
    heard = engine.hear(spoken, Ask(vad=False), told.append)
    assert [(segment.text, segment.start, segment.end) for segment in heard.segments] == [
        (SAID, 0.0, SPOKEN_S),
        (SAID, 30.0, 30.0 + SPOKEN_S),
    ]
    assert (heard.language, heard.language_confidence > 0.9) == ("ko", True)
    assert told == [3.0, 33.0]
    assert heard.segments[0].average_log_probability > -0.1


def test_words_have_plain_times_and_confidences(engine: FasterWhisper, spoken: np.ndarray) -> None:
    """They make up the segment's text, in order, within its time."""
    first = engine.hear(spoken[: 20 * RATE], Ask(vad=False, words=True), lambda _: None).segments[0]
    assert "".join(word.text for word in first.words) == SAID
    figures = [figure for word in first.words for figure in (word.start, word.end, word.confidence)]
    assert {type(figure) for figure in figures} == {float}
    assert all(0 <= word.start <= word.end <= 20 and 0 <= word.confidence <= 1 for word in first.words)


def test_speech_is_told_from_other_sounds(engine: FasterWhisper, spoken: np.ndarray) -> None:
    """With detection on, speech reaches the model, and times are those of the recording."""
    sound = np.concatenate([silence(8), spoken[: 10 * RATE]])
    heard = engine.hear(sound, Ask(vad=True, language="ko"), lambda _: None)
    assert heard.segments[0].text == SAID
    assert heard.segments[0].start > 6


@pytest.mark.parametrize("vad", [True, False])
def test_silence_is_not_written_down(engine: FasterWhisper, vad: bool) -> None:
    """The model would say its sentence; it is not asked."""
    assert engine.hear(silence(5), Ask(vad=vad), lambda _: None).segments == ()


def test_a_tone_is_no_speech(engine: FasterWhisper) -> None:
    """It is loud, but nobody speaks."""
    heard = engine.hear(tone(5), Ask(vad=True, language="en"), lambda _: None)
    assert (heard.segments, heard.language, heard.language_confidence) == ((), "en", 0.0)


@pytest.mark.parametrize("samples", [0, 1, 100, 161, 1600])
def test_next_to_nothing_is_no_error(engine: FasterWhisper, samples: int) -> None:
    """Recordings of a few milliseconds."""
    engine.hear(tone(1)[:samples], Ask(vad=False), lambda _: None)


def test_translation_and_a_long_prompt_are_taken(engine: FasterWhisper, spoken: np.ndarray) -> None:
    """A prompt that exceeds the model's room is cut by the engine, not refused."""
    heard = engine.hear(spoken[: 5 * RATE], Ask(vad=False, task="translate", prompt="예산 " * 300), lambda _: None)
    assert heard.segments[0].text == SAID


def test_a_language_that_the_model_does_not_know(engine: FasterWhisper, tmp_path: Path) -> None:
    """An English-only model would quietly take Korean for English."""
    with pytest.raises(InvalidInput, match="'xx'"):
        engine.hear(tone(1), Ask(language="xx"), lambda _: None)
    english = open_engine(str(build(tmp_path / "en", multilingual=False)), "tiny.en", 1)
    with pytest.raises(InvalidInput) as raised:
        english.hear(tone(1), Ask(language="ko"), lambda _: None)
    assert raised.value.code == "unknown_language"


@pytest.mark.parametrize("broken", ["model.bin", "config.json", "tokenizer.json"])
def test_a_model_that_cannot_be_loaded_is_an_outage(tmp_path: Path, broken: str) -> None:
    """Jobs wait for a sound one."""
    folder = build(tmp_path / "broken")
    (folder / broken).write_bytes(b"{garbage")
    with pytest.raises(ModelMissing, match="cannot be loaded") as raised:
        open_engine(str(folder), "broken", 1)
    assert "\n" not in raised.value.message
