"""A batch through the whole stack, while everything of it is killed: each record has exactly one answer."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress

import httpx
import pytest

from bench.stack import ROOT, BenchStack, bench_stack
from schemas.batch import BatchAnswer, BatchRequest
from schemas.errors import Outage
from schemas.payloads import text_payload
from schemas.topics import JOB_PARTITIONS
from streams.client import DoorClient
from streams.tables.partitions import job_partition
from tests.waiting import WaitUntil

pytestmark = [pytest.mark.stack, pytest.mark.full, pytest.mark.timeout(900)]

SERVICE = "archive"
RECORDS = 10_000
OURS = ("admission", "llm", "ingress", "job-state", "metering")
WORKING = (*OURS, "redis", "kafka")
# At which share of the answers which of them are killed, with SIGKILL: each alone, then all of ours at once.
KILLS = (
    (0.05, ("admission",)),
    (0.15, ("llm",)),
    (0.25, ("ingress",)),
    (0.35, ("job-state",)),
    (0.45, ("metering",)),
    (0.55, ("redis",)),
    (0.65, ("kafka",)),
    (0.8, OURS),
)


@pytest.fixture
def own_stack() -> Iterator[BenchStack]:
    """A stack for this test alone: what is killed here would fail others."""
    with bench_stack() as running:
        yield running


def gateway(stack: BenchStack, *arguments: str) -> str:
    return subprocess.run(
        [ROOT / "gateway", *arguments], env=stack.env, stdout=subprocess.PIPE, check=True, text=True
    ).stdout


def pids(stack: BenchStack) -> dict[str, int]:
    """Return the pid of each that serves now."""
    status = {str(s["name"]): s for s in stack.status() if s["state"] == "ready"}
    return {name: int(str(status[name]["pid"])) for name in WORKING if name in status}


def one_a_partition(client: DoorClient, prefix: str) -> list[str]:
    """Return request ids whose jobs lie in different partitions, one in each."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < JOB_PARTITIONS:
        found.setdefault(job_partition(client.job_id(f"{prefix}{number}")), f"{prefix}{number}")
        number += 1
    return list(found.values())


async def test_each_record_has_one_answer_whoever_is_killed(own_stack: BenchStack, wait_until: WaitUntil) -> None:
    gateway(own_stack, "services", "create", SERVICE, "--batch")
    key = gateway(own_stack, "keys", "create", "--service", SERVICE, "--quiet").strip()
    requests = [BatchRequest(f"r{n}", "noop", text=f"text {n}") for n in range(RECORDS)]
    answers: list[BatchAnswer] = []
    rejected: list[object] = []
    killed: list[int] = []

    async def follow(client: DoorClient) -> None:
        while True:
            answers.clear()
            rejected.clear()
            with suppress(Outage):  # the broker is killed too: then all is read again from the first
                async with aclosing(client.replies()) as batches:
                    async for replies, _ in batches:
                        for reply in replies:
                            (answers if isinstance(reply.told, BatchAnswer) else rejected).append(reply.told)

    async def kill(names: tuple[str, ...]) -> None:
        """Kill them once all are at work again, at the same moment."""
        found: dict[str, int] = {}
        while not found.keys() >= set(WORKING):
            found = await asyncio.to_thread(pids, own_stack)
        for name in names:
            os.kill(found[name], signal.SIGKILL)
            killed.append(found[name])

    async with DoorClient(own_stack.bootstrap, SERVICE) as client, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow(client))
        await client.send(requests[: RECORDS // 2])
        for share, names in KILLS:
            await wait_until(lambda share=share: len(answers) >= share * RECORDS, 300)
            await kill(names)
            if names == ("admission",):
                # The door is a topic: it takes records while nobody is there to check them.
                await client.send(requests[RECORDS // 2 :])
        await wait_until(lambda: len(answers) + len(rejected) >= RECORDS, 600)
        # An answer that repeats an earlier one would stand before the answers to these, in whichever partition.
        last = one_a_partition(client, "last-")
        await client.send([BatchRequest(request_id, "noop", text="last") for request_id in last])
        await wait_until(lambda: {a.request_id for a in answers} >= set(last), 300)
        following.cancel()

    assert len(set(killed)) == sum(len(names) for _, names in KILLS)
    given = Counter(answer.request_id for answer in answers)
    assert {request_id: n for request_id, n in given.items() if n != 1} == {}, "answered more than once"
    assert given.keys() == {request.request_id for request in requests} | set(last)
    assert rejected == []
    wrong = [a for a in answers if a.request_id not in last and a.result != text_payload(f"text {a.request_id[1:]}")]
    assert wrong == []

    total = RECORDS + len(last)
    async with httpx.AsyncClient(
        base_url=own_stack.url, headers={"X-API-Key": key}, timeout=60, trust_env=False
    ) as http:

        async def charged() -> int:
            try:
                answer = await http.get("/v1/usage", params={"group_by": "service"})
            except httpx.TransportError:  # ingress was killed last and comes back
                return 0
            return sum(row["requests"] for row in answer.json()["rows"]) if answer.status_code == 200 else 0

        async def all_are_charged() -> bool:
            return await charged() >= total

        await wait_until(all_are_charged, 120)
        assert await charged() == total, "each job is charged once"
        for answer in answers[:: total // 20]:
            shown = (await http.get(f"/v1/jobs/{answer.job_id}", params={"wait": 30})).json()
            assert (shown["status"], shown["lane"]) == ("done", "bulk")
