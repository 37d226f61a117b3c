"""The client commands and `keys`, as a user types them, against a running ingress."""

import asyncio
import contextlib
import csv
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio

from schemas.events import JobResult
from schemas.ids import event_id
from schemas.payloads import json_payload
from schemas.topics import RESULTS
from tests.integration.ingress_harness import (
    ROOT,
    Ingress,
    ViewFolder,
    own_database,
    running_ingress,
    settings_for,
)
from tests.waiting import eventually

pytestmark = pytest.mark.kafka

TOLD_TO_RICH = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
UP_AND_CLEAR = "\x1b[1A\x1b[2K"
SERVICE = f"team-{uuid4().hex[:8]}"


@pytest_asyncio.fixture(scope="module")
async def ingress(kafka: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingress]:
    url = own_database(redis_url, 9)
    settings = settings_for(kafka, url, tmp_path_factory.mktemp("cli"))
    async with ViewFolder(kafka, url), running_ingress(settings) as running:
        yield running


class Cli:
    """Runs `gateway` in a folder of its own."""

    def __init__(self, ingress: Ingress, folder: Path) -> None:
        settings = ingress.dependencies.settings
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            "GATEWAY_DATA_DIR": str(settings.data_dir),
            "GATEWAY_HTTP_PORT": str(settings.http_port),
            "GATEWAY_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        }

    async def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Return what it printed; fails the test when it ends otherwise."""
        process = await self._start(arguments, asyncio.subprocess.PIPE, self.env)
        out, err = await process.communicate()
        assert process.returncode == code, err.decode()
        return out.decode(), err.decode()

    @asynccontextmanager
    async def on_terminal(self, *arguments: str) -> AsyncGenerator["Terminal"]:
        """Run a command on a terminal of 120 columns; at the end wait for it, and fail if it ended badly."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        env = {name: value for name, value in self.env.items() if name not in TOLD_TO_RICH} | {"TERM": "xterm-256color"}
        terminal = Terminal(ours)
        process = await self._start(arguments, theirs, env)
        os.close(theirs)
        reading = asyncio.create_task(asyncio.to_thread(terminal.read_to_end))
        try:
            yield terminal
            assert await process.wait() == 0, terminal.sent
        finally:
            if process.returncode is None:
                process.kill()
            await reading
            os.close(ours)

    async def _start(self, arguments: Sequence[str], out: int, env: Mapping[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from cli.main import main; main()",
            *arguments,
            cwd=self.folder,
            env=env,
            stdout=out,
            stderr=out,
        )


class Terminal:
    """The other end of a terminal: what it was sent up to now."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._sent = descriptor, bytearray()

    def read_to_end(self) -> None:
        """Read until nobody has the terminal open any more, which Linux tells by an error."""
        with contextlib.suppress(OSError):
            while piece := os.read(self._descriptor, 4096):
                self._sent += piece

    @property
    def sent(self) -> str:
        """Everything, controls included."""
        return self._sent.decode(errors="replace")

    @property
    def text(self) -> str:
        """What was sent without what moves the cursor and colours the text."""
        return plain(self.sent)


def plain(sent: str) -> str:
    """Return what a terminal was sent, without its controls."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent)


@pytest_asyncio.fixture
async def cli(ingress: Ingress, tmp_path: Path) -> Cli:
    made = Cli(ingress, tmp_path)
    made.env["GATEWAY_API_KEY"] = await ingress.key(SERVICE)
    return made


async def _finish(ingress: Ingress, job_id: str, **outcome: object) -> None:
    found = await ingress.dependencies.notifications.wait_for_change(job_id, None, 10)
    result = JobResult(
        event_id(job_id, 0, "result"),
        found.job,
        "done",
        found.steps,
        finished_at_ms=found.job.created_at_ms + 1500,
        **outcome,
    )
    await ingress.dependencies.publisher.publish(RESULTS, job_id, result)


async def test_keys_create_list_revoke(cli: Cli, ingress: Ingress, wait_until):
    """A made key opens, is listed without its secret, and opens nothing once it is revoked."""
    out, err = await cli("keys", "create", "--service", "mail-room", "--expires", "90d")
    key = out.strip()
    key_id = key.split("_")[1]
    assert re.fullmatch(r"gw_[0-9a-z]{12}_[0-9A-Za-z]{40}", key)
    assert "mail-room" in err

    async def status() -> int:
        async with ingress.client(key) as client:
            return (await client.get("/v1/modules")).status_code

    async def opens() -> bool:
        return await status() == 200

    async def closed() -> bool:
        return await status() == 401

    await wait_until(opens)
    listed, _ = await cli("keys", "list")
    line = next(line for line in listed.splitlines() if line.startswith(key_id))
    assert "mail-room" in line
    assert key.split("_")[2] not in listed
    await cli("keys", "revoke", key_id)
    await wait_until(closed)
    assert "revoked" in next(x for x in (await cli("keys", "list"))[0].splitlines() if x.startswith(key_id))


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "--service", "Mail Room"),
        ("keys", "create", "--service", "a", "--scopes", "root"),
        ("keys", "create", "--service", "a", "--expires", "soon"),
        ("keys", "revoke", "nothing"),
    ],
)
async def test_wrong_arguments_for_keys(cli: Cli, arguments: tuple[str, ...]):
    """Two lines: what was wrong and what to do."""
    _, err = await cli(*arguments, code=1)
    assert err.startswith("error: ")
    assert "\nremedy: " in err


