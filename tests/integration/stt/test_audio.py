"""Recordings of every kind, good and bad, through the real decoder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("av", reason="the extra `stt` is not installed (./gateway install stt)")

from processors.stt.audio import inspect
from processors.stt.audio_reader import AudioReader
from processors.stt.engine import RATE
from processors.stt.limits import Limits
from schemas.errors import InvalidInput
from tests.recordings import CODECS, silence, tone, write, write_film_without_sound, write_long_wav


def whole(path: Path) -> np.ndarray:
    """Decode a short recording."""
    sound, at_end = AudioReader(str(path), path.name).window(0, 600 * RATE)
    assert at_end
    return sound


def code_of(path: Path, limits: Limits | None = None) -> str:
    """Return the error code that a recording gets, wherever it is found out."""
    with pytest.raises(InvalidInput) as raised:
        _read(path, limits or Limits())
    assert path.name in raised.value.message
    assert raised.value.remedy
    return raised.value.code


def _read(path: Path, limits: Limits) -> None:
    assert inspect(str(path), path.name, limits).seconds > 0
    sound, _ = AudioReader(str(path), path.name).window(0, 600 * RATE)
    assert np.isfinite(sound).all()


@pytest.mark.parametrize("ending", CODECS)
def test_every_format_gives_the_same_sound(tmp_path: Path, ending: str) -> None:
    """One second of a tone, two of silence, one of the tone, as mono at 16 kHz, in its place within 50 ms."""
    sound = np.concatenate([tone(1, rate=44_100), silence(2, rate=44_100), tone(1, rate=44_100)])
    path = write(tmp_path / f"a.{ending}", sound, rate=44_100, layout="stereo", picture=ending == "mp4")
    facts = inspect(str(path), path.name, Limits())
    assert facts.channels == 2
    assert facts.seconds == pytest.approx(4.0, abs=0.1)
    assert facts.warnings == ()
    heard = whole(path)
    assert heard.dtype == np.float32
    assert len(heard) / RATE == pytest.approx(4.0, abs=0.1)
    loud = np.abs(heard) > 0.1
    assert np.flatnonzero(loud)[0] / RATE < 0.05
    assert np.flatnonzero(loud & (np.arange(len(heard)) > 2 * RATE))[0] / RATE == pytest.approx(3.0, abs=0.05)
    assert np.sqrt(np.mean(heard[RATE // 4 : RATE * 3 // 4] ** 2)) == pytest.approx(0.3 / 2**0.5, rel=0.1)


def test_stereo_at_96_khz_is_mixed_and_reduced(tmp_path: Path) -> None:
    """24 bits, two channels."""
    path = write(tmp_path / "a.wav", tone(2, rate=96_000), codec="pcm_s24le", rate=96_000, layout="stereo")
    facts = inspect(str(path), path.name, Limits())
    assert (facts.rate, facts.channels) == (96_000, 2)
    assert len(whole(path)) == pytest.approx(2 * RATE, abs=100)


@pytest.mark.parametrize("ending", CODECS)
def test_reading_from_the_middle_gives_what_reading_on_gives(tmp_path: Path, ending: str) -> None:
    """A child that goes on with another's recording hears the same, in the same place."""
    rng = np.random.default_rng(1)
    sound = tone(20) * np.repeat(rng.random(200), RATE // 10)[: 20 * RATE].astype(np.float32)
    path = write(tmp_path / f"a.{ending}", sound)
    start = 12 * RATE + 345
    reader = AudioReader(str(path), path.name)
    reader.window(0, 5 * RATE)
    on, _ = reader.window(start, 4 * RATE)
    anew, _ = AudioReader(str(path), path.name, start).window(start, 4 * RATE)
    best = max(range(-400, 401, 1), key=lambda shift: float(np.dot(on[1000:33000], anew[1000 + shift : 33000 + shift])))
    assert abs(best) <= RATE // 20  # webm's time stamps are whole milliseconds, mp3's frames 26 ms
    lined_up = anew[1000 + best : 33000 + best]
    assert np.corrcoef(on[1000:33000], lined_up)[0, 1] > 0.99


def test_windows_follow_one_another_without_loss(tmp_path: Path) -> None:
    """Windows that overlap or not: the same samples as in one piece."""
    path = write(tmp_path / "a.flac", tone(9))
    all_of_it = whole(path)
    reader = AudioReader(str(path), path.name)
    for start in (0, 2 * RATE, 2 * RATE + 77, 5 * RATE):
        sound, at_end = reader.window(start, 2 * RATE)
        assert not at_end
        assert np.array_equal(sound, all_of_it[start : start + 2 * RATE])
    rest, at_end = reader.window(8 * RATE, 2 * RATE)
    assert at_end
    assert np.array_equal(rest, all_of_it[8 * RATE :])


def test_a_rest_of_under_a_second_goes_with_the_window_before(tmp_path: Path) -> None:
    """No window of a few samples, which no model can make sense of."""
    path = write(tmp_path / "a.wav", tone(2.5))
    sound, at_end = AudioReader(str(path), "a.wav").window(0, 2 * RATE)
    assert at_end
    assert len(sound) == round(2.5 * RATE)


def test_a_film_keeps_the_times_of_its_picture(tmp_path: Path) -> None:
    """Sound that begins later than the film leaves its place empty: subtitles fit."""
    path = write(tmp_path / "a.mp4", tone(2), picture=True, delay_s=1.5)
    assert inspect(str(path), "a.mp4", Limits()).seconds == pytest.approx(3.5, abs=0.1)
    assert np.flatnonzero(np.abs(whole(path)) > 0.1)[0] / RATE == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.wav", b"", "audio_empty"),
        ("text.mp3", b"This is no recording at all.\n" * 100, "audio_damaged"),
        ("noise.m4a", bytes(range(256)) * 64, "audio_damaged"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n", "audio_damaged"),
        ("list.wav", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "audio_damaged"),
        ("picture.webm", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "audio_damaged"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    """Playlists too: FFmpeg would open what they name."""
    path = tmp_path / name
    path.write_bytes(content)
    assert code_of(path) == code


def test_a_film_without_sound(tmp_path: Path) -> None:
    """There is a track, but none that can be heard."""
    assert code_of(write_film_without_sound(tmp_path / "film.mp4")) == "no_audio"


def test_zero_seconds(tmp_path: Path) -> None:
    """A header and nothing after it."""
    assert code_of(write_long_wav(tmp_path / "zero.wav", tone(1), 0)) == "audio_empty"


def test_ten_hours_by_its_length(tmp_path: Path) -> None:
    """Found out from packets, before anything is decoded; here the limit is low, to keep the file small."""
    path = write_long_wav(tmp_path / "long.wav", tone(1), 70)
    assert code_of(path, Limits(max_seconds=60)) == "audio_too_long"


def test_ten_hours_by_its_header(tmp_path: Path) -> None:
    """A header that claims eleven hours over nearly nothing."""
    path = write(tmp_path / "claims.flac", tone(1))
    raw = bytearray(path.read_bytes())
    samples = 11 * 3600 * RATE
    raw[21] = raw[21] & 0xF0 | samples >> 32
    raw[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(bytes(raw))
    with pytest.raises(InvalidInput, match=r"11\.0 hours") as raised:
        inspect(str(path), path.name, Limits())
    assert raised.value.code == "audio_too_long"


def test_a_cut_off_mp3_gives_what_is_there(tmp_path: Path) -> None:
    """And says that its header promised more."""
    path = write(tmp_path / "a.mp3", tone(60))
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 3])
    facts = inspect(str(path), "a.mp3", Limits())
    assert facts.seconds == pytest.approx(20, abs=1)
    assert "cut off" in facts.warnings[0]
    assert len(whole(path)) / RATE == pytest.approx(20, abs=1)


def test_an_m4a_that_lost_its_index_cannot_be_read(tmp_path: Path) -> None:
    """The index is at the end of the file: without it nothing can be found."""
    path = write(tmp_path / "a.m4a", tone(20))
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert code_of(path) == "audio_damaged"


def test_damage_in_the_middle_costs_what_is_damaged(tmp_path: Path) -> None:
    """The rest keeps its place in time."""
    path = write(tmp_path / "a.flac", np.concatenate([tone(5), silence(5), tone(5)]))
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 4
    raw[middle : middle + 3000] = b"\xaa" * 3000
    path.write_bytes(bytes(raw))
    sound = whole(path)
    assert len(sound) / RATE == pytest.approx(15, abs=0.5)
    loud = np.flatnonzero(np.abs(sound[8 * RATE :]) > 0.1)[0] + 8 * RATE
    assert loud / RATE == pytest.approx(10, abs=0.2)


def test_titles_in_another_encoding_do_not_matter(tmp_path: Path) -> None:
    """An mp3 whose tag is in CP949, as many in Korea are."""
    tag = "제목".encode("cp949")
    frame = b"TIT2" + (len(tag) + 1).to_bytes(4, "big") + b"\x00\x00\x03" + tag
    header = b"ID3\x03\x00\x00" + bytes([0, 0, len(frame) >> 7, len(frame) & 0x7F])
    path = write(tmp_path / "a.mp3", tone(2))
    path.write_bytes(header + frame + path.read_bytes()[45:])
    assert inspect(str(path), "a.mp3", Limits()).seconds == pytest.approx(2, abs=0.2)


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A sound recording of each format."""
    folder = tmp_path_factory.mktemp("sound")
    return {ending: write(folder / f"a.{ending}", tone(2)).read_bytes() for ending in CODECS}


@given(
    ending=st.sampled_from(sorted(CODECS)),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=30),
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_damaged_is_read_or_refused(
    tmp_path: Path, sound_files: dict[str, bytes], ending: str, keep: float, changes: list[tuple[float, int]]
) -> None:
    """Cut anywhere, changed anywhere: sound comes out or an error that says what is wrong, and nothing else."""
    raw = bytearray(sound_files[ending])
    for place, value in changes:
        raw[int(place * len(raw))] = value
    path = tmp_path / f"damaged.{ending}"
    path.write_bytes(bytes(raw[: round(keep * len(raw))]))
    outcome = ""
    try:
        _read(path, Limits())
    except InvalidInput as error:
        outcome = error.code
    assert outcome in ("", "audio_damaged", "audio_empty", "audio_too_long", "no_audio")


def test_sound_that_cannot_be_decoded_at_all(tmp_path: Path) -> None:
    """The container is whole, its content is not."""
    path = write(tmp_path / "a.webm", tone(3))
    reference = path.read_bytes()
    raw = bytearray(reference)
    start = raw.index(b"\x1f\x43\xb6\x75") + 12  # from the first cluster on
    for place in range(start, len(raw)):
        raw[place] ^= 0x5A
    path.write_bytes(bytes(raw))
    assert code_of(path) in ("audio_damaged", "audio_empty")
