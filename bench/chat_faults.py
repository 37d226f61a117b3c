"""`./gateway bench chat --faults`: model servers that die or hang, callers who leave, a bulk backlog, one server more.

One stack over three simulated Ollamas. Each trial states what it holds the gateway to; the simulators' own count of
tokens that they sent is what the ledger is compared with.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import aiohttp
import orjson

from bench.chat_load import PATH, Way, until_served
from bench.report import Report, percentile
from bench.stack import BenchStack, bench_stack
from schemas import topics
from schemas.codec import Codec
from schemas.events import JobEvent, JobEventKind, JobRef, Lane, StageRequest, Step, UsageEvent
from schemas.ids import event_id, new_job_id
from schemas.payloads import text_payload
from schemas.pipelines import request_event_id
from streams.log.kafka_publisher import KafkaPublisher
from streams.log.protocols import Outgoing
from streams.log.whole_topics import read_whole
from tests.sim.launch import Simulator, start

SERVERS = ("a", "b", "c")
SLOTS = 4
"""Of a server in the trials about capacity; `wide` upstreams are the same servers with as good as no limit."""

DEATHS, DEATHS_AT_ONCE, TROUBLE_EVERY_S, TROUBLE_S = 2000, 32, 4.0, 2.5
CUTS, CUTS_AT_ONCE, CUT_SHARE = 5000, 64, 0.2
BACKLOG, PROBES, CROWD = 10_000, 40, 10
CAPACITY_CALLS = 240
SLOWER_S = 3.0
CLOSED_MS = 100.0
"""Within that of its caller's leaving a server is told to stop; the servers look between two tokens, 25 ms apart."""

_ENDED_S = 60.0

_MODELS = """\
upstreams:
{upstreams}
models:
  all: {{upstreams: [{{upstream: wide-a, model: "tiny:latest"}}, {{upstream: wide-b, model: "tiny:latest"}}, \
{{upstream: wide-c, model: "tiny:latest"}}]}}
  one: {{upstreams: [{{upstream: a, model: "tiny:latest"}}]}}
  two: {{upstreams: [{{upstream: a, model: "tiny:latest"}}, {{upstream: b, model: "tiny:latest"}}]}}
  three: {{upstreams: [{{upstream: a, model: "tiny:latest"}}, {{upstream: b, model: "tiny:latest"}}, \
{{upstream: c, model: "tiny:latest"}}]}}
  tiny: {{upstreams: [{{upstream: wide-a, model: "tiny:latest"}}]}}
"""


@dataclass(slots=True)
class _Servers:
    sims: dict[str, Simulator] = field(default_factory=dict[str, Simulator])

    async def set(self, **settings: object) -> None:
        await asyncio.gather(*(sim.set(**settings) for sim in self.sims.values()))

    async def reset(self, **settings: object) -> None:
        await asyncio.gather(*(sim.reset() for sim in self.sims.values()))
        await self.set(**settings)

    async def idle(self) -> list[dict[str, int]]:
        return [await sim.idle(_ENDED_S) for sim in self.sims.values()]

    def restart(self, name: str) -> None:
        port = self.sims[name].port
        self.sims[name].stop()
        self.sims[name] = start("ollama", port)


@dataclass(slots=True)
class _Trial:
    stack: BenchStack
    way: Way
    servers: _Servers
    report: Report
    share: float


@dataclass(frozen=True, slots=True)
class _Answered:
    """How one call ended: `error` is empty for one that ended well.

    `number` is its question's, `left_at` when its caller left, by the machine's monotonic clock (0: stayed).
    """

    took_s: float
    first_s: float
    error: str = ""
    number: int = 0
    left_at: float = 0.0


def run(share: float, trials: Sequence[str]) -> Report:
    """Run the trials of these names, `share` of their full size, and return the report."""
    report = Report("Chat: faults")
    with _servers() as servers, TemporaryDirectory() as folder:
        file = Path(folder, "models.yml")
        lines = [
            f"  {name}: {{kind: ollama, url: '{sim.url}', limit: {limit}}}"
            for letter, sim in servers.sims.items()
            for name, limit in ((letter, SLOTS), (f"wide-{letter}", 256))
        ]
        file.write_text(_MODELS.format(upstreams="\n".join(lines)))
        env = {"GATEWAY_MODELS_FILE": str(file), "GATEWAY_LOG_LEVEL": "warning"}
        with bench_stack(env=env) as stack:
            way = Way("gateway", stack.url, stack.key)
            asyncio.run(_run(_Trial(stack, way, servers, report, share), trials))
    return report