async def test_submit_writes_results_and_a_summary(cli: Cli, ingress: Ingress):
    """One job a file; equal names get a number; a refused file is told and does not stop the others."""
    (cli.folder / "a").mkdir()
    for name in ("a/note.txt", "note.txt"):
        (cli.folder / name).write_text(name)
    (cli.folder / "empty.txt").write_text("")
    running = asyncio.create_task(
        cli("submit", "noop", "a/note.txt", "note.txt", "empty.txt", "-o", "sleep_ms=1", "--out", "results", code=1)
    )
    for job_id in await queued(ingress, 2):
        await _finish(ingress, job_id, result=json_payload(orjson.dumps({"of": job_id})))
    out, err = await running
    rows = list(csv.DictReader((cli.folder / "results" / "summary.csv").open()))
    assert [row["file"] for row in rows] == ["a/note.txt", "note.txt", "empty.txt"]
    assert [row["status"] for row in rows] == ["done", "done", "refused"]
    assert [row["result"] for row in rows] == ["note.json", "note-2.json", ""]
    assert (rows[0]["seconds"], rows[2]["error_code"]) == ("1.5", "empty_file")
    for row in rows[:2]:
        assert orjson.loads((cli.folder / "results" / row["result"]).read_bytes()) == {"of": row["job_id"]}
    assert out.count("\tdone\t") == 2
    assert "2 of 3 done" in err


async def test_look_list_and_cancel(cli: Cli):
    """Without a terminal: plain lines."""
    (cli.folder / "note.txt").write_text("x")
    out, _ = await cli("submit", "noop", "note.txt")
    job_id, status, _ = out.strip().split("\t")
    assert status == "queued"
    _, err = await cli("job", job_id)
    assert err.startswith(f"{job_id} noop queued · noop queued")
    assert job_id in (await cli("jobs", "--status", "queued"))[0]
    assert (await cli("cancel", job_id))[0].strip() == f"{job_id} cancelled"
    document = orjson.loads((await cli("job", job_id, "--json", "--wait"))[0])
    assert document["status"] == "cancelled"
    _, err = await cli("job", "0" * 26, code=1)
    assert "there is no such job" in err


async def queued(ingress: Ingress, count: int) -> list[str]:
    """Wait until so many jobs are queued, and return their ids."""

    async def there() -> list[str]:
        page = await ingress.dependencies.jobs.list(SERVICE, status="queued")
        return [view.job.job_id for view in page.jobs] if len(page.jobs) == count else []

    return await eventually(there)


RESULT = json_payload(b'{"title":"ok"}')


