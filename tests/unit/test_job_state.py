"""A job's state is the same whatever the order and the number of times its records arrive in."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import ErrorInfo, JobEvent, JobRef, JobResult, Progress, Step, Usage
from schemas.job_state import JobState, fold
from schemas.job_view import job_view
from schemas.payloads import BlobRef, Payload
from tests.unit.records import job_events, logs

STEPS = (Step("ocr", "ocr"), Step("extract", "gongmun.extract"))
JOB = JobRef("job", "s", "k", "gongmun", "1", "interactive", 1_000, "digest")
Log = list[tuple[JobEvent | JobResult, int]]


def folded(log: Log) -> JobState:
    state: JobState | None = None
    for record, offset in log:
        state = fold(state, record, offset)
    assert state is not None
    return state


def event(kind: str, at_ms: int = 2_000, *, job: JobRef = JOB, **more: object) -> JobEvent:
    return JobEvent(f"e:{kind}", job, kind, STEPS, at_ms, **more)


def result(status: str, at_ms: int = 3_000, *, job: JobRef = JOB, **more: object) -> JobResult:
    return JobResult(f"r:{status}", job, status, STEPS, finished_at_ms=at_ms, **more)


@settings(max_examples=200)
@given(log=logs().filter(bool), data=st.data())
def test_order_and_repeats_change_nothing(log: Log, data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(log), max_size=4))
    other = data.draw(st.permutations(log + repeats))
    assert folded(other) == folded(log)


@given(log=logs().filter(bool), data=st.data())
def test_a_record_that_was_folded_changes_nothing_and_says_so(log: Log, data: st.DataObject) -> None:
    state = folded(log)
    record, offset = data.draw(st.sampled_from(log))
    assert fold(state, record, offset) is state


@given(record=job_events)
def test_any_one_event_builds_the_job(record: JobEvent) -> None:
    view = job_view("job", folded([(record, 0)]))
    assert view.service == record.job.service
    assert view.document["module"] == record.job.module


def test_the_first_accepted_fixes_the_digest_and_later_ones_are_marked() -> None:
    other = replace(JOB, input_digest="another", created_at_ms=1)
    log: Log = [(event("accepted", job=other), 7), (event("accepted"), 3), (result("done", job=other), 0)]
    for order in permutations(log):
        state = folded(list(order))
        assert state.current.job.input_digest == "digest"
        assert state.conflicting
        document = job_view("job", state).document
        assert document["status"] == "queued"
        assert "conflict" in document


def test_a_submission_without_accepted_gives_way_to_one_that_has_it() -> None:
    other = replace(JOB, input_digest="another", created_at_ms=1)
    state = folded([(event("stage_started", job=other, step="ocr", attempt=1), 0), (event("accepted"), 9)])
    assert state.current.job.input_digest == "digest"


def test_of_a_cancel_and_a_done_the_lower_offset_holds() -> None:
    for order in permutations([(result("cancelled"), 4), (result("done"), 5)]):
        assert job_view("job", folded(list(order))).document["status"] == "cancelled"
    for order in permutations([(result("cancelled"), 5), (result("done"), 4)]):
        assert job_view("job", folded(list(order))).document["status"] == "done"


def test_a_higher_epoch_takes_the_job_whatever_its_offset() -> None:
    again = replace(JOB, epoch=1)
    failed = result("failed", error=ErrorInfo("work_failed", "it hung", "ocr"))
    for order in permutations([(failed, 0), (result("done", job=again), 9)]):
        document = job_view("job", folded(list(order))).document
        assert document["status"] == "done"
        assert document["error"] is None


def test_work_in_a_higher_epoch_opens_a_failed_job_again() -> None:
    again = replace(JOB, epoch=1)
    log: Log = [(result("failed"), 0), (event("stage_started", job=again, step="ocr", attempt=1), 1)]
    document = job_view("job", folded(log)).document
    assert document["status"] == "running"
    assert document["finished_at"] is None


def test_terminal_events_only_inform() -> None:
    for kind in ("done", "failed", "cancelled"):
        assert job_view("job", folded([(event("accepted"), 0), (event(kind), 1)])).document["status"] == "queued"


def test_of_two_attempts_that_finished_the_first_counts() -> None:
    late = event("stage_done", 2_500, step="ocr", attempt=1, usage=Usage(pages=9))
    early = event("stage_done", 2_400, step="ocr", attempt=2, usage=Usage(pages=3))
    for order in permutations([(late, 0), (early, 1)]):
        document = job_view("job", folded(list(order))).document
        assert document["usage"]["pages"] == 3
        assert document["stages"][0]["attempts"] == 2


def test_progress_never_goes_back() -> None:
    log: Log = [
        (event("progress", step="ocr", attempt=1, progress=Progress(1, done, 5, "pages")), n)
        for n, done in enumerate((1, 4, 2))
    ]
    for order in permutations(log):
        stage = job_view("job", folded(list(order))).document["stages"][0]
        assert stage["progress"] == {"done": 4, "total": 5, "unit": "pages"}


def test_the_view_of_a_finished_letter() -> None:
    pages = BlobRef("s", "a" * 64, 10, "application/json")
    payload = Payload("application/json", inline=b"{}")
    letter = Payload("image/png", "a.png", blob=BlobRef("s", "b" * 64, 99, "image/png"))
    state = folded(
        [
            (event("accepted", 1_001, inputs=(letter,)), 0),
            (event("stage_done", 1_500, step="ocr", attempt=1, started_at_ms=1_100, artifacts={"pages": pages}), 1),
            (
                result("done", 1_900, result=payload, step="extract", attempt=1, started_at_ms=1_600),
                0,
            ),
        ]
    )
    view = job_view("job", state)
    assert view.result == payload
    assert view.inputs == (letter,)
    assert view.artifacts == {"pages": pages}
    assert view.document == {
        "job_id": "job",
        "module": "gongmun",
        "module_version": "1",
        "service": "s",
        "lane": "interactive",
        "status": "done",
        "stages": [
            {
                "name": "ocr",
                "status": "done",
                "attempts": 1,
                "started_at": "1970-01-01T00:00:01.100Z",
                "finished_at": "1970-01-01T00:00:01.500Z",
                "progress": None,
            },
            {
                "name": "extract",
                "status": "done",
                "attempts": 1,
                "started_at": "1970-01-01T00:00:01.600Z",
                "finished_at": "1970-01-01T00:00:01.900Z",
                "progress": None,
            },
        ],
        "result": None,
        "error": None,
        "usage": {
            "pages": 0,
            "prompt_tokens": 0,
            "completion_tokens": 0,
            "audio_seconds": 0.0,
            "work_seconds": 0.0,
            "bytes_in": 0,
            "estimated": False,
        },
        "created_at": "1970-01-01T00:00:01.000Z",
        "updated_at": "1970-01-01T00:00:01.900Z",
        "finished_at": "1970-01-01T00:00:01.900Z",
    }


def test_a_failed_job_says_which_stage_failed() -> None:
    failed = result("failed", error=ErrorInfo("bad_pdf", "cut short", "ocr", "send it again"), step="ocr", attempt=3)
    document = job_view("job", folded([(event("accepted"), 0), (failed, 0)])).document
    assert [s["status"] for s in document["stages"]] == ["failed", "cancelled"]
    assert document["error"] == {"code": "bad_pdf", "message": "cut short", "stage": "ocr", "remedy": "send it again"}
