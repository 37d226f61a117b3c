"""Replays as values: their fold, what may be asked of them, and the comparison of results."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInput
from schemas.events import Step
from schemas.ids import is_job_id
from schemas.modules import ModuleSpec, Title
from schemas.replay_diff import compare, diff_document
from schemas.replays import (
    ReplayEvent,
    ReplayKind,
    ReplayPlan,
    ReplayRequest,
    ReplayStatus,
    check_order,
    fold_replay,
    overlapping,
    replayed_id,
    slot_of,
)
from schemas.services import ServiceSettings
from schemas.topics import STAGES
from streams.log.kafka_times import Range
from streams.log.protocols import Partition
from streams.modules import Modules
from streams.replay.open_jobs import LEAST_OPEN, Window
from streams.replay.planner import check_lifetime, check_range
from streams.replay.sources import find_source

ASKED = ReplayRequest("ocr.done", ("ocr.done",), "", 1_000, 2_000)


def event(kind: str, at_ms: int = 1, request: ReplayRequest = ASKED) -> ReplayEvent:
    plan = ReplayPlan(1, 1, 0.1) if kind == ReplayKind.PLANNED else None
    return ReplayEvent(f"r:{kind}", "r", kind, at_ms, "k", "s", request if kind == "started" else None, plan)


def status(*kinds: ReplayKind) -> str:
    state = fold_replay(event(kind) for kind in kinds)
    return state.status if state else ""


def test_a_replay_goes_its_way() -> None:
    k = ReplayKind
    assert status() == ""
    assert status(k.PLANNED) == ""
    assert status(k.STARTED) == ReplayStatus.PLANNING
    assert status(k.STARTED, k.PLANNED) == ReplayStatus.RUNNING
    assert status(k.STARTED, k.PLANNED, k.PAUSED) == ReplayStatus.PAUSED
    assert status(k.STARTED, k.PLANNED, k.PAUSED, k.RESUMED) == ReplayStatus.RUNNING
    assert status(k.STARTED, k.PLANNED, k.CANCELLED) == ReplayStatus.CANCELLED
    assert status(k.STARTED, k.PLANNED, k.FINISHED) == ReplayStatus.DONE
    assert status(k.STARTED, k.PLANNED, k.FINISHED, k.PROMOTING) == ReplayStatus.DONE
    assert status(k.STARTED, k.PLANNED, k.FINISHED, k.PROMOTING, k.PROMOTED) == ReplayStatus.PROMOTED
    assert status(k.STARTED, k.PLANNED, k.FINISHED, k.DISCARDED) == ReplayStatus.DISCARDED


@given(st.lists(st.sampled_from(list(ReplayKind)), max_size=12), st.randoms())
def test_compaction_and_the_order_of_slots_change_nothing(kinds: list[ReplayKind], chance: object) -> None:
    log = [event(kind, at) for at, kind in enumerate(kinds)]
    kept = list({slot_of(e): e for e in log}.values())
    chance.shuffle(kept)
    assert fold_replay(kept) == fold_replay(log)


def test_orders_are_refused_where_they_make_no_sense_and_ignored_where_they_were_given() -> None:
    def state(*kinds: ReplayKind):
        return fold_replay(event(k) for k in (ReplayKind.STARTED, ReplayKind.PLANNED, *kinds))

    assert check_order(state(), ReplayKind.PAUSED)
    assert not check_order(state(ReplayKind.PAUSED), ReplayKind.PAUSED)
    assert check_order(state(ReplayKind.FINISHED), ReplayKind.PROMOTING)
    assert not check_order(state(ReplayKind.FINISHED, ReplayKind.PROMOTING), ReplayKind.PROMOTING)
    for kinds, order in (
        ((), ReplayKind.PROMOTING),
        ((), ReplayKind.DISCARDED),
        ((ReplayKind.FINISHED,), ReplayKind.CANCELLED),
        ((ReplayKind.FINISHED, ReplayKind.PROMOTING), ReplayKind.DISCARDED),
        ((ReplayKind.CANCELLED,), ReplayKind.PROMOTING),
    ):
        with pytest.raises(InvalidInput, match="the replay r is"):
            check_order(state(*kinds), order)


def test_two_replays_of_one_range_overlap_only_when_they_would_do_the_same() -> None:
    running = fold_replay([event(ReplayKind.STARTED), event(ReplayKind.PLANNED)])
    assert overlapping(ASKED, [running]) is running
    for other in (
        replace(ASKED, since_ms=2_000, until_ms=3_000),
        replace(ASKED, topics=("stt.done",)),
        replace(ASKED, model="another"),
        replace(ASKED, dry_run=True),
    ):
        assert overlapping(other, [running]) is None
    done = fold_replay([event(ReplayKind.STARTED), event(ReplayKind.PLANNED), event(ReplayKind.FINISHED)])
    assert overlapping(ASKED, [done]) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"stage": "gongmun.extract", "of_module": "gongmun"}, {}),
        ({"module": "gongmun", "of_module": "gongmun"}, {"of_module": "gongmun"}),
        ({"module": "gongmun"}, {"of_module": "gongmun"}),
        ({"module": "gongmun", "module_version": "3"}, {"module": "gongmun"}),
        ({"stage": "gongmun.extract", "module": "gongmun", "module_version": "3"}, {}),
    ],
)
def test_what_is_spelled_differently_and_may_be_the_same_work_overlaps(a: dict[str, str], b: dict[str, str]) -> None:
    """Both ran, at twice the model's cost."""
    for one, other in ((a, b), (b, a)):
        running = fold_replay([event(ReplayKind.STARTED, request=replace(ASKED, **one))])
        assert running is not None
        assert overlapping(replace(ASKED, **other), [running]) is running


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"stage": "gongmun.extract"}, {"stage": "llm"}),
        ({"module": "gongmun"}, {"module": "summary"}),
        ({"module": "summary", "of_module": "gongmun"}, {"of_module": "gongmun"}),
        ({"of_module": "gongmun"}, {"of_module": "summary"}),
        ({"model": "a"}, {}),
    ],
)
def test_other_work_on_the_same_records_does_not_overlap(a: dict[str, str], b: dict[str, str]) -> None:
    running = fold_replay([event(ReplayKind.STARTED, request=replace(ASKED, **a))])
    assert running is not None
    assert overlapping(replace(ASKED, **b), [running]) is None


