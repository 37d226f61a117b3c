"""The book of batch jobs: whatever order and however often entries come, each record has one outcome."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.batch import BatchEntry, BatchNote
from schemas.events import ErrorInfo, JobRef
from streams.admission.book import Book, Refuse, Start

JOB = JobRef("", "s", "batch", "noop", "1", "bulk", 1, "00" * 32)


def entry(job: int, content: int, refused: bool, offset: int) -> BatchEntry:
    of = replace(JOB, job_id=f"job{job}", input_digest=f"{content:02x}" * 32)
    return BatchEntry(of, f"r{job}", 0, offset, refusal=ErrorInfo("code", "why") if refused else None)


records = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans()), max_size=8).map(
    lambda told: [entry(*each, offset) for offset, each in enumerate(told)]
)


@st.composite
def with_repeats(draw: st.DrawFn) -> tuple[list[BatchEntry], list[BatchEntry]]:
    """Return a door's records and the entries of them: in order, with any stretch repeated, as after a crash."""
    told = draw(records)
    entries: list[BatchEntry] = []
    for end in range(1, len(told) + 1):
        begin = draw(st.integers(max(0, end - 3), end - 1))
        entries += told[begin:end]
    return told, entries


@given(with_repeats())
def test_repeats_after_a_crash_change_nothing(case: tuple[list[BatchEntry], list[BatchEntry]]) -> None:
    told, entries = case
    once, often = Book(), Book()
    assert [o for e in told if (o := once.take(e, e.door_offset))] == [
        o for e in entries if (o := often.take(e, e.door_offset))
    ]


@given(records)
def test_each_job_starts_once_and_every_other_record_is_a_repeat_or_refused(told: list[BatchEntry]) -> None:
    book = Book()
    outcomes = [(e, book.take(e, e.door_offset)) for e in told]
    started = [e.job.job_id for e, o in outcomes if isinstance(o, Start)]
    assert len(started) == len(set(started)) == len(book)
    first = {e.job.job_id: e.job.input_digest for e, o in outcomes if isinstance(o, Start)}
    for e, outcome in outcomes:
        if e.refusal is not None:
            assert isinstance(outcome, Refuse)
        elif first[e.job.job_id] != e.job.input_digest:
            assert isinstance(outcome, Refuse)
            assert outcome.first_job == e.job.job_id
        else:
            assert outcome is None or isinstance(outcome, Start)


def test_an_answer_is_given_once() -> None:
    book = Book()
    book.take(entry(1, 0, False, 0), 0)
    assert book.waiting("job1") is not None
    book.answered("job1", 5)
    assert book.waiting("job1") is None
    assert book.knows("job1")


def test_what_was_answered_is_known_as_long_as_its_answer_is_there_and_then_asked_anew() -> None:
    book = Book()
    first, again = entry(1, 0, False, 0), entry(1, 0, False, 7)
    waits = entry(2, 0, False, 1)
    assert isinstance(book.take(first, first.door_offset), Start)
    assert isinstance(book.take(waits, waits.door_offset), Start)
    assert isinstance(book.take(entry(3, 0, True, 2), 2), Refuse)
    book.answered("job1", 100)
    book.forget(100)
    assert book.take(again, again.door_offset) is None
    assert book.take(entry(1, 1, False, 8), 8) is not None, "other content under the same id"
    book.forget(101)
    assert isinstance(book.take(again, again.door_offset), Start), (
        "it was ignored for ever, and its client waited for ever"
    )
    assert book.take(waits, waits.door_offset) is None
    assert book.waiting("job2") is not None
    assert isinstance(book.take(entry(3, 0, True, 2), 2), Refuse), "forgotten with the others"


def test_an_answer_whose_entry_has_left_the_log_still_answers_a_repeat() -> None:
    """As after a takeover: the answer is all that is left."""
    book = Book()
    book.answered("job1", 100)
    assert len(book) == 0
    assert book.take(entry(1, 0, False, 7), 7) is None
    book.forget(101)
    assert isinstance(book.take(entry(1, 0, False, 7), 7), Start)


@given(records, st.lists(st.integers(0, 2), max_size=4), st.integers(0, 8))
def test_a_book_made_of_notes_and_what_was_open_goes_on_as_the_one_before(
    told: list[BatchEntry], answered: list[int], end: int
) -> None:
    """Whatever was taken and answered before the takeover, each record has the outcome that it would have had."""
    before, settled = Book(), list[BatchNote]()
    end = min(end, len(told))
    for offset, e in enumerate(told[:end]):
        before.take(e, offset)
    for number in answered:
        if before.waiting(f"job{number}") is not None:
            before.answered(f"job{number}", 100)
            settled += before.news()  # as often as there is a transaction
    settled += before.news()
    after, begin = Book(), before.open_from(end)
    after.recall(settled, 100)
    assert [after.take(told[offset], offset) for offset in range(begin, end) if told[offset].refusal is not None] == [
        None for offset in range(begin, end) if told[offset].refusal is not None
    ]
    for offset in range(begin, end):
        after.take(told[offset], offset)
    assert after.news() == [], "nothing is settled by reading it again"
    assert len(after) == len(before)
    assert after.open_from(end) == begin
    repeats = [*told, *(replace(e, door_offset=e.door_offset + 100) for e in told)]
    assert [after.take(e, end + n) for n, e in enumerate(repeats)] == [
        before.take(e, end + n) for n, e in enumerate(repeats)
    ]


def test_a_takeover_begins_at_the_oldest_request_that_is_open() -> None:
    book = Book()
    for n in range(3):
        book.take(entry(n, 0, False, n), n)
    assert book.open_from(3) == 0
    book.answered("job1", 5)
    assert book.open_from(3) == 0
    book.answered("job0", 5)
    assert book.open_from(3) == 2
    book.answered("job2", 5)
    assert book.open_from(3) == 3
