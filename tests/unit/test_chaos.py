"""The parts of the chaos run that need no system: the schedule, the journal, the verdict, the table."""

import io
import os
import re
import subprocess
import sys
import wave
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, cast

from bench.chaos.checker import judge
from bench.chaos.faults import all_faults
from bench.chaos.front import Front
from bench.chaos.journal import Account, Journal, Planned, read_account
from bench.chaos.log_reading import Reading
from bench.chaos.memory import MemoryLog, slope
from bench.chaos.schedule import turns
from bench.chaos.speech import RECORDING_S, recording
from bench.chaos.system import System
from bench.chaos.table import Injection, as_text, rows
from schemas.events import JobEvent, JobEventKind, JobResult, Step, Usage, UsageEvent
from schemas.ids import event_id
from schemas.job_state import fold
from schemas.payloads import text_payload
from schemas.usage_ledger import fold_usage
from tests.builders import job_ref

ROOT = Path(__file__).resolve().parents[2]


def test_the_schedule_is_the_seeds_and_every_fault_comes_once_a_round() -> None:
    names = ["a", "b", "c", "d"]
    first = list(islice(turns(names, 3), 8))
    assert first == list(islice(turns(names, 3), 8))
    assert first != list(islice(turns(names, 4), 8))
    assert Counter(turn.fault for turn in first) == dict.fromkeys(names, 2)
    assert Counter(turn.fault for turn in first[:4]) == dict.fromkeys(names, 1)


def test_without_faults_there_are_no_turns() -> None:
    assert list(turns([], 1)) == []


def test_every_kind_of_process_store_and_work_has_its_faults() -> None:
    """Those that `docs/reliability.md` tells of, too."""
    names = set(all_faults())
    processes = ("ingress", "admission", "job-state", "metering", "ocr", "stt", "llm", "probe-1")
    assert names == {f"{what}-{process}" for what in ("kill", "stop") for process in processes} | {
        *("restart-kafka", "kill-kafka", "pause-kafka"),
        *("restart-redis", "kill-redis", "pause-redis", "flush-redis"),
        *("blobs-away", "disk-full", "poison", "repeat", "join-recovery", "clock-ahead", "clock-behind"),
        *("handler-hangs", "handler-crashes", "handler-eats", "handler-kills"),
    }
    told = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/reliability.md").read_text(), re.MULTILINE))
    assert names <= told


def test_the_journal_reads_as_it_was_written(tmp_path: Path) -> None:
    job = Planned("j1", "a", "probe", 1.5, text_bytes=2)
    with Journal(tmp_path / "journal") as journal:
        journal.plan(job)
        journal.plan(replace(job, job_id="j2"))
        journal.acknowledge("j1")
    account = read_account(tmp_path / "journal")
    assert account.planned["j1"] == job
    assert set(account.acknowledged) == {"j1"}
    assert account.services == {"a"}


class World:
    """A journal and a log that agree, until a test makes them differ."""

    def __init__(self) -> None:
        self.job = job_ref(service="a", module="probe")
        self.plan = Planned(self.job.job_id, "a", "probe", 1.0, text_bytes=5)
        self.log = Reading()
        self.offset = 0

    @property
    def account(self) -> Account:
        return Account({self.plan.job_id: self.plan}, {self.plan.job_id: 1.0})

    def end(self, *, text: str = "hello", status: str = "done", epoch: int = 0) -> None:
        job = replace(self.job, epoch=epoch)
        payload = text_payload(text) if status == "done" else None
        ended = JobResult(event_id(job.job_id, epoch, "result"), job, status, (Step("noop", "noop"),), payload)
        self.log.states[job.job_id] = fold(self.log.states.get(job.job_id), ended, self.offset)
        self.log.ends.setdefault(job.job_id, Counter())[epoch, status, text if status == "done" else ""] += 1
        self.offset += 1

    def use(self, attempt: int = 1, *, bytes_in: int = 5) -> None:
        job = self.job
        event = UsageEvent(
            event_id(job.job_id, 0, "noop", attempt), job.job_id, "a", "k", "probe", "noop", attempt, "", "",
            job.lane, "done", Usage(bytes_in=bytes_in), 1, final=True,
        )  # fmt: skip
        self.log.usage[job.job_id] = fold_usage(self.log.usage.get(job.job_id), event, self.offset)
        self.offset += 1


def test_a_job_that_ended_once_and_is_charged_once_is_right() -> None:
    world = World()
    world.end()
    world.use()
    assert judge(world.account, world.log).kept


def test_the_same_end_twice_and_two_attempts_that_were_done_are_still_one() -> None:
    world = World()
    for attempt in (1, 2):
        world.end()
        world.use(attempt)
    verdict = judge(world.account, world.log)
    assert verdict.kept
    assert verdict.repeats == 1


