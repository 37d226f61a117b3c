"""What a past record becomes when it is replayed: the job, its slip and its options."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.errors import InvalidInput
from schemas.events import Lane, StageOutcome, StageRequest, Step
from schemas.payloads import text_payload
from schemas.replays import ReplayRequest, replayed_id
from schemas.topics import STAGES
from streams.modules import Modules, load_modules
from streams.replay.asking import DEFAULT_RATE, MOST_A_SECOND, replay_request
from streams.replay.starting import NewJob, new_job
from tests.builders import job_ref, stage_request

MODULES = load_modules(Path(__file__).resolve().parents[2] / "modules", noop=True)
ASKED = ReplayRequest("ocr.done", ("ocr.done",), "", 1_000, 2_000)
READ = text_payload("what was read")


def outcome(options: str = "{}", module: str = "gongmun") -> StageOutcome:
    """A letter that was read."""
    steps = (Step("ocr", "ocr"), Step("gongmun.extract", "gongmun.extract"))
    return StageOutcome("e1", job_ref(module=module), steps, 0, 1, (READ,), options=options)


def repeated(source: StageRequest | StageOutcome, modules: Modules = MODULES, **asked: Any) -> NewJob:
    """The new job of a replay called r."""
    return new_job("r", replace(ASKED, **asked), source, modules, STAGES, 5_000)


def test_a_letter_that_was_read_begins_with_its_extraction() -> None:
    source = outcome('{"own_organisation":"완주군"}')
    made = repeated(source)
    job = made.request.job
    assert made.topic is STAGES["gongmun.extract"].requests[Lane.REPLAY]
    assert (job.job_id, job.replay_of) == (replayed_id("r", source.job.job_id), source.job.job_id)
    assert (job.service, job.key_id, job.lane) == (source.job.service, source.job.key_id, Lane.REPLAY)
    assert [step.kind for step in made.request.steps] == ["gongmun.extract"]
    assert (made.request.position, made.request.inputs) == (0, (READ,))
    assert orjson.loads(made.request.options)["own_organisation"] == "완주군"
    assert (made.accepted.job, made.accepted.steps) == (job, made.request.steps)


def test_a_request_begins_with_its_own_stage() -> None:
    source = stage_request("ocr", "gongmun.extract", job=job_ref(module="gongmun"))
    made = repeated(source, topics=("ocr.requests",), stage="ocr")
    assert [step.kind for step in made.request.steps] == ["ocr", "gongmun.extract"]
    assert made.topic is STAGES["ocr"].requests[Lane.REPLAY]
    assert made.request.inputs == source.inputs


def test_it_runs_with_the_module_that_runs_now_or_the_one_that_is_asked_for() -> None:
    assert repeated(outcome()).request.job.module_version == "2", "the original ran with 1"
    other = repeated(outcome(), module="gongmun-translation")
    assert other.request.job.module == "gongmun-translation"
    assert [step.kind for step in other.request.steps] == ["gongmun.extract", "llm"]


def test_the_model_is_the_one_that_is_asked_for() -> None:
    source = stage_request("llm", job=job_ref(module="llm"), options='{"model":"old","temperature":0.5}')
    assert orjson.loads(repeated(source, model="new").request.options) == {"model": "new", "temperature": 0.5}
    assert orjson.loads(repeated(source).request.options)["model"] == "old"


def test_an_option_that_the_module_no_longer_has_is_left_out() -> None:
    options = orjson.loads(repeated(outcome('{"gone":1,"use_model":false}')).request.options)
    assert "gone" not in options
    assert options["use_model"] is False


@pytest.mark.parametrize(
    ("source", "asked", "code"),
    [
        (outcome(module="nothing"), {}, "unknown_module"),
        (outcome(), {"module": "gongmun", "module_version": "1"}, "unknown_version"),
        (replace(outcome(), position=1), {}, "no_next_stage"),
        (outcome(), {"stage": "llm"}, "other_stage"),
        (outcome(), {"module": "ocr"}, "stage_not_in_module"),
        (outcome('{"use_model":"perhaps"}'), {}, "invalid_option"),
    ],
)
def test_what_cannot_be_done_again_says_why(source: StageOutcome, asked: dict[str, str], code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        repeated(source, **asked)
    assert caught.value.code == code


def test_only_its_times_depend_on_when_it_is_made() -> None:
    """A runner that takes over makes the same records, so a repeat of them changes nothing."""
    source = outcome()
    one = new_job("r", ASKED, source, MODULES, STAGES, 5_000)
    two = new_job("r", ASKED, source, MODULES, STAGES, 9_000)
    assert two.request.job == replace(one.request.job, created_at_ms=9_000)
    assert (two.request.event_id, two.accepted.event_id) == (one.request.event_id, one.accepted.event_id)


def asked_for(**given: object) -> ReplayRequest:
    """What a JSON body asks for, at the time 10,000."""
    return replay_request({"from": "ocr.done", **given}, MODULES, STAGES, 10_000)


def test_what_is_asked_for_is_taken_over() -> None:
    asked = asked_for(
        since="1970-01-01T00:00:01Z",
        until="1970-01-01T09:00:05+09:00",
        service="mail-room",
        status="failed",
        module="gongmun@2",
        stage="gongmun.extract",
        limit=3,
        rate=7,
    )
    assert (asked.since_ms, asked.until_ms) == (1_000, 5_000)
    assert (asked.service, asked.status, asked.stage) == ("mail-room", "failed", "gongmun.extract")
    assert (asked.module, asked.module_version, asked.limit, asked.rate) == ("gongmun", "2", 3, 7)
    assert asked_for(module="llm", model="big").model == "big"


def test_what_is_not_asked_for_leaves_everything_open() -> None:
    asked = asked_for()
    assert asked == replace(ASKED, since_ms=0, until_ms=10_000, rate=DEFAULT_RATE)
    assert asked_for(rate=10**9).rate == MOST_A_SECOND


def test_a_model_is_asked_only_of_a_module_that_takes_one() -> None:
    with pytest.raises(InvalidInput) as caught:
        asked_for(module="gongmun", model="big")
    assert caught.value.code == "no_model_option"