async def _run(trial: _Trial, names: Sequence[str]) -> None:
    await until_served(trial.way)
    for name in [each for each in TRIALS if each in names]:
        print(f" {name}", flush=True, file=sys.stderr)
        await TRIALS[name](trial)


async def _cuts(trial: _Trial) -> None:
    """A fifth of the streams is cut by the callers; the ledger has every token that the servers sent."""
    pace = {"ttft_ms": 30, "token_ms": 25, "tokens": 16, "keep_prompts": True}
    calls, dice = int(CUTS * trial.share), random.Random(1)
    before = await _ledger(trial)
    await trial.servers.reset(**pace)
    cuts = [dice.randrange(1, 14) if dice.random() < CUT_SHARE else 0 for _ in range(calls)]
    answers = await _calls(trial.way, "all", enumerate(cuts), CUTS_AT_ONCE, stream=True)
    counts = await trial.servers.idle()
    sent = sum(count["tokens_sent"] for count in counts)
    async with asyncio.timeout(_ENDED_S):
        while (now := await _ledger(trial))[0] - before[0] < calls:
            await asyncio.sleep(0.5)
    trial.report.add("cuts_calls", calls)
    trial.report.add("cuts_failed", sum(bool(a.error) for a in answers))
    trial.report.add("cuts_asked_of_a_second_server", sum(count["requests"] for count in counts) - calls)
    trial.report.add("cuts_tokens_sent", sent)
    trial.report.add("cuts_tokens_on_the_ledger", now[1] - before[1])
    trial.report.add("cuts_tokens_missing", abs(sent - (now[1] - before[1])))
    trial.report.aim("cuts_tokens_missing", 0)
    _tell_closes(trial.report, "cuts_server_saw_the_close", await _closed_after(trial, answers))
    trial.report.aim("cuts_server_saw_the_close_after_ms_worst", CLOSED_MS)
    trial.report.add("cuts_slots_leaked", _slots_in_use(trial.stack))
    trial.report.aim("cuts_slots_leaked", 0)
    # The same callers at the servers themselves: what of it is the machine's, the client's and the servers' own.
    await trial.servers.reset(**pace)
    answers = await _direct(trial, cuts)
    await trial.servers.idle()
    _tell_closes(trial.report, "cuts_without_the_gateway", await _closed_after(trial, answers))


def _tell_closes(report: Report, name: str, closed_s: Sequence[float]) -> None:
    report.add(f"{name}_after_ms_p50", 1000 * percentile(closed_s, 0.5))
    report.add(f"{name}_after_ms_p99", 1000 * percentile(closed_s, 0.99))
    report.add(f"{name}_after_ms_worst", 1000 * max(closed_s))


async def _direct(trial: _Trial, cuts: Sequence[int]) -> list[_Answered]:
    """Make the streamed calls at the servers themselves, each with its share of the calls and of the callers."""
    servers = len(trial.servers.sims)
    shares = (
        _calls(
            Way(name, sim.url), "tiny:latest", list(enumerate(cuts))[n::servers], CUTS_AT_ONCE // servers, stream=True
        )
        for n, (name, sim) in enumerate(trial.servers.sims.items())
    )
    return [answer for share in await asyncio.gather(*shares) for answer in share]


async def _closed_after(trial: _Trial, answers: Sequence[_Answered]) -> list[float]:
    """Return how many seconds after its caller had left each cut call was over at its server, by the server's clock."""
    ended: dict[str, list[float]] = {}
    for sim in trial.servers.sims.values():
        for call in (await sim.counts(each=True))["calls"]:
            if call["end"] == "disconnected":
                ended.setdefault(call["prompt"], []).append(call["ended_at"])
    left = [(f"user{_question(a.number)}", a.left_at) for a in answers if a.left_at]
    # The last one counts where a call was sent to two servers.
    return [max(ended[prompt]) - at for prompt, at in left if prompt in ended]


async def _deaths(trial: _Trial) -> None:
    """One of three servers at a time dies or hangs; no call that had no token yet fails."""
    ttft_s, gap_s, tokens = 0.05, 0.02, 10
    pace = {"ttft_ms": 1000 * ttft_s, "token_ms": 1000 * gap_s, "tokens": tokens}
    await trial.servers.reset(**pace)
    calls = int(DEATHS * trial.share)
    trouble = asyncio.create_task(_trouble(trial, pace))
    try:
        answers = await _calls(trial.way, "all", enumerate([0] * calls), DEATHS_AT_ONCE, stream=None, pause_s=0.3)
    finally:
        trouble.cancel()
        with suppress(asyncio.CancelledError):
            await trouble
    trial.report.add("deaths_calls", calls)
    trial.report.add("deaths_failed_without_a_token", sum(bool(a.error) and not a.first_s for a in answers))
    trial.report.aim("deaths_failed_without_a_token", 0)
    trial.report.add("deaths_cut_after_a_token", sum(bool(a.error) and a.first_s > 0 for a in answers))
    whole = ttft_s + gap_s * (tokens - 1)
    trial.report.add("deaths_worst_extra_latency_s", max(a.took_s for a in answers if not a.error) - whole)
    trial.report.aim("deaths_worst_extra_latency_s", SLOWER_S)
    trial.report.add("deaths_slots_leaked", _slots_in_use(trial.stack))
    trial.report.aim("deaths_slots_leaked", 0)


