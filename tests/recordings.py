"""Recordings for tests: speech from espeak-ng, and every format through PyAV."""

import subprocess
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Sound = npt.NDArray[np.float32]

CODECS = {
    "wav": "pcm_s16le",
    "mp3": "libmp3lame",
    "m4a": "aac",
    "ogg": "libopus",
    "flac": "flac",
    "webm": "libopus",
    "mp4": "aac",
}
"""The formats that the stage takes, by ending, and the codec that these tests use in each."""


def speech(text: str, *, voice: str = "ko") -> Sound:
    """Return a sentence as espeak-ng says it: mono at 16 kHz."""
    said = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True).stdout
    head = said.index(b"data") + 8
    rate = int.from_bytes(said[24:28], "little")
    samples = np.frombuffer(said[head : head + (len(said) - head) // 2 * 2], np.int16).astype(np.float32) / 32768
    wanted = np.arange(0, len(samples), rate / 16_000)
    return np.interp(wanted, np.arange(len(samples)), samples).astype(np.float32)


def tone(seconds: float, *, rate: int = 16_000, hertz: float = 440.0) -> Sound:
    """Return a steady tone."""
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def silence(seconds: float, *, rate: int = 16_000) -> Sound:
    """Return nothing, for a while."""
    return np.zeros(round(seconds * rate), np.float32)


def write(
    path: Path,
    sound: Sound,
    *,
    codec: str = "",
    rate: int = 16_000,
    layout: str = "mono",
    picture: bool = False,
    delay_s: float = 0.0,
) -> Path:
    """Write a recording in the format that the path's ending says.

    `picture` adds a track of film from 0 s on, against which the sound may be late.
    """
    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4", rate=10) if picture else None
        if film is not None:
            film.width = film.height = 32
            film.pix_fmt = "yuv420p"
        stream = container.add_stream(
            codec or CODECS[path.suffix[1:]], rate=48_000 if _is_opus(path, codec) else rate, layout=layout
        )
        if film is not None:
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            for number in range(10):
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(film.encode(frame))
            container.mux(film.encode(None))
        channels = stream.codec_context.layout.nb_channels
        resampler = av.AudioResampler(stream.format, layout, stream.rate, frame_size=stream.frame_size or 4096)
        block = rate * 10
        for begin in range(0, len(sound), block):
            piece = np.ascontiguousarray(np.tile(sound[begin : begin + block], (channels, 1)))
            given = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            given.sample_rate, given.pts, given.time_base = rate, begin + round(delay_s * rate), Fraction(1, rate)
            for ready in resampler.resample(given):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None) if len(sound) else []:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path


def write_film_without_sound(path: Path) -> Path:
    """Write a film whose only track is its picture."""
    with av.open(str(path), "w") as container:
        film = container.add_stream("mpeg4", rate=10)
        film.width = film.height = 32
        film.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for number in range(10):
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
    return path


def write_long_wav(path: Path, sound: Sound, repeats: int, *, rate: int = 16_000) -> Path:
    """Write a sound over and over without holding it all."""
    block = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for _ in range(repeats):
            file.writeframesraw(block)
    return path


def _is_opus(path: Path, codec: str) -> bool:
    return (codec or CODECS[path.suffix[1:]]) == "libopus"
