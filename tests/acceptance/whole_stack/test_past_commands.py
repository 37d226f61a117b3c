"""`gateway replay …` and `gateway purge` as typed, on a running stack: what was done, done again, and removed."""

import subprocess
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import orjson
import pytest

from bench.stack import ROOT, BenchStack
from streams.storage.paths import blob_path
from tests.waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.full, pytest.mark.timeout(300)]


class Team:
    """A service of a test's own, with a key."""

    def __init__(self, stack: BenchStack) -> None:
        self.stack, self.name = stack, f"team-{uuid4().hex[:8]}"
        key = self.run("keys", "create", "--service", self.name, "--quiet").stdout.strip()
        self.rest = httpx.Client(base_url=stack.url, headers={"X-API-Key": key}, timeout=90, trust_env=False)
        until(lambda: self.rest.get("/v1/jobs").status_code == 200, told="the key is known")

    def run(self, *arguments: str, answer: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        """Type a command; `answer` is what is typed when it asks."""
        done = subprocess.run(
            [ROOT / "gateway", *arguments], env=dict(self.stack.env), input=answer, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *arguments: str) -> dict:
        """Type a command with `--json` and return what it tells."""
        return orjson.loads(self.run(*arguments, "--json").stdout)

    def upload(self, content: bytes) -> str:
        """Upload a file and return its id."""
        return self.rest.post("/v1/blobs", content=content, headers={"Content-Type": "text/plain"}).json()["blob"]

    def done(self, body: dict) -> str:
        """Have a job done and return its id."""
        job = self.rest.post("/v1/noop", json=body).json()["job_id"]
        assert self.rest.get(f"/v1/jobs/{job}", params={"wait": 60}).json()["status"] == "done"
        return job

    def there(self, blob: str) -> bool:
        """Tell whether the store has the blob."""
        return (self.stack.data_dir / "blobs" / blob_path(self.name, blob)).is_file()

    def untouched(self, blob: str) -> bool:
        """Tell whether the blob was last touched longer ago than a file's time is precise: then a purge may have it."""
        file = self.stack.data_dir / "blobs" / blob_path(self.name, blob)
        return time.time() > file.stat().st_mtime + 0.1

    def code(self, job: str) -> str:
        """Return the code with which a look at a job is refused; empty when it is not."""
        answer = self.rest.get(f"/v1/jobs/{job}")
        return "" if answer.status_code == 200 else answer.json()["code"]


@pytest.fixture
def team(stack: BenchStack) -> Team:
    return Team(stack)


def test_a_job_is_purged_by_the_command_and_what_another_shares_is_kept(team: Team) -> None:
    shared, own = team.upload(f"shared {team.name}".encode()), team.upload(f"own {team.name}".encode())
    gone, kept = team.done({"input": {"blob": own}}), team.done({"input": {"blob": shared}})
    sharing = team.done({"input": {"blob": shared}})

    would = team.json("purge", "--job", gone, "--dry-run")
    assert (would["dry_run"], would["jobs"], would["blobs"]) == (True, 1, 1)
    asked = team.run("purge", "--job", gone, answer="n\n", code=1)
    assert "nothing was removed" in asked.stderr
    assert team.there(own)
    assert team.code(gone) == ""

    did = team.json("purge", "--job", gone, "--yes")
    assert (did["dry_run"], did["jobs"], did["blobs"], did["shown"]) == (False, 1, 1, True)
    assert {one["topic"] for one in did["remains"]} >= {"results", "job.events", "noop.requests"}
    assert not team.there(own)
    assert team.code(gone) == "job_purged"

    also = team.run("purge", "--job", sharing, answer="y\n")
    assert "removed 1 jobs" in also.stdout
    assert "1 blobs are kept: other jobs refer to them" in also.stdout
    assert "stays on results" in also.stdout
    assert team.there(shared)
    assert (team.code(sharing), team.code(kept)) == ("job_purged", "")
    assert team.rest.get(f"/v1/jobs/{kept}/input").text == f"shared {team.name}"


def test_a_service_is_purged_up_to_a_time_and_a_scope_that_cannot_be_is_refused(team: Team) -> None:
    old = team.done({"input": {"blob": team.upload(f"old {team.name}".encode())}})
    time_between = datetime.now(UTC) + timedelta(milliseconds=2)
    until(lambda: datetime.now(UTC) > time_between, told="a moment is over")
    new = team.done({"input": {"blob": team.upload(f"new {team.name}".encode())}})
    did = team.json("purge", "--service", team.name, "--before", time_between.isoformat(), "--yes")
    assert (did["jobs"], did["blobs"], did["running"]) == (1, 1, [])
    assert (team.code(old), team.code(new)) == ("job_purged", "")

    for arguments, told in (
        (("--service", team.name), "--before"),
        (("--job", "0" * 26), "there is no job"),
        (("--service", team.name, "--before", "2999-01-01"), "ahead"),
    ):
        refused = team.run("purge", *arguments, "--yes", code=1)
        assert told in refused.stderr
        assert "remedy:" in refused.stderr


def test_an_administrator_purges_by_rest(team: Team, rest: httpx.Client) -> None:
    blob = team.upload(f"by rest {team.name}".encode())
    job = team.done({"input": {"blob": blob}})
    assert team.rest.post("/v1/purges", json={"job": job}).status_code == 403
    assert team.there(blob)
    until(lambda: team.untouched(blob), told="the submission's touch is over")
    did = rest.post("/v1/purges", json={"job": job}).json()
    assert (did["jobs"], did["blobs"], did["shown"]) == (1, 1, True)
    assert not team.there(blob)
    assert team.code(job) == "job_purged"
    told = [one for one in rest.get("/v1/purges").json()["purges"] if one["service"] == team.name]
    assert [(one["state"], one["job"]) for one in told] == [("done", job)]


def test_a_replay_goes_from_its_plan_to_its_promotion_by_commands(team: Team) -> None:
    jobs = [team.done({"text": f"text {n}"}) for n in range(3)]
    one_of = ("--from", "noop", "--service", team.name)
    plan = team.json("replay", "start", *one_of, "--dry-run")
    assert (plan["planned"], plan["started"]) == (3, 0)

    replay = team.json("replay", "start", *one_of)["id"]
    until(lambda: team.json("replay", "status", replay)["state"] == "done", told="it is done")
    diff = team.json("replay", "diff", replay)
    assert (diff["compared"], diff["changed"], diff["gained"], diff["lost"]) == (3, 0, 0, 0)
    told = team.run("replay", "promote", replay).stdout
    assert f"{replay} promoted: 3 planned, 3 started, 3 done, 0 failed, 3 promoted" in told
    assert [team.rest.get(f"/v1/jobs/{job}").json()["status"] for job in jobs] == ["done"] * 3

    narrow = team.json("replay", "start", *one_of, "--limit", "1", "--rate", "1")["id"]
    assert team.json("replay", "status", narrow)["planned"] == 1
    until(lambda: team.json("replay", "status", narrow)["state"] == "done", told="it is done")
    assert " discarded: 1 planned" in team.run("replay", "discard", narrow).stdout
    refused = team.run("replay", "promote", narrow, code=1)
    assert "discarded" in refused.stderr
    assert f"{replay} promoted" in team.run("replay", "list").stdout
