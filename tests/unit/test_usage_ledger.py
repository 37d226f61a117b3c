"""The usage ledger: one charged attempt a step, whatever the order and however often the events come."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Lane, Usage, UsageEvent
from schemas.ids import usage_id
from schemas.usage_ledger import DAY_MS, SETTLED_MS, LedgerEntry, charged, fold_usage
from schemas.usage_rows import COLUMNS, HOUR_MS, ZERO, RowId, added, day_of, entry_rows, subtracted, sum_rows

HOUR = 1_800_000_000_000 // HOUR_MS * HOUR_MS


def usage(step: str = "ocr", attempt: int = 1, *, epoch: int = 0, outcome: str = "done", **more: object) -> UsageEvent:
    """An event of one job."""
    event = UsageEvent(
        event_id=usage_id("job", epoch, step, attempt),
        request_id="job",
        service="mail-room",
        key_id="k1",
        module="gongmun",
        step=step,
        attempt=attempt,
        model="m",
        upstream="u",
        lane=Lane.INTERACTIVE,
        outcome=outcome,
        usage=Usage(pages=3, prompt_tokens=10, work_seconds=0.25),
        measured_at_ms=HOUR + 5,
        epoch=epoch,
    )
    return replace(event, **more)


def fold(events: Iterable[tuple[int, UsageEvent]]) -> LedgerEntry:
    """Fold events, each with its offset."""
    entry: LedgerEntry | None = None
    for offset, event in events:
        entry = fold_usage(entry, event, offset)
    assert entry is not None
    return entry


def totals(entry: LedgerEntry) -> dict[str, int]:
    """The sum over all rows of an entry, without what is 0."""
    total = ZERO
    for amounts in entry_rows(entry).values():
        total = added(total, amounts)
    return {name: n for name, n in zip(COLUMNS, total, strict=True) if n}


events = st.builds(
    usage,
    st.sampled_from(["ocr", "extract"]),
    st.integers(1, 3),
    epoch=st.integers(0, 2),
    outcome=st.sampled_from(["done", "failed", "cancelled", "aborted"]),
    waste=st.booleans(),
    final=st.booleans(),
    lane=st.sampled_from([Lane.INTERACTIVE, Lane.REPLAY]),
    measured_at_ms=st.sampled_from([HOUR, HOUR + HOUR_MS, HOUR + 40 * DAY_MS, HOUR + 85 * DAY_MS]),
    usage=st.builds(Usage, pages=st.integers(0, 3), work_seconds=st.sampled_from([0.1, 0.2, 0.7])),
    digest=st.sampled_from(["", "a", "b"]),
    created_at_ms=st.integers(0, 2),
    started_at_ms=st.integers(0, 2),
)
logs = st.lists(events, min_size=1, max_size=8).map(lambda found: list(enumerate(found)))


@given(log=logs, data=st.data())
def test_neither_order_nor_repeats_change_the_ledger(log: list[tuple[int, UsageEvent]], data: st.DataObject) -> None:
    again = data.draw(st.permutations(log + data.draw(st.lists(st.sampled_from(log)))))
    assert fold(again) == fold(log)
    assert entry_rows(fold(again)) == entry_rows(fold(log))


@given(log=logs)
def test_of_each_step_one_attempt_is_charged_and_the_request_counts_at_most_once(
    log: list[tuple[int, UsageEvent]],
) -> None:
    entry = fold(log)
    steps = [record.event.step for record in charged(entry)]
    assert len(steps) == len(set(steps))
    assert totals(entry).get("requests", 0) <= 1


@given(log=logs)
def test_charged_and_waste_together_are_all_that_was_used(log: list[tuple[int, UsageEvent]]) -> None:
    entry = fold(log)
    found = totals(entry)
    assert found["attempts"] == len(entry.records)
    used = sum(record.event.usage.pages for record in entry.records)
    assert found.get("pages", 0) + found.get("waste_pages", 0) == used


@given(log=logs, at=st.integers(0, 8))
def test_rows_can_be_moved_step_by_step(log: list[tuple[int, UsageEvent]], at: int) -> None:
    rows: dict[RowId, tuple[int, ...]] = {}
    entry: LedgerEntry | None = None
    for offset, event in log:
        before = entry_rows(entry) if entry else {}
        entry = fold_usage(entry, event, offset)
        after = entry_rows(entry)
        for row in before.keys() | after.keys():
            rows[row] = added(rows.get(row, ZERO), subtracted(after.get(row, ZERO), before.get(row, ZERO)))
    assert {row: amounts for row, amounts in rows.items() if amounts != ZERO} == entry_rows(fold(log))


@given(log=logs)
def test_what_has_long_been_settled_stays_as_it_is_whatever_comes(log: list[tuple[int, UsageEvent]]) -> None:
    entry: LedgerEntry | None = None
    before: dict[RowId, tuple[int, ...]] = {}
    for offset, event in sorted(log, key=lambda one: one[1].measured_at_ms):
        entry = fold_usage(entry, replace(event, event_id=f"e{offset}"), offset)
        after = entry_rows(entry)
        settled_ms = event.measured_at_ms - SETTLED_MS
        was, now = ({row: n for row, n in rows.items() if row.start_ms <= settled_ms} for rows in (before, after))
        assert now == was
        before = after


def test_a_measured_record_beats_an_aborted_one_and_then_the_lowest_offset_holds() -> None:
    aborted, first, second = (
        usage(outcome="aborted", usage=Usage(pages=1)),
        usage(usage=Usage(pages=2)),
        usage(usage=Usage(pages=4)),
    )
    entry = fold([(0, aborted), (7, second), (3, first)])
    assert [(r.offset, r.event.usage.pages) for r in entry.records] == [(3, 2)]


def test_what_is_charged_beats_what_was_written_as_waste_under_its_id() -> None:
    """An attempt whose failure was written and not committed begins again under its number."""
    log = [(5, usage(outcome="failed", waste=True)), (9, usage(final=True))]
    for entry in (fold(log), fold(reversed(log))):
        assert [r.offset for r in charged(entry)] == [9]
        assert totals(entry)["requests"] == 1


@given(log=logs)
def test_of_several_submissions_under_one_id_one_is_charged(log: list[tuple[int, UsageEvent]]) -> None:
    assert len({record.event.digest for record in charged(fold(log))} - {""}) <= 1


def test_the_submission_that_was_made_first_is_charged_and_the_other_is_seen() -> None:
    """Whichever was measured first, and with all of its steps: 500 pages are not had for the price of one."""
    first = [
        usage(step, digest="a", created_at_ms=1, usage=Usage(pages=500), final=step == "llm") for step in ("ocr", "llm")
    ]
    second = [
        usage(step, digest="b", created_at_ms=2, usage=Usage(pages=1), final=step == "llm") for step in ("ocr", "llm")
    ]
    log = list(enumerate((*second, *first)))
    for entry in (fold(log), fold(reversed(log))):
        found = totals(entry)
        assert (found["requests"], found["attempts"]) == (1, 4)
        assert (found["pages"], found["waste_pages"]) == (1000, 2)


def test_an_attempt_that_was_made_again_under_its_number_is_seen() -> None:
    """Its first end was written and not committed: both were worked for, and one is charged."""
    first, again = usage(started_at_ms=1, final=True), usage(started_at_ms=9, final=True, usage=Usage(pages=2))
    for log in ([(4, first), (6, again), (7, first)], [(6, again), (7, first), (4, first)]):
        entry = fold(log)
        assert [r.offset for r in charged(entry)] == [4]
        found = totals(entry)
        assert (found["requests"], found["attempts"], found["pages"], found["waste_pages"]) == (1, 2, 3, 2)


def test_a_step_whose_writer_told_no_digest_is_charged_with_the_others() -> None:
    entry = fold([(0, usage("ocr")), (1, usage("llm", digest="a", created_at_ms=1, final=True))])
    assert totals(entry)["pages"] == 6


def test_an_attempt_that_failed_is_waste() -> None:
    entry = fold([(0, usage(outcome="failed", waste=True)), (1, usage(attempt=2, final=True))])
    assert totals(entry) == {
        "requests": 1,
        "attempts": 2,
        "prompt_tokens": 10,
        "pages": 3,
        "work_ms": 250,
        "waste_prompt_tokens": 10,
        "waste_pages": 3,
        "waste_work_ms": 250,
    }


def test_two_attempts_that_both_ended_are_charged_once() -> None:
    entry = fold([(4, usage(attempt=2, final=True)), (9, usage(attempt=1, final=True))])
    assert [r.offset for r in charged(entry)] == [4]
    assert totals(entry)["requests"] == 1


def test_a_replayed_dead_letter_takes_the_place_of_the_failure() -> None:
    failed = usage("extract", 3, outcome="failed", final=True)
    entry = fold([(0, usage("ocr")), (1, failed), (2, usage("extract", epoch=1, final=True))])
    assert {r.offset for r in charged(entry)} == {0, 2}
    (row,) = [row for row, amounts in entry_rows(entry).items() if amounts[0]]
    assert row.outcome == "done"


def test_a_replay_charges_nothing_and_shows_what_it_used() -> None:
    found = totals(fold([(0, usage(lane=Lane.REPLAY, final=True))]))
    assert "requests" not in found
    assert "pages" not in found
    assert found["waste_pages"] == 3


def test_days_are_those_of_seoul() -> None:
    # 2027-01-15T14:59Z and 15:00Z are the end of one day and the begin of the next there.
    base = RowId(1_800_025_140_000, "s", "k", "m", "", "", "", "")
    assert day_of(base).start_ms == 1_799_938_800_000
    assert day_of(base._replace(start_ms=1_800_025_200_000)).start_ms == 1_800_025_200_000


def test_partitions_add_up() -> None:
    row = RowId(0, "s", "k", "m", "", "", "", "")
    one = (1, *ZERO[1:])
    assert sum_rows([{row: one}, {row: one}]) == {row: (2, *ZERO[1:])}


def test_nothing_that_is_repeated_is_written_again() -> None:
    entry = fold([(0, usage())])
    assert fold_usage(entry, usage(), 5) is entry
    with pytest.raises(StopIteration):
        next(iter(charged(fold([(0, usage(waste=True))]))))
