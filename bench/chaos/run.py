"""One chaos run: a stack of its own, the driver, the faults in their turns, and the check."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.chaos import chat
from bench.chaos.chat import ChatDriver
from bench.chaos.chat_check import ChatVerdict, Death, check_calls
from bench.chaos.checker import Verdict, check
from bench.chaos.driver import LETTER_WISH, MODEL_WISH, SPEECH_WISH, Driver
from bench.chaos.faults import Fault, all_faults
from bench.chaos.front import open_front
from bench.chaos.journal import Journal, Planned, read_account
from bench.chaos.memory import MemoryLog
from bench.chaos.model_jobs import JobTokens, check_jobs
from bench.chaos.schedule import turns
from bench.chaos.speech import make_model
from bench.chaos.system import System, blob_folder, make_keys, open_doors, open_system
from bench.chaos.table import Injection, Row, as_json, as_text, rows
from bench.probe.stack import probe_stack
from tests.sim.launch import Simulator, simulator

SERVICES = ("chaos-a", "chaos-b", "chaos-c")

_RECOVERY_S = 180.0
_STEADY_S = 90.0
_NOTICE_S = 1.0
_REPLICAS = 2
_DRAIN_S = 240.0
_ASKING = ("ingress", "llm")
"""The processes that ask a model server."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. No `faults`: all. A call without an end is closed after `orphan_s` (elsewhere ten minutes)."""

    minutes: float = 5.0
    seed: int = 1
    faults: tuple[str, ...] = ()
    jobs_per_s: float = 8.0
    letter_every_s: float = 20.0
    speech_every_s: float = 20.0
    model_job_every_s: float = 1.0
    calls_per_s: float = 3.0
    orphan_s: int = 45


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave."""

    options: Options
    table: list[Row]
    verdict: Verdict
    calls: ChatVerdict
    model_jobs: JobTokens
    memory: dict[str, dict[str, float]]
    trouble: list[str]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept and everything recovered."""
        return (
            self.verdict.kept
            and self.calls.kept
            and self.model_jobs.kept
            and not self.trouble
            and all(None not in row.recovery_s + row.ready_s for row in self.table)
        )

    def as_json(self) -> dict[str, Any]:
        """Return the outcome for scripts."""
        return {
            "kept": self.kept,
            "options": asdict(self.options),
            "jobs": self.verdict.jobs,
            "lost": len(self.verdict.lost),
            "doubled": len(self.verdict.doubled),
            "cancelled": self.verdict.cancelled,
            "too_late_to_cancel": self.verdict.too_late_to_cancel,
            "through_the_batch_door": self.verdict.bulk,
            "never_submitted": len(self.verdict.ghosts),
            "usage_differences": self.verdict.usage,
            "readings_differ": self.verdict.readings_differ,
            "results_repeated_on_the_log": self.verdict.repeats,
            "faults": as_json(self.table),
            "chat": self.calls.as_json(),
            "model_jobs": self.model_jobs.as_json(),
            "memory": self.memory,
            "wrong": self._wrong(),
        }

    def as_text(self) -> str:
        """Return the outcome for people."""
        v = self.verdict
        lines = [as_text(self.table), ""]
        lines.append(
            f"{v.jobs} jobs acknowledged ({v.bulk} through the batch door, {v.cancelled} cancelled, "
            f"{v.too_late_to_cancel} of them too late): {len(v.lost)} lost, {len(v.doubled)} doubled, "
            f"{len(v.ghosts)} never submitted; usage {'differs' if v.usage else 'equals the driver’s count'}; "
            f"a second reading is {'different' if v.readings_differ else 'identical'}; "
            f"{v.repeats} results stand repeatedly on the log."
        )
        lines += [self.calls.as_text(), self.model_jobs.as_text()]
        lines += ["", "memory (longest-lived process of each name, after its first 30 s)"]
        lines += [
            f"  {name:<12} {m['mib']:>7.1f} MiB  {m['mib_per_min']:>+7.2f} MiB/min over {m['minutes']:g} min"
            for name, m in self.memory.items()
        ]
        lines += ["", *self._wrong()]
        lines.append("Every promise was kept." if self.kept else "BROKEN: see above.")
        return "\n".join(lines)

    def _wrong(self) -> list[str]:
        said = self.verdict.sentences() + self.calls.sentences() + self.model_jobs.sentences()
        return said + self.trouble


def run_chaos(options: Options) -> Outcome:
    """Run and check. Raises KeyError for a fault that does not exist."""
    faults = all_faults()
    chosen = {name: faults[name] for name in options.faults} if options.faults else faults
    with (
        tempfile.TemporaryDirectory(prefix="gateway-chaos-model-") as folder,
        blob_folder() as (blobs, volume),
        simulator(**chat.PACE, seed=options.seed) as server,
    ):
        env = {
            "GATEWAY_BLOB_URL": f"file:{blobs}",
            "GATEWAY_OLLAMA_URLS": server.url,
            "GATEWAY_UPSTREAM_SLOTS": "32",
            "GATEWAY_ORPHAN_SECONDS": str(options.orphan_s),
        }
        if options.speech_every_s and (model := make_model(Path(folder))) is not None:
            env["GATEWAY_STT_MODEL"] = str(model)
        with probe_stack("--scale", f"llm={_REPLICAS}", env=env) as stack:

            async def go() -> Outcome:
                async with open_system(stack, blobs, volume, options.seed) as system:
                    return await _run(system, server, options, chosen)

            return asyncio.run(go())