async def test_a_job_that_is_waited_for_is_a_live_table_on_a_terminal(cli: Cli, ingress: Ingress, wait_until):
    """Drawn again in its place as the job goes on."""
    (cli.folder / "note.txt").write_text("x")
    async with cli.on_terminal("submit", "noop", "note.txt", "--wait") as terminal:
        [job_id] = await queued(ingress, 1)
        await wait_until(lambda: "└" in terminal.text)
        assert re.search(r"stage +┃ status +┃ progress +┃ seconds +┃ attempts", terminal.text)
        assert re.search(r"noop +│ \S*queued", terminal.text)
        await _finish(ingress, job_id, result=RESULT)
    last = terminal.sent.rpartition(UP_AND_CLEAR)[2]
    assert f"noop {job_id}" in plain(last)
    assert re.search(r"noop +│ \x1b\[32mdone", last), "in green"
    async with cli.on_terminal("job", job_id, "--wait") as terminal:
        pass
    assert re.search(r"noop +│ done", terminal.text)
    assert '"title": "ok"' in terminal.text


async def test_without_a_terminal_there_are_only_plain_lines(cli: Cli, ingress: Ingress):
    """No controls, and no table."""
    (cli.folder / "note.txt").write_text("x")
    running = asyncio.create_task(cli("submit", "noop", "note.txt", "--wait"))
    [job_id] = await queued(ingress, 1)
    await _finish(ingress, job_id, result=RESULT)
    assert await running == (f"{job_id}\tdone\tnote.txt\n", "")
    out, err = await cli("job", job_id, "--wait")
    assert err == f"{job_id} noop done · noop done\n"
    assert orjson.loads(out) == {"title": "ok"}


async def test_many_files_have_a_progress_bar_on_a_terminal(cli: Cli, ingress: Ingress, wait_until):
    """It fills as the jobs end; each has its line, too."""
    for name in ("a.txt", "b.txt"):
        (cli.folder / name).write_text(name)
    async with cli.on_terminal("submit", "noop", "a.txt", "b.txt", "--wait") as terminal:
        first, second = await queued(ingress, 2)
        await wait_until(lambda: re.search(r"done ━+ 0/2", terminal.text))
        await _finish(ingress, first, result=RESULT)
        await wait_until(lambda: re.search(r"done ━+.* 1/2", terminal.text))
        await _finish(ingress, second, result=RESULT)
    assert re.search(r"done ━+ 2/2", terminal.text)
    lines = {tuple(line.split()[:2]) for line in terminal.text.replace("\r", "\n").splitlines()}
    assert {(first, "done"), (second, "done")} <= lines, "each in a line of its own"


async def test_where_the_key_comes_from(cli: Cli, ingress: Ingress):
    """The option, the environment, the local stack's file; else it says what to do."""
    good = cli.env.pop("GATEWAY_API_KEY")
    _, err = await cli("jobs", code=1)
    assert "there is no API key" in err
    local = ingress.dependencies.settings.data_dir / "local.key"
    local.write_text(good + "\n")
    try:
        await cli("jobs")
        cli.env["GATEWAY_API_KEY"] = "nonsense"
        assert "not known" in (await cli("jobs", code=1))[1]
        await cli("jobs", "--key", good)
    finally:
        local.unlink()


async def test_no_gateway_there(cli: Cli):
    """Says so, with what to do."""
    cli.env["GATEWAY_HTTP_PORT"] = "1"
    _, err = await cli("jobs", code=1)
    assert "nothing answers" in err
    assert "./gateway up" in err


async def test_a_job_gives_its_evidence_page(cli: Cli, ingress: Ingress):
    """As one file, whose address is told; a job that has none says so."""
    (cli.folder / "letter.txt").write_text("제목  조사 안내")
    out, _ = await cli("submit", "gongmun", "letter.txt")
    job_id = out.split()[0]
    _, refused = await cli("job", job_id, "--evidence", "page.html", code=1)
    assert "has no result to show" in refused
    await _finish(ingress, job_id, result=json_payload(b'{"schema_version":"1.0","title":"ok"}'))
    _, told = await cli("job", job_id, "--wait", "--evidence", "page.html")
    page = cli.folder / "page.html"
    assert page.as_uri() in told
    assert page.read_text().startswith("<!doctype html>")
