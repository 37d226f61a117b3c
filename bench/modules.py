"""`./gateway bench modules`: how soon a new module, and a changed one, is live on every replica of ingress.

A file is put into the modules folder of one replica; the others learn of it from the log. Asked every 20 ms.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from bench.options import options_of
from bench.report import Report, percentile
from bench.stack import ROOT, BenchStack, bench_stack, free_ports

MORE_REPLICAS = 2
CHANGES = 8
THREE_LINES = """\
name: {name}
version: "{version}"
title: {{ko: 세 줄, en: Three lines}}
description: {{ko: 세 줄로 줄입니다., en: Cuts a text down to three lines.}}
inputs: [text]
stages: [llm]
options:
  tone: {{type: string, enum: [plain, polite], default: plain}}
prompt: |
  Write the text between <text> and </text> in three lines, {{{{ options.tone }}}}.
  <text>{{{{ text }}}}</text>
"""


def main() -> int:
    """Run the benchmark, print its report, and return 0: figures are not assertions."""
    options = options_of("modules")
    report = Report("Modules by a file")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-modules-") as name:
        folder = Path(name) / "modules"
        shutil.copytree(ROOT / "modules", folder)
        env = {"GATEWAY_MODULES_DIR": str(folder), "GATEWAY_LOG_LEVEL": "warning"}
        with bench_stack(env=env) as stack, _replicas(stack) as others:
            times = asyncio.run(_measure(stack, (stack.url, *others), folder / "three-lines.yml"))
    report.add("load_after", os.getloadavg()[0])
    report.add("replicas", 1 + MORE_REPLICAS)
    report.add("lines_of_the_file", len(THREE_LINES.splitlines()))
    report.add("new_module_live_s", times[0])
    report.add("change_live_p50_s", percentile(times[1:], 0.5))
    report.add("live_worst_s", max(times))
    report.aim("lines_of_the_file", 15)
    report.aim("live_worst_s", 5)
    report.show(options.json)
    return 0


@contextmanager
def _replicas(stack: BenchStack) -> Iterator[list[str]]:
    """Run more replicas of ingress, without a folder of their own that changes; yield their addresses."""
    ports = free_ports(MORE_REPLICAS)
    with ExitStack() as running:
        for port in ports:
            env = {**stack.env, "GATEWAY_HTTP_PORT": str(port), "GATEWAY_METRICS_PORT": "0"}
            env["GATEWAY_MODULES_DIR"] = str(ROOT / "modules")
            process = subprocess.Popen((sys.executable, "-m", "ingress"), env=env, cwd=ROOT)
            running.callback(process.wait)
            running.callback(process.terminate)
        yield [f"http://127.0.0.1:{port}" for port in ports]


async def _measure(stack: BenchStack, urls: Sequence[str], file: Path) -> list[float]:
    """Return the seconds from writing the file to its being live everywhere: a new module first, then changes."""
    times: list[float] = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {stack.key}"}) as http:
        await asyncio.gather(*(_offers(http, url, "summary", None) for url in urls))
        for version in range(1, CHANGES + 2):
            # Not always at the same moment of the second at which the folder is looked at.
            await asyncio.sleep(0.37)
            written = file.with_suffix(".new")
            written.write_text(THREE_LINES.format(name="three-lines", version=version))
            began = time.perf_counter()
            written.replace(file)
            await asyncio.gather(*(_offers(http, url, "three-lines", str(version)) for url in urls))
            times.append(time.perf_counter() - began)
    return times


async def _offers(http: aiohttp.ClientSession, url: str, name: str, version: str | None) -> None:
    """Wait until a replica offers the module at this version (None: at any)."""
    while True:
        try:
            async with http.get(f"{url}/v1/modules") as answer:
                modules = (await answer.json())["modules"] if answer.status == 200 else []
        except aiohttp.ClientError:
            modules = []  # it starts
        if any(module["name"] == name and version in (None, module["version"]) for module in modules):
            return
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