async def _trouble(trial: _Trial, pace: dict[str, float]) -> None:
    """Kill or hang one server after the other, with a while in which all of them serve."""
    dice = random.Random(2)
    number = 0
    while True:
        await asyncio.sleep(TROUBLE_EVERY_S)
        number += 1
        name = dice.choice(SERVERS)
        sim = trial.servers.sims[name]
        if number % 2:
            sim.kill()
        else:
            await sim.set(fault="hang", hang_health=True)
        await asyncio.sleep(TROUBLE_S)
        if number % 2:
            await asyncio.to_thread(trial.servers.restart, name)
            await trial.servers.sims[name].set(**pace)
        else:
            await sim.set(fault="none", hang_health=False)


async def _capacity(trial: _Trial) -> None:
    """One server more gives its capacity more."""
    await trial.servers.reset(ttft_ms=100, token_ms=20, tokens=11, slots=SLOTS)
    rates: list[float] = []
    for model in ("one", "two", "three"):
        calls = max(60, int(CAPACITY_CALLS * trial.share)) * (len(rates) + 1)
        await _calls(trial.way, model, enumerate([0] * 3 * SLOTS), 8 * SLOTS, stream=False)  # the slots move here
        began = time.perf_counter()
        answers = await _calls(trial.way, model, enumerate([0] * calls), 8 * SLOTS, stream=False)
        rates.append(calls / (time.perf_counter() - began))
        trial.report.add(f"capacity_calls_per_s_with_{model}", rates[-1])
        trial.report.add(f"capacity_failed_with_{model}", sum(bool(a.error) for a in answers))
    for more, (less, now) in enumerate(pairwise(rates), 2):
        trial.report.add(f"capacity_added_by_server_{more}", (now - less) / rates[0])
        trial.report.aim(f"capacity_added_by_server_{more}", 0.95, at_most=False)


async def _backlog(trial: _Trial) -> None:
    """A bulk backlog hardly delays an interactive call's first token, alone or with more than there are slots."""
    ttft_s, gap_s, tokens = 0.05, 0.02, 11
    await trial.servers.reset(ttft_ms=1000 * ttft_s, token_ms=1000 * gap_s, tokens=tokens, slots=SLOTS)
    quiet = [await _calls(trial.way, "one", enumerate([0] * PROBES), at_once, stream=True) for at_once in (1, CROWD)]
    jobs = int(BACKLOG * trial.share)
    await _fill(trial, jobs)
    async with asyncio.timeout(_ENDED_S):
        while (await trial.servers.sims["a"].counts())["open"] < SLOTS:
            await asyncio.sleep(0.05)
    busy = [
        await _calls(trial.way, "one", enumerate([0] * PROBES), at_once, stream=True, pause_s=pause_s)
        for at_once, pause_s in ((1, 0.2), (CROWD, 0.0))
    ]
    open_now = (await trial.servers.sims["a"].counts())["open"]
    trial.report.add("backlog_jobs", jobs)
    trial.report.add("backlog_calls_at_work_at_the_end", open_now)
    trial.report.add("backlog_failed", sum(bool(a.error) for answers in (*quiet, *busy) for a in answers))
    for crowd, before, under in zip(("", f"_{CROWD}_at_once"), quiet, busy, strict=True):
        first_s = {"quiet": [a.first_s for a in before], "under_backlog": [a.first_s for a in under]}
        for name, times in first_s.items():
            for quantile in (0.5, 0.95):
                figure = f"backlog_first_token{crowd}_p{100 * quantile:.0f}_ms_{name}"
                trial.report.add(figure, 1000 * percentile(times, quantile))
        rise = percentile(first_s["under_backlog"], 0.5) - percentile(first_s["quiet"], 0.5)
        trial.report.add(f"backlog_first_token{crowd}_rise_ms", 1000 * rise)
        trial.report.aim(f"backlog_first_token{crowd}_rise_ms", 1000 * (ttft_s + gap_s * tokens))


