"""Opening a recording with FFmpeg's libraries: which formats, which track, how long. Nothing is decoded here.

Runs in child processes only: a file that somebody sent is never parsed where the gateway's own state is.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from processors.stt.limits import Limits
from schemas.errors import InvalidInput

_OPTIONS = {
    # Playlists and the like are formats to FFmpeg too, and make it open other files and addresses.
    "format_whitelist": "wav,mp3,mov,mp4,m4a,3gp,3g2,mj2,ogg,flac,matroska,webm,aac",
    "protocol_whitelist": "file",
}
_SEND = "send wav, mp3, m4a, ogg, flac, webm or mp4"

_SHORT_BY_S = 2.0
_SHORT_BY_SHARE = 0.02
"""How much shorter than its header says a recording must be to be called cut off: some headers estimate."""


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """What is known of a recording before it is decoded."""

    seconds: float
    codec: str
    rate: int
    channels: int
    warnings: tuple[str, ...] = ()


@contextmanager
def opened(path: str, name: str) -> Generator[tuple[InputContainer, AudioStream]]:
    """Open a file and find its sound.

    Raises InvalidInput: `audio_empty` for a file without content, `audio_damaged` when it cannot be
    read as any of the formats, `no_audio` when it holds no track of sound.
    """
    if Path(path).stat().st_size == 0:
        raise InvalidInput(f"{name} is empty (0 bytes)", code="audio_empty", remedy=_SEND)
    try:
        # Titles in CP949 are common in Korean mp3 files, and nobody reads them here.
        container = av.open(path, options=dict(_OPTIONS), metadata_errors="replace")
    except FFmpegError as error:
        raise damaged(name, "it cannot be read as a recording") from error
    with container:
        if not container.streams.audio:
            raise InvalidInput(
                f"{name} ({container.format.name}) holds no sound", code="no_audio", remedy="send a file with sound"
            )
        stream = container.streams.audio[0]
        if cast("object | None", stream.codec_context) is None:
            raise damaged(name, "its sound is in a codec that is not known here")
        yield container, stream


def damaged(name: str, problem: str) -> InvalidInput:
    """Return the error for a recording that cannot be decoded."""
    return InvalidInput(f"{name}: {problem}", code="audio_damaged", remedy=f"{_SEND}, exported again if need be")


def origin_s(container: InputContainer, stream: AudioStream) -> float:
    """Return the time stamp of the recording's beginning: the container's, so that subtitles fit a film's picture."""
    started = cast("int | None", container.start_time)  # wav files have none, whatever the types say
    if started is not None:
        return started / av.time_base
    if stream.start_time is not None and stream.time_base is not None:
        return float(stream.start_time * stream.time_base)
    return 0.0


def inspect(path: str, name: str, limits: Limits) -> AudioFacts:
    """Find out how long a recording is, from its packets rather than from what its header claims.

    Raises InvalidInput as `opened` does, `audio_empty` for one without sound in its track, and
    `audio_too_long` for one that is, or says it is, over the limit.
    """
    with opened(path, name) as (container, stream):
        claimed = (container.duration or 0) / av.time_base
        _check_length(claimed, name, limits)
        seconds = _measured(container, stream, name, limits)
        if seconds <= 0:
            raise InvalidInput(f"{name} has a track of sound of 0 seconds", code="audio_empty", remedy=_SEND)
        codec = stream.codec_context
        warnings: tuple[str, ...] = ()
        if claimed - seconds > max(_SHORT_BY_S, _SHORT_BY_SHARE * claimed):
            warnings = (f"cut off: the file's header says {claimed:.1f} s, its sound ends after {seconds:.1f} s",)
        return AudioFacts(seconds, codec.name, codec.rate or 0, codec.layout.nb_channels, warnings)


def _measured(container: InputContainer, stream: AudioStream, name: str, limits: Limits) -> float:
    """Return where the last packet ends. Packets are only passed by: an hour of mp3 takes 0.1 s."""
    origin = origin_s(container, stream)
    seconds = 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.size:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin
                if end > seconds:
                    seconds = end
                    _check_length(seconds, name, limits)
    except FFmpegError:
        return seconds  # what lies before the damage counts; without anything it is an empty one
    return seconds


def _check_length(seconds: float, name: str, limits: Limits) -> None:
    if seconds > limits.max_seconds:
        raise InvalidInput(
            f"{name} is {seconds / 3600:.1f} hours long; at most {limits.max_seconds / 3600:g} are taken",
            code="audio_too_long",
            remedy="cut the recording into shorter ones",
        )
