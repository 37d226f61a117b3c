"""`gateway job ID --trace` tells all that happened to a job, from the topics alone."""

import subprocess

import httpx
import orjson
import pytest

from bench.stack import ROOT, BenchStack

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TEXT = "a text that must not be shown"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def gateway(stack: BenchStack, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([ROOT / "gateway", *arguments], env=dict(stack.env), capture_output=True, check=False)


def test_a_jobs_records_are_told_in_order_with_their_places_and_trace(stack: BenchStack, rest: httpx.Client) -> None:
    headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    job = rest.post("/v1/noop", json={"text": TEXT}, headers=headers).json()["job_id"]
    assert rest.get(f"/v1/jobs/{job}", params={"wait": 60}).json()["status"] == "done"

    told = gateway(stack, "job", job, "--trace", "--json")
    assert told.returncode == 0, told.stderr.decode()
    body = orjson.loads(told.stdout)
    assert body["job_id"] == job
    places = [(r["topic"], r["what"], r["stage"], r["attempt"]) for r in body["records"]]
    assert sorted(places) == [
        ("job.events", "accepted", "", 0),
        ("job.events", "done", "noop", 1),
        ("noop.requests", "requested", "noop", 0),
        ("results", "result done", "noop", 1),
        ("usage.events", "usage", "noop", 1),
    ]
    assert places[0][0] == "noop.requests", "the request is on the log before the job is accepted"
    assert {r["trace_id"] for r in body["records"]} == {TRACE_ID}
    assert [r["at"] for r in body["records"]] == sorted(r["at"] for r in body["records"])
    assert all(r["partition"] >= 0 and r["offset"] >= 0 for r in body["records"])
    assert TEXT.encode() not in told.stdout


def test_an_id_that_no_topic_knows_is_told_so(stack: BenchStack) -> None:
    told = gateway(stack, "job", "0" * 26, "--trace")
    assert told.returncode == 1
    assert b"no topic knows of" in told.stderr