def test_a_promotion_that_ended_the_replay_does_not_begin_again() -> None:
    """Its plan was gone: each try ended it once more, without end."""
    k = ReplayKind
    kinds = (k.STARTED, k.PLANNED, k.FINISHED, k.PROMOTING)
    before, after = (fold_replay(event(kind) for kind in (*kinds, *more)) for more in ((), (k.CANCELLED,)))
    assert before is not None
    assert after is not None
    assert (before.promoting, after.promoting) == (True, False)
    assert check_order(after, k.DISCARDED)


def test_what_a_cancelled_replay_left_open_is_stopped_once_whatever_is_decided_meanwhile() -> None:
    k = ReplayKind

    def stopping(*kinds: ReplayKind, request: ReplayRequest = ASKED) -> bool:
        state = fold_replay(event(kind, request=request) for kind in (k.STARTED, *kinds))
        return state is not None and state.stopping

    assert not stopping(k.PLANNED)
    assert stopping(k.PLANNED, k.CANCELLED)
    assert stopping(k.PLANNED, k.CANCELLED, k.DISCARDED)
    assert not stopping(k.PLANNED, k.CANCELLED, k.STOPPED)
    assert not stopping(k.CANCELLED), "nothing was started"
    assert not stopping(k.PLANNED, k.CANCELLED, request=replace(ASKED, dry_run=True))


def test_the_window_of_open_jobs_follows_how_many_end() -> None:
    window = Window()
    assert window.room(0) == LEAST_OPEN
    assert window.room(LEAST_OPEN) == 0
    for second in range(10):
        window.note(50, float(second))
    assert window.room(0) == 1_000
    window.note(0, 100.0)
    assert window.room(0) == LEAST_OPEN, "work that has become slow, or has stopped"