async def _run(system: System, server: Simulator, options: Options, chosen: dict[str, Fault]) -> Outcome:
    memory, stop, trouble = MemoryLog(), asyncio.Event(), list[str]()
    journal_path = Path(tempfile.mkdtemp(prefix="gateway-chaos-")) / "journal.jsonl"
    async with AsyncExitStack() as opened:
        keys = await make_keys(system, [*SERVICES, chat.SERVICE])
        caller_key = keys.pop(chat.SERVICE)
        http = await opened.enter_async_context(open_front(system.urls))
        journal = opened.enter_context(Journal(journal_path))
        trouble += [f"{name} never became ready" for name in await system.settle(_STEADY_S)]
        doors = await opened.enter_async_context(open_doors(system, SERVICES))
        driver = Driver(http, keys, journal, options.seed, doors)
        callers = ChatDriver(http, caller_key, options.seed)
        absent = {name: why for name, fault in chosen.items() if (why := fault.absent(system))}
        watching = asyncio.create_task(memory.watch(system.pids))
        rare = [(LETTER_WISH, options.letter_every_s), (MODEL_WISH, options.model_job_every_s)]
        if "stt" not in system.without:
            rare.append((SPEECH_WISH, options.speech_every_s))
        pumping = asyncio.create_task(driver.pump(options.jobs_per_s, [r for r in rare if r[1]], stop))
        calling = asyncio.create_task(callers.pump(options.calls_per_s, stop))
        injections = await _inject(system, driver, options, [f for n, f in chosen.items() if n not in absent])
        stop.set()
        _say(f"{journal.acknowledged} jobs acknowledged (journal: {journal_path}); waiting for the last ones")
        await asyncio.gather(pumping, calling)
        trouble += [f"{name} is not ready at the end" for name in await system.until_ready(_STEADY_S)]
        account = read_account(journal_path)
        await _drain(driver, [account.planned[job_id] for job_id in account.acknowledged])
        watching.cancel()

        async def look(job: Planned) -> dict[str, Any] | None:
            for _ in range(20):
                if (shown := await driver.look(job.job_id, job.service)) is not None:
                    return shown
                await asyncio.sleep(0.5)
            return None

        _say("checking: the topics twice from offset 0, and REST")
        verdict = await check(system.stack.bootstrap, account, look)
        _say("checking: every call against what the model server sent, and `usage verify`")
        counts = await server.counts(each=True)
        killed = {name: [Death(i.began, i.ended) for i in injections if i.fault == f"kill-{name}"] for name in _ASKING}
        model_jobs = await check_jobs(system.stack.bootstrap, account, counts["calls"], killed["llm"])
        called = [call for call in counts["calls"] if call["tag"] not in account.planned]
        calls = await check_calls(system.stack, called, callers.ends, killed["ingress"], 4 * options.orphan_s)
    trouble += [f"refused: {what}" for what in driver.refused[:5]]
    if driver.given_up:
        trouble.append(f"{driver.given_up} submissions were given up: the door stayed shut")
    table = rows(injections, account, verdict, absent, chosen)
    return Outcome(options, table, verdict, calls, model_jobs, memory.slopes(), trouble)


async def _inject(system: System, driver: Driver, options: Options, faults: Sequence[Fault]) -> list[Injection]:
    by_name = {fault.name: fault for fault in faults}
    until = time.monotonic() + options.minutes * 60
    done: list[Injection] = []
    for turn in turns(list(by_name), options.seed):
        await asyncio.sleep(turn.pause_s)
        if time.monotonic() >= until:
            break
        done.append(await _one(system, driver, by_name[turn.fault]))
    if not faults:
        await asyncio.sleep(options.minutes * 60)
    return done


async def _one(system: System, driver: Driver, fault: Fault) -> Injection:
    began = time.time()
    _say(f"{fault.name} …")
    await fault.inject(system)
    over = time.monotonic()
    job_id, service = await driver.submit(fault.probe)
    ended = await driver.end_of(job_id, service, _RECOVERY_S)
    recovery = None if ended is None else round(time.monotonic() - over, 1)
    _say(f"{fault.name}: {'NOT recovered' if recovery is None else f'recovered after {recovery} s'}")
    # The supervisor notices a death at once, and a silence after some polls.
    await asyncio.sleep(_NOTICE_S)
    # The next fault meets a system that stands.
    ready = None if await system.until_ready(_STEADY_S) else round(time.monotonic() - over, 1)
    return Injection(fault.name, began, time.time(), recovery, ready)


async def _drain(driver: Driver, jobs: list[Planned]) -> None:
    """Wait for the end of every acknowledged job, as long as is bearable; the check tells what is missing."""
    places, until = asyncio.Semaphore(32), time.monotonic() + _DRAIN_S

    async def one(job: Planned) -> None:
        async with places:
            await driver.end_of(job.job_id, job.service, max(0.0, until - time.monotonic()))

    await asyncio.gather(*map(one, jobs))


def _say(what: str) -> None:
    print(f"  {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
