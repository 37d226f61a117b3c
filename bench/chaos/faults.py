"""The faults. Each is injected, lasts, and is over when its function returns; then the recovery is timed."""

import asyncio
import errno
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.driver import LETTER_WISH, PLAIN, SPEECH_WISH, Wish
from bench.chaos.records import poison, repeat_records
from bench.chaos.system import System
from cli.stack.services import PROCESS_KINDS

# Beyond the session time-outs: 6 s for processors, 10 s for Faust.
_FROZEN_S = {"ingress": 6.0, "ocr": 9.0, "stt": 9.0, "llm": 9.0, "probe-1": 9.0}
_FROZEN_FAUST_S = 14.0
_BROKER_PAUSED_S = 9.0
_REDIS_PAUSED_S = 5.0
_BLOBS_AWAY_S = 6.0
_SKEWED_S = 10.0
_HOUR_S = 3600
_START_S = 60.0
_JOINING = 3
_WISHES = {"ocr": LETTER_WISH, "llm": LETTER_WISH, "stt": SPEECH_WISH}

_LACKING = {"stt": "the extra stt is not installed (./gateway install stt)"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault. `probe` is the job whose end after it counts as recovery; `absent` tells why it cannot be had."""

    name: str
    inject: Callable[[System], Awaitable[None]]
    probe: Wish = PLAIN
    absent: Callable[[System], str] = lambda _: ""


def all_faults() -> dict[str, Fault]:
    """Return every fault by name."""
    faults: list[Fault] = []
    for name in [kind.name for kind in PROCESS_KINDS] + ["probe-1"]:
        wish = _WISHES.get(name, PLAIN)
        absent = _is_there(name)
        faults.append(Fault(f"kill-{name}", _signal(name, signal.SIGKILL), wish, absent))
        faults.append(Fault(f"stop-{name}", _freeze(name, _FROZEN_S.get(name, _FROZEN_FAUST_S)), wish, absent))
    faults += [
        Fault("restart-kafka", _signal("kafka", signal.SIGTERM)),
        Fault("kill-kafka", _signal("kafka", signal.SIGKILL)),
        Fault("pause-kafka", _freeze("kafka", _BROKER_PAUSED_S)),
        Fault("restart-redis", _signal("redis", signal.SIGTERM)),
        Fault("kill-redis", _signal("redis", signal.SIGKILL)),
        Fault("pause-redis", _freeze("redis", _REDIS_PAUSED_S)),
        Fault("flush-redis", _flush),
        Fault("blobs-away", _blobs_away, LETTER_WISH),
        Fault("disk-full", _disk_full, LETTER_WISH, _has_volume),
        Fault("poison", _poison),
        Fault("repeat", repeat_records),
        Fault("join-recovery", _join_recovery, absent=_is_there("job-state")),
        Fault("clock-ahead", _clock(_HOUR_S)),
        Fault("clock-behind", _clock(-_HOUR_S)),
        Fault("handler-hangs", _nothing, Wish(options={"fault": "hang"}, status="failed", code="work_timed_out")),
        Fault("handler-crashes", _nothing, Wish(options={"fault": "crash"}, status="failed", code="worker_crashed")),
        Fault("handler-eats", _nothing, Wish(options={"fault": "memory"}, status="failed", code="work_out_of_memory")),
        Fault("handler-kills", _nothing, Wish(options={"fault": "die"}, status="failed", code="worker_lost")),
    ]
    return {fault.name: fault for fault in faults}


def _signal(kind: str, number: int) -> Callable[[System], Awaitable[None]]:
    async def inject(system: System) -> None:
        system.signal(system.one_of(kind), number)

    return inject


def _freeze(kind: str, seconds: float) -> Callable[[System], Awaitable[None]]:
    async def inject(system: System) -> None:
        name = system.one_of(kind)
        system.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            system.signal(name, signal.SIGCONT)

    return inject


def _is_there(name: str) -> Callable[[System], str]:
    def absent(system: System) -> str:
        if name in system.without:
            return _LACKING.get(name, f"{name} has nothing to serve with here")
        return "" if name in system.pids() else f"{name} does not run"

    return absent


def _has_volume(system: System) -> str:
    return "" if system.volume is not None else "a volume to fill has to be mounted, which needs root"


async def _nothing(_system: System) -> None:
    """The fault is the job itself."""


async def _flush(system: System) -> None:
    await system.redis.flushall()


async def _blobs_away(system: System) -> None:
    away = system.blobs.rename(system.blobs.with_name("away"))
    try:
        await asyncio.sleep(_BLOBS_AWAY_S)
    finally:
        away.rename(system.blobs)


async def _disk_full(system: System) -> None:
    assert system.volume is not None
    ballast = system.volume / "ballast"
    try:
        await asyncio.to_thread(_fill, ballast)
        await asyncio.sleep(_BLOBS_AWAY_S)
    finally:
        ballast.unlink(missing_ok=True)


def _fill(path: Path) -> None:
    chunk = bytes(1024 * 1024)
    with path.open("wb", buffering=0) as file:
        for size in (len(chunk), 4096):
            try:
                while True:
                    file.write(chunk[:size])
            except OSError as e:
                if e.errno != errno.ENOSPC:
                    raise


async def _poison(system: System) -> None:
    await poison(system)


async def _join_recovery(system: System) -> None:
    """Kill the job-state worker and let two more join while its partitions are recovered; then one again."""
    system.signal("job-state", signal.SIGKILL)
    await asyncio.to_thread(system.scale, "job-state", _JOINING)
    await system.until_ready(_START_S)
    await asyncio.to_thread(system.scale, "job-state", 1)


def _clock(seconds: int) -> Callable[[System], Awaitable[None]]:
    async def inject(system: System) -> None:
        probe = system.probes[0]
        system.resting.add(probe.name)
        try:
            await asyncio.to_thread(probe.stop)
            probe.start(PROBE_CLOCK_S=str(seconds))
            until = asyncio.get_running_loop().time() + _START_S
            while not await asyncio.to_thread(probe.is_ready) and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.2)
            await asyncio.sleep(_SKEWED_S)
            await asyncio.to_thread(probe.stop)
        finally:
            system.resting.discard(probe.name)

    return inject