def test_a_period_for_which_a_service_no_longer_has_its_files_is_refused() -> None:
    """The plan would be made, and every job fail that needs one."""
    ttl, day_ms = timedelta(days=30), 86_400_000
    week = ServiceSettings("mail", retention_days=7)
    asked = replace(ASKED, service="mail", since_ms=80 * day_ms, until_ms=100 * day_ms)
    with pytest.raises(InvalidInput, match="for 7 days") as caught:
        check_lifetime(asked, week, ttl, 100 * day_ms)
    assert caught.value.code == "range_removed"
    check_lifetime(replace(asked, since_ms=94 * day_ms), week, ttl, 100 * day_ms)
    check_lifetime(asked, ServiceSettings("mail"), ttl, 100 * day_ms)
    check_lifetime(replace(asked, since_ms=0), week, ttl, 100 * day_ms)


def test_the_id_is_a_function_of_replay_and_original() -> None:
    assert replayed_id("r", "a") == replayed_id("r", "a")
    assert len({replayed_id(r, o) for r in "rs" for o in "ab"}) == 4
    assert is_job_id(replayed_id("r", "a"))


def test_results_are_compared_by_their_leaves() -> None:
    before = {"a": 1, "b": {"c/d": "x"}, "l": [1, 2], "n": None, "gone": "y", "t": True}
    after = {"a": 1.0, "b": {"c/d": "z"}, "l": [1, 2, 3], "n": "", "t": 1}
    diff = compare("o", "n", before, after)
    assert {(c.pointer, c.kind) for c in diff.changes} == {
        ("/b/c~1d", "changed"),
        ("/l/2", "gained"),
        ("/gone", "lost"),
        ("/t", "changed"),
    }
    assert diff.same == 3
    document = diff_document("r", [diff, compare("p", "q", after, after)], examples=1)
    assert (document["changed"], document["gained"], document["lost"]) == (2, 1, 1)
    assert document["identical"] == 1
    assert {f["field"] for f in document["fields"]} == {"/b/c~1d", "/l/-", "/gone", "/t"}
    assert [j["job_id"] for j in document["jobs"]] == ["o"]
    assert document["jobs_left_out"] == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, json_values)
def test_a_comparison_turned_round_gains_what_was_lost(a: object, b: object) -> None:
    there, back = compare("o", "n", a, b), compare("o", "n", b, a)
    assert compare("o", "n", a, a).changes == []
    turned = {"gained": "lost", "lost": "gained", "changed": "changed"}
    assert [(c.pointer, turned[c.kind]) for c in there.changes] == [(c.pointer, c.kind) for c in back.changes]
    assert there.same == back.same


def test_a_period_that_retention_has_removed_is_refused_and_one_that_is_whole_is_not() -> None:
    day = 86_400_000
    now, kept = 100 * day, timedelta(days=35)
    asked = ReplayRequest("ocr.done", ("ocr.done",), "", 10 * day, 90 * day)
    place = Partition("ocr.done", 0)
    with pytest.raises(InvalidInput, match="retention") as refused:
        check_range(asked, {place: Range(5, 9, first=5, first_ms=70 * day)}, kept, now)
    assert refused.value.code == "range_removed"
    assert "1970-03-12" in refused.value.remedy
    check_range(asked, {place: Range(0, 9, first=0, first_ms=70 * day)}, kept, now)
    with pytest.raises(InvalidInput) as empty:
        check_range(asked, {place: Range(9, 9, first=0, first_ms=None)}, kept, now)
    assert empty.value.code == "empty_range"


@pytest.mark.parametrize(
    ("kinds", "stage"), [(("nobody",), ""), (("nobody", "noop"), "noop"), (("noop", "nobody"), "")]
)
def test_a_module_with_a_stage_that_there_is_none_of_here_is_no_source(kinds: tuple[str, ...], stage: str) -> None:
    """Its topics are not known; the answer says what is missing."""
    said = Title("가", "a")
    steps = tuple(Step(kind, kind) for kind in kinds)
    modules = Modules([ModuleSpec("chain", "1", said, said, frozenset({"text"}), steps)])
    with pytest.raises(InvalidInput, match="nobody") as caught:
        find_source("chain", stage, modules, STAGES)
    assert caught.value.code == "unknown_stage"
