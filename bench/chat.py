"""`./gateway bench chat`: a call through the gateway, through the LiteLLM proxy, and straight to the model server.

The same simulated Ollama, one run, one machine: client, gateway, Kafka, LiteLLM and simulator share its cores, so
requests a second include all of them; CPU seconds are those of the door itself, which are steadier on a busy machine.
`--quick` takes a tenth of the calls; `--faults` runs the trials of `bench.chat_faults` instead; `--part PART`
(repeated) runs some parts of either. Results go to `bench/results/chat.json` (`chat-faults.json`); a run of some
parts replaces theirs and leaves the others as they were.
"""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import chat_faults
from bench.chat_load import Figures, Way, load, until_served
from bench.options import chosen_parts, options_of
from bench.peers.litellm_peer import litellm_peer
from bench.report import Report, percentile
from bench.stack import ROOT, bench_stack
from tests.sim.launch import Simulator, simulator

RESULTS = ROOT / "bench" / "results"
TOKENS = 16
PEER = "litellm"
# Calls at each concurrency: of the gateway and directly, and of the peer, which takes so much longer.
ZERO: Mapping[int, tuple[int, int]] = {1: (400, 100), 32: (3000, 320), 256: (4000, 512)}
PACED: Mapping[int, tuple[int, int]] = {1: (15, 15), 32: (192, 96), 256: (1024, 512)}
PROFILES = {
    "zero": ({}, ZERO),
    "paced": ({"ttft_ms": 200, "token_ms": 1000 / 30}, PACED),
}
OPEN = {"token_ms": 500, "ttft_ms": 200}
OPEN_STREAMS, OPEN_TOKENS = 1000, 20
KINDS = {f"{profile}_{kind}": kind == "stream" for profile in PROFILES for kind in ("whole", "stream")}
PARTS = (*KINDS, "open")
SLOWER_S = 3.0


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("chat")
    share = 0.1 if options.quick else 1.0
    parts = chosen_parts(options.part, chat_faults.TRIALS if options.faults else PARTS)
    if options.faults:
        report, name = chat_faults.run(share, parts), "chat-faults.json"
    else:
        report, name = _compare(share, parts), "chat.json"
    _write(report, share, RESULTS / name, keep=bool(options.part))
    report.show(options.json)
    return 0


def _compare(share: float, parts: Sequence[str]) -> Report:
    report = Report("Chat: the gateway, the LiteLLM proxy, and the model server itself")
    report.add("load_before", os.getloadavg()[0])
    with simulator(tokens=TOKENS) as sim:
        env = {"GATEWAY_OLLAMA_URLS": sim.url, "GATEWAY_UPSTREAM_SLOTS": "4096", "GATEWAY_LOG_LEVEL": "warning"}
        direct = Way("direct", sim.url)
        with bench_stack(env=env) as stack:
            gateway = Way("gateway", stack.url, stack.key, {n: stack.pid(n) for n in ("ingress", "kafka")})
            asyncio.run(_measure(sim, (direct, gateway), report, share, parts))
        with litellm_peer(sim.url) as peer:
            asyncio.run(_measure(sim, (Way(PEER, peer.url, peer.key, {PEER: peer.pid}),), report, share, parts))
    report.add("load_after", os.getloadavg()[0])
    _ratios(report)
    return report


async def _measure(sim: Simulator, ways: tuple[Way, ...], report: Report, share: float, parts: Sequence[str]) -> None:
    for way in ways:
        await until_served(way)
    for kind in [each for each in KINDS if each in parts]:
        pace, levels = PROFILES[kind.partition("_")[0]]
        await sim.set(**{"ttft_ms": 0, "token_ms": 0, **pace})
        for concurrency, counts in levels.items():
            for way in ways:
                calls = max(10, 2 * concurrency, int(counts[way.name == PEER] * share))
                figures = await load(way, concurrency, calls, stream=KINDS[kind])
                _tell(report, f"{kind}_{way.name}", f"at_{concurrency}", figures, KINDS[kind])
    if "open" not in parts:
        return
    await sim.set(**OPEN)
    streams = max(100, int(OPEN_STREAMS * share))
    for way in ways:
        figures = await load(way, streams, streams, stream=True, tokens=OPEN_TOKENS)
        _tell(report, f"open_{way.name}", f"at_{streams}", figures, stream=True)


def _tell(report: Report, name: str, at: str, figures: Figures, stream: bool) -> None:
    report.add(f"{name}_calls_per_s_{at}", figures.calls_per_s)
    for share, label in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"), (1.0, "worst")):
        report.add(f"{name}_{label}_ms_{at}", 1000 * percentile(figures.whole_s, share))
    if stream:
        report.add(f"{name}_first_token_p50_ms_{at}", 1000 * percentile(figures.first_s, 0.5))
        report.add(f"{name}_first_token_p99_ms_{at}", 1000 * percentile(figures.first_s, 0.99))
    for process in figures.cpu_s:
        report.add(f"{name}_{process}_cpu_s_per_1000_calls_{at}", figures.cpu_s_per_1000(process))
        report.add(f"{name}_{process}_resident_mib_{at}", figures.resident_mib[process])


def _ratios(report: Report) -> None:
    """Add what each door adds to the model server's own time, and the gateway against the peer."""
    f = report.figures
    worst: list[float] = []
    for name in [n for n in f if "_gateway_" in n and "_ms_" in n]:
        straight = name.replace("_gateway_", "_direct_")
        if straight not in f:
            continue
        report.add(name.replace("_gateway_", "_added_by_gateway_"), f[name] - f[straight])
        other = name.replace("_gateway_", f"_{PEER}_")
        if other in f:
            report.add(name.replace("_gateway_", f"_added_by_{PEER}_"), f[other] - f[straight])
        if "_worst_ms_" in name:
            worst.append(f[name] - f[straight.replace("_worst_", "_p50_")])
    for kind, faster, less in (("whole", 15.0, 1 / 6), ("stream", 20.0, 1 / 8)):
        if f"zero_{kind}_gateway_calls_per_s_at_32" not in f:
            continue
        rate, cpu = f"zero_{kind}_calls_per_s_ratio_at_32", f"zero_{kind}_cpu_ratio_at_32"
        added = f"zero_{kind}_added_p50_ratio_at_1"
        report.add(rate, f[f"zero_{kind}_gateway_calls_per_s_at_32"] / f[f"zero_{kind}_{PEER}_calls_per_s_at_32"])
        report.aim(rate, faster, at_most=False)
        report.add(
            added, f[f"zero_{kind}_added_by_gateway_p50_ms_at_1"] / f[f"zero_{kind}_added_by_{PEER}_p50_ms_at_1"]
        )
        report.aim(added, round(less, 4))
        ours = f[f"zero_{kind}_gateway_ingress_cpu_s_per_1000_calls_at_32"]
        report.add(cpu, f[f"zero_{kind}_{PEER}_{PEER}_cpu_s_per_1000_calls_at_32"] / ours)
    report.add("worst_extra_latency_s", max(worst) / 1000)
    report.aim("worst_extra_latency_s", SLOWER_S)


def _write(report: Report, share: float, file: Path, *, keep: bool) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    body = json.loads(report.as_json())
    if keep and file.exists():
        before = json.loads(file.read_text())
        now = {aim["name"] for aim in body["aims"]}
        body["aims"] = [aim for aim in before["aims"] if aim["name"] not in now] + body["aims"]
        body["figures"] = before["figures"] | body["figures"]
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "share_of_full_size": share,
    }
    file.write_text(json.dumps({"about": about, **body}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