async def _fill(trial: _Trial, jobs: int) -> None:
    """Put bulk jobs of the module `llm` on the log."""
    records: list[Outgoing] = []
    now_ms = int(time.time() * 1000)
    steps = (Step("llm", "llm"),)
    for number in range(jobs):
        job = JobRef(new_job_id(now_ms), "bench-bulk", "bench", "llm", "1", Lane.BULK, now_ms, f"{number:064x}")
        request = StageRequest(
            request_event_id(job.job_id, 0, "llm"),
            job,
            steps,
            0,
            (text_payload(f"Question {number}"),),
            options='{"model":"one"}',
            requested_at_ms=now_ms,
        )
        accepted = JobEvent(event_id(job.job_id, 0, "accepted"), job, JobEventKind.ACCEPTED, steps, now_ms)
        records.append(Outgoing(topics.LLM.requests[Lane.BULK], job.job_id, request, {}))
        records.append(Outgoing(topics.JOB_EVENTS, job.job_id, accepted, {}))
    async with KafkaPublisher(trial.stack.bootstrap, codec=Codec(), delivery_timeout_s=60) as publisher:
        for begin in range(0, len(records), 1000):
            await publisher.publish_many(records[begin : begin + 1000])


TRIALS: Mapping[str, Callable[[_Trial], Awaitable[None]]] = {
    "cuts": _cuts,
    "capacity": _capacity,
    "backlog": _backlog,
    "deaths": _deaths,
}


async def _calls(
    way: Way,
    model: str,
    cuts: Iterable[tuple[int, int]],
    at_once: int,
    *,
    stream: bool | None,
    pause_s: float = 0.0,
) -> list[_Answered]:
    """Make a call for each number in `cuts`, with after how many events its caller leaves (0: never).

    `stream` None: every second call is streamed.
    """
    left = iter(cuts)
    answers: list[_Answered] = []
    async with way.session() as http:

        async def caller() -> None:
            for number, cut in left:
                answers.append(await _call(http, model, number, cut, number % 2 == 0 if stream is None else stream))
                if pause_s:
                    await asyncio.sleep(pause_s)

        await asyncio.gather(*(caller() for _ in range(at_once)))
    for error in sorted({a.error for a in answers if a.error})[:5]:
        print(f"  an error: {error[:300]}", flush=True, file=sys.stderr)
    return answers


async def _call(http: aiohttp.ClientSession, model: str, number: int, cut: int, stream: bool) -> _Answered:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": _question(number)}]}
    began = time.perf_counter()
    first_s, events, last = 0.0, 0, b""
    async with http.post(PATH, data=orjson.dumps(body)) as answer:
        if answer.status != 200:
            return _Answered(time.perf_counter() - began, 0.0, await answer.text())
        try:
            while data := await answer.content.readany():
                first_s = first_s or time.perf_counter() - began
                events, last = events + data.count(b"\n\n"), last[-2000:] + data
                if cut and events >= cut:
                    answer.close()
                    return _Answered(time.perf_counter() - began, first_s, "", number, time.monotonic())
        except aiohttp.ClientError as e:
            return _Answered(time.perf_counter() - began, first_s, type(e).__name__)
    whole = not stream or last.rstrip().endswith(b"[DONE]")
    return _Answered(time.perf_counter() - began, first_s, "" if whole else last.decode(errors="replace")[-200:])


def _question(number: int) -> str:
    return f"Question {number}"


async def _ledger(trial: _Trial) -> tuple[int, int]:
    """Return how many calls the log has the end of, and all completion tokens, waste included, repeats taken out."""
    codec, seen, ends = Codec(), dict[str, int](), set[str]()
    async for batch in read_whole(trial.stack.bootstrap, [topics.USAGE_EVENTS.name]):
        for record in batch:
            event = codec.decode(record.value or b"", UsageEvent)
            if event.module == "chat":
                seen[event.event_id] = event.usage.completion_tokens
                if event.final:
                    ends.add(event.event_id)
    return len(ends), sum(seen.values())


def _slots_in_use(stack: BenchStack) -> float:
    """Return how many slots ingress says are in use, a little after the last call."""
    time.sleep(2.0)  # the gauges follow every second
    port = next(s["port"] for s in stack.status() if s["name"] == "ingress")
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("gateway_upstream_in_use{"))


@contextmanager
def _servers() -> Iterator[_Servers]:
    servers = _Servers()
    try:
        for name in SERVERS:
            servers.sims[name] = start("ollama")
        yield servers
    finally:
        for sim in servers.sims.values():
            sim.stop()
