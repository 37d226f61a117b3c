"""What a submission becomes on the log."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from schemas.payloads import BlobRef, Payload, text_payload
from schemas.submissions import Submission, accepted, first_request, input_digest, job_of
from streams.modules import load_modules

FOLDER = Path(__file__).resolve().parents[2] / "modules"


def _submission(**changes: object) -> Submission:
    module = load_modules(FOLDER, noop=True).get("noop")
    assert module is not None
    made = Submission(module.spec, "team-a", "key", (text_payload("가"),), '{"sleep_ms":0}', None)
    return replace(made, **changes)


def test_with_a_key_the_id_is_a_function_of_it():
    """Service and key make the id; time and content do not."""
    first = job_of(_submission(idempotency_key="k"), 1)
    assert first.job_id == job_of(_submission(idempotency_key="k", inputs=(text_payload("나"),)), 2).job_id
    assert first.job_id != job_of(_submission(idempotency_key="k", service="team-b"), 1).job_id
    assert job_of(_submission(), 1).job_id != job_of(_submission(), 1).job_id


def test_the_digest_is_of_the_content():
    """However it is sent, whatever its file is called; options count."""
    inline = _submission()
    ref = BlobRef("team-a", sha256("가".encode()).hexdigest(), 3, "text/plain")
    blob = _submission(inputs=(Payload("text/plain", "a.txt", blob=ref),))
    assert input_digest(inline) == input_digest(blob)
    assert input_digest(inline) != input_digest(_submission(options='{"sleep_ms":1}'))
    assert input_digest(inline) != input_digest(_submission(inputs=(text_payload("가"), text_payload("가"))))


def test_request_and_event_are_of_one_job():
    """And ask for the first step on its interactive topic."""
    submission = _submission()
    job = job_of(submission, 5)
    topic, request = first_request(submission, job)
    event = accepted(submission, job)
    assert topic.name == "noop.requests"
    assert request.job == event.job == job
    assert request.steps == event.steps
    assert request.inputs == event.inputs == submission.inputs


def test_a_default_that_changes_makes_no_other_content():
    """A caller who asks again under the same key sends what was sent before; what was set is what counts."""
    before = _submission(options='{"sleep_ms":0}', given="{}")
    after = _submission(options='{"sleep_ms":5}', given="{}")
    assert input_digest(before) == input_digest(after)
    assert input_digest(before) != input_digest(_submission(options='{"sleep_ms":0}', given='{"sleep_ms":0}'))
