"""Decoding a recording piece by piece, to mono at 16 kHz, never holding more than one window of it."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet

from processors.stt.audio import damaged, opened, origin_s
from processors.stt.engine import RATE, Samples

_FULL_SCALE = np.float32(32768)

_PREROLL_S = 1.0
"""Decoders need what comes before (mp3 up to 0.25 s, opus 0.08 s) to give the right sound at a place."""

_GAP = RATE // 10
"""Time stamps may be off by this much before they mean a gap (packets lost, a pause in the recording)."""

_BLOCK = 10 * RATE
"""Silence for gaps is made in blocks of this length, so that a long one costs no memory."""

_LOOKAHEAD = RATE
"""A rest of under a second is no window of its own: it goes with the one before."""


class AudioReader:
    """Reads a recording from `start` (samples of the output) onwards; what is behind is forgotten.

    Starting late passes packets by without decoding them, and does not trust the file's own index:
    seeking in an mp3 of variable bit rate misses by seconds.
    """

    def __init__(self, path: str, name: str, start: int = 0) -> None:
        self._name = name
        self._start = start
        self._held: deque[Samples] = deque()
        self._held_samples = 0
        self._ended = False
        self.bad_packets = 0
        self._blocks = self._decoded(path, start)

    @property
    def start(self) -> int:
        """Where the sound begins that is still held."""
        return self._start

    def window(self, start: int, samples: int) -> tuple[Samples, bool]:
        """Return up to `samples` (and at the end a second more) from `start`, and whether the recording ends there.

        Raises InvalidInput `audio_damaged` when nothing at all can be decoded, and ValueError when
        `start` lies behind.
        """
        self._forget_before(start)
        while not self._ended and self._held_samples < samples + _LOOKAHEAD:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            else:
                self._held.append(block)
                self._held_samples += len(block)
                self._forget_before(start)
        audio = np.concatenate(self._held) if self._held else np.zeros(0, np.float32)
        self._held = deque([audio])
        if self._ended and len(audio) < samples + _LOOKAHEAD:
            return audio, True
        return audio[:samples], False

    def close(self) -> None:
        """Let go of the file and of what is held."""
        self._blocks.close()
        self._held.clear()
        self._held_samples = 0
        self._ended = True

    def _forget_before(self, start: int) -> None:
        if start < self._start:
            raise ValueError(f"sample {start} is gone; the reader stands at {self._start}")
        while self._held and start > self._start:
            block = self._held.popleft()
            rest = block[start - self._start :]
            self._start += len(block) - len(rest)
            self._held_samples -= len(block) - len(rest)
            if len(rest):
                self._held.appendleft(rest)

    def _decoded(self, path: str, start: int) -> Generator[Samples]:
        """Yield the recording's sound from `start` on, without gaps."""
        with ExitStack() as stack:
            container, stream = stack.enter_context(opened(path, self._name))
            origin = origin_s(container, stream)
            skip_until = start / RATE - _PREROLL_S + origin
            timeline = _Timeline(start)
            resampler = _Resampler()
            frames = self._frames(_packets(container.demux(stream), skip_until))
            for at, frame in _gathered((_place(frame, origin), frame) for frame in frames):
                for block in resampler.feed(frame):
                    yield from timeline.fill(at, block)
                    at = None
            for block in resampler.flush():
                yield from timeline.fill(None, block)
            self.bad_packets += resampler.refused
            if start == 0 and not timeline.heard:
                raise damaged(self._name, "none of its sound can be decoded")

    def _frames(self, packets: Iterator["Packet[AudioStream]"]) -> Iterator[AudioFrame]:
        for packet in packets:
            try:
                frames = packet.decode()
            except FFmpegError:
                self.bad_packets += 1
                continue
            yield from (frame for frame in frames if frame.samples)


def _packets(packets: Iterator["Packet[AudioStream]"], skip_until_s: float) -> Iterator["Packet[AudioStream]"]:
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return  # the container is cut off or damaged here: what came before it counts
        if packet is None:
            return
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            if end < skip_until_s:
                continue
        yield packet


def _place(frame: AudioFrame, origin: float) -> int | None:
    """Return where a frame's sound belongs, in samples of the output, if the frame says so."""
    if frame.pts is None or frame.time_base is None:
        return None
    at = round((float(frame.pts * frame.time_base) - origin) * RATE)
    return 0 if abs(at) <= _GAP else at


def _gathered(placed: Iterator[tuple[int | None, AudioFrame]]) -> Iterator[tuple[int | None, AudioFrame]]:
    """Join frames that follow one another to ones of about a second: four times faster than one by one."""
    fifo = AudioFifo()
    group_at: int | None = None
    form: _Form | None = None
    expected: int | None = None
    for at, frame in placed:
        gap = at is not None and expected is not None and at - expected > _GAP
        if fifo.samples and (gap or _form(frame) != form or fifo.samples >= frame.sample_rate):
            yield group_at, _all_of(fifo)
        if not fifo.samples:
            fifo, group_at, form = AudioFifo(), at, _form(frame)
        expected = None if at is None else at + frame.samples * RATE // frame.sample_rate
        frame.pts = None  # places are kept here: queue and resampler have rules of their own for gaps
        fifo.write(frame)
    if fifo.samples:
        yield group_at, _all_of(fifo)


def _all_of(fifo: AudioFifo) -> AudioFrame:
    frame = fifo.read()
    if frame is None:
        raise ValueError("the queue is empty")
    return frame


_Form = tuple[str, str, int]


def _form(frame: AudioFrame) -> _Form:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _Timeline:
    """Puts decoded blocks where their time stamps say, and gives what lies from `start` on."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._next: int | None = None

    @property
    def heard(self) -> bool:
        """Whether there was any sound at all."""
        return self._next is not None

    def fill(self, at: int | None, block: Samples) -> Iterator[Samples]:
        """Yield the block, and silence before it where time passed without sound."""
        if self._next is None:
            self._next = 0 if at is None else min(at, self._start)
        if at is not None and at - self._next > _GAP:
            while self._next < at:
                yield from self._from_start(np.zeros(min(at - self._next, _BLOCK), np.float32))
        yield from self._from_start(block)

    def _from_start(self, block: Samples) -> Iterator[Samples]:
        begin = self._next or 0
        self._next = begin + len(block)
        if self._next > self._start:
            yield block[max(0, self._start - begin) :]


class _Resampler:
    """FFmpeg's resampler, made anew when the sound's form changes in mid-stream (it refuses such frames)."""

    def __init__(self) -> None:
        self._inner: AudioResampler | None = None
        self._form: _Form | None = None
        self.refused = 0

    def feed(self, frame: AudioFrame) -> Iterator[Samples]:
        """Yield the frame's sound, as far as it comes out at once."""
        if (form := _form(frame)) != self._form:
            yield from self.flush()
            # Whole numbers: for floating point, FFmpeg mixes two channels to one 3 dB too loud.
            self._inner = AudioResampler(format="s16", layout="mono", rate=RATE)
            self._form = form
        yield from self._resampled(frame)

    def flush(self) -> Iterator[Samples]:
        """Yield what is still inside."""
        yield from self._resampled(None)
        self._inner = None

    def _resampled(self, frame: AudioFrame | None) -> list[Samples]:
        if self._inner is None:
            return []
        try:
            return [np.asarray(out.to_ndarray()[0], np.float32) / _FULL_SCALE for out in self._inner.resample(frame)]
        except FFmpegError:  # a form that damage made up
            self._inner = self._form = None
            self.refused += 1
            return []
