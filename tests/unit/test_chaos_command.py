"""`./gateway chaos`: what it hands over to the trial, and how it tells that a promise was broken."""

import json
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.chaos import __main__ as program
from bench.chaos.chat_check import ChatVerdict
from bench.chaos.checker import Verdict
from bench.chaos.model_jobs import JobTokens
from bench.chaos.run import Options, Outcome
from bench.chaos.table import Row
from cli import chaos_commands
from cli.main import build_app


def outcome(options: Options, verdict: Verdict) -> Outcome:
    """A run with one fault."""
    calls = ChatVerdict(proof={"holds": True})
    return Outcome(options, [], verdict, calls, JobTokens(), {}, [])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the trial is asked for; it keeps every promise, or loses what the second entry names."""
    told: list[Any] = [None, {}]

    def run(options: Options) -> Outcome:
        told[0] = options
        return outcome(options, Verdict(jobs=3, lost=told[1]))

    monkeypatch.setattr(program, "run_chaos", run)
    return told


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Type the command, and run the program that it becomes; return its exit code."""
    became: list[str] = []
    monkeypatch.setattr(chaos_commands, "become", lambda module, *more: became.extend((module, *more)))
    assert CliRunner().invoke(build_app(), ["chaos", *words]).exit_code == 0
    assert became[0] == "bench.chaos"
    monkeypatch.setattr(sys, "argv", became)
    return program.main()


def test_minutes_seed_and_faults_reach_the_trial(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("--minutes", "0.5", "--seed", "7", "--fault", "kill-kafka", "--fault", "poison")
    assert typed(monkeypatch, *words) == 0
    assert asked[0] == Options(0.5, 7, ("kill-kafka", "poison"))
    assert typed(monkeypatch) == 0
    assert asked[0] == Options(5.0, 1, ()), "every fault"


def test_a_promise_that_was_broken_is_told_with_its_job_and_ends_with_1(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked[1] = {"job-1": "no end of it"}
    assert typed(monkeypatch) == 1
    said = capsys.readouterr().out
    assert "1 lost" in said
    assert "lost: job-1: no end of it" in said
    assert "Every promise was kept" not in said
    assert typed(monkeypatch, "--json") == 1
    body = json.loads(capsys.readouterr().out)
    assert (body["kept"], body["lost"], body["jobs"]) == (False, 1, 3)


def test_a_fault_that_there_is_not_is_named_with_those_that_there_are(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(monkeypatch, "--fault", "kill-everything") == 2
    assert asked[0] is None
    said = capsys.readouterr().err
    assert "kill-everything" in said
    assert "kill-kafka" in said.partition("remedy:")[2]


@pytest.mark.parametrize(("recovery_s", "ready_s"), [((None,), (1.0,)), ((1.0,), (None,))])
def test_what_did_not_recover_breaks_the_run(
    recovery_s: tuple[float | None, ...], ready_s: tuple[float | None, ...]
) -> None:
    whole = outcome(Options(), Verdict())
    assert whole.kept
    row = Row("kill-ocr", 1, 1, 0, 0, recovery_s, ready_s)
    assert not Outcome(whole.options, [row], whole.verdict, whole.calls, whole.model_jobs, {}, []).kept