def test_an_acknowledged_job_without_an_end_is_lost() -> None:
    world = World()
    verdict = judge(world.account, world.log)
    assert list(verdict.lost) == [world.plan.job_id]
    assert not verdict.kept


def test_ends_that_differ_are_doubled_unless_a_replay_made_the_second() -> None:
    world = World()
    world.use()
    world.end(status="failed", text="")
    world.end()
    assert list(judge(world.account, world.log).doubled) == [world.plan.job_id]
    replayed = World()
    replayed.use()
    replayed.end(status="failed", text="")
    replayed.end(epoch=1)
    assert judge(replayed.account, replayed.log).kept


def test_a_job_that_nobody_submitted_is_a_ghost() -> None:
    world = World()
    world.end()
    world.use()
    stranger = job_ref(service="a")
    event = JobEvent(event_id(stranger.job_id, 0, "accepted"), stranger, JobEventKind.ACCEPTED, (), 1)
    world.log.states[stranger.job_id] = fold(None, event, 0)
    assert judge(world.account, world.log).ghosts == [stranger.job_id]


def test_usage_that_is_missing_or_too_much_is_told() -> None:
    missing = World()
    missing.end()
    assert any("requests" in said for said in judge(missing.account, missing.log).usage)
    too_much = World()
    too_much.end()
    too_much.use(bytes_in=7)
    assert any("7 text bytes" in said for said in judge(too_much.account, too_much.log).usage)


def test_an_unacknowledged_job_may_exist_or_not() -> None:
    world = World()
    account = replace(world.account, acknowledged={})
    assert judge(account, world.log).kept
    world.end()
    world.use()
    assert judge(account, world.log).kept


def test_a_job_belongs_to_the_fault_under_which_it_was_submitted() -> None:
    world = World()
    verdict = judge(world.account, world.log)
    found = rows(
        [Injection("kill-x", 0.5, 2.0, 1.25, 2.5)], world.account, verdict, {"y": "no y here"}, ["kill-x", "y"]
    )
    assert [(r.fault, r.injected, r.jobs, r.lost) for r in found] == [
        ("kill-x", 1, 1, 1),
        ("y", 0, 0, 0),
        ("(none)", 0, 0, 0),
    ]
    assert "no y here" in as_text(found)


def test_the_slope_of_a_line_is_its_slope() -> None:
    assert slope([(0.0, 5), (1.0, 7), (2.0, 9)]) == 2.0
    assert slope([(0.0, 5)]) == 0.0


def test_seconds_of_audio_that_are_missing_are_told() -> None:
    world = World()
    world.plan = replace(world.plan, text_bytes=0, audio_s=3.0)
    world.end(text="")
    world.use(bytes_in=0)
    assert judge(world.account, world.log).usage == ["a: 0 seconds of audio charged, the driver counts 3"]


def test_replicas_of_ingress_are_asked_in_turns() -> None:
    asked: list[str] = []

    class Session:
        def get(self, url: str, **_: object) -> None:
            asked.append(url)

        post = delete = get

    front = Front(Session(), ["http://a", "http://b"])  # pyright: ignore[reportArgumentType]
    front.post("/1")
    front.get("/2", timeout=1)
    front.delete("/3")
    assert asked == ["http://a/1", "http://b/2", "http://a/3"]


def test_a_fault_of_a_kind_meets_any_of_its_replicas(tmp_path: Path) -> None:
    class TwoOfSome(System):
        def pids(self) -> dict[str, int]:
            return {"llm": 1, "llm-2": 2, "job-state": 3, "probe-1": 4, "probe-2": 5}

    nothing = cast(Any, None)
    system = TwoOfSome(nothing, tmp_path, None, nothing, nothing, Random(1))
    assert {system.one_of("llm") for _ in range(50)} == {"llm", "llm-2"}
    assert {system.one_of("probe-1") for _ in range(10)} == {"probe-1"}
    assert system.one_of("stt") == "stt"


def test_the_recording_is_as_long_as_it_says() -> None:
    with wave.open(io.BytesIO(recording())) as file:
        assert file.getnframes() / file.getframerate() == RECORDING_S


def test_a_process_that_was_just_killed_shows_what_it_held_before() -> None:
    log = MemoryLog()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for second in (0.0, 30.0, 32.0):
            log.sample({"ocr": process.pid}, second)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has reaped it
        log.sample({"ocr": process.pid}, 34.0)
    shown = log.slopes()["ocr"]
    assert shown["mib"] > 0
    assert shown["mib_per_min"] >= 0
