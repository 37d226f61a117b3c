"""`gateway demo`: the main job, from nothing to a letter's JSON; with --chat, a chat and its line on the ledger."""

import os
import re
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.environment import local_url
from cli.output import print_json
from schemas.errors import GatewayError, InvalidInput

if TYPE_CHECKING:
    from cli.stack.launch import Stack

LETTER = Path(__file__).resolve().parent / "data" / "demo-letter.pdf"
_READY_TIMEOUT_S = 120.0
_PAUSE_S = 0.2
_JUST_STARTED_S = 30.0
_RUNNING_S = 5.0
_TOLD = re.compile(
    r"/title|/sender/organisation|/document_number|/issue_date|/(recipients|attachments)/\d+/name"
    r"|/requested_actions/\d+/due_date|/amounts/\d+/value|/contacts/\d+/(phone|email)|/disclosure/level"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    file: Annotated[Path | None, typer.Option(help="A letter of yours.", exists=True, dir_okay=False)] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Chat with a model instead of reading a letter.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Take down what it started, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the bare result.")] = False,
) -> None:
    """Read a scanned official letter: through REST, Kafka, OCR and extraction, to JSON with evidence.

    Starts the local stack when it does not run, and leaves it running unless --once is given or Ctrl-C comes before it
    serves. With --chat it talks to the model servers that are configured, else to a simulated one, and shows the call's
    line on the ledger.
    """
    from cli.stack_commands import local_stack

    if chat and file is not None:
        raise InvalidInput("--file is a letter, and --chat reads none", remedy="give one of the two")
    stack = local_stack()
    if chat:
        _chat(stack, once, as_json)
        return
    with _running(stack, once):
        job = _read(file or LETTER, local_url(stack.settings))
        _print(job["result"], as_json)
    if not once:
        _say_where(stack, job["job_id"])


def _chat(stack: "Stack", once: bool, as_json: bool) -> None:
    """Ask a model, print its answer as it comes, and tell what the ledger says of the call."""

    from cli import chat_demo as chats
    from cli import chat_simulator as simulators
    from cli.client_commands import open_client

    port = 0
    if not stack.supervisor_pid() and not simulators.has_model_servers(stack.settings):
        port = simulators.port_of(stack)
        _say("No model server is configured (GATEWAY_OLLAMA_URLS, models.yml).")
        stack = simulators.with_simulator(stack, port)
    begun = (lambda: simulators.start_simulator(stack, port)) if port else lambda: None
    with _running(stack, once, begun) as started:
        with open_client(url=local_url(stack.settings)) as client:
            wait_s = _JUST_STARTED_S if started else _RUNNING_S
            model = chats.first_model(client, stack.settings.default_model, wait_s)
            simulated = simulators.has_simulator(stack)
            if simulated:
                _say("A simulated Ollama answers, a process of its own: words by chance, at 25 tokens a second.")
            _say(f"Asking {model} through POST /v1/chat/completions: {chats.QUESTION}")
            since_ms = time.time_ns() // 1_000_000
            said = chats.ask(client, model, chats.QUESTION, lambda piece: typer.echo(piece, nl=False, err=as_json))
        typer.echo("", err=as_json)
        event = chats.ledger_event(stack.settings.kafka_bootstrap, client.key_id, said, since_ms)
        _say("On the ledger (usage.events):")
        _say(f"  {chats.ledger_line(event)}")
        if as_json:
            document = chats.as_document(said, event, simulated=simulated)
            print_json(document)
    if not once:
        _say_where_chat(stack)


def _say_where_chat(stack: "Stack") -> None:
    _say("")
    _say("The stack stays up (docs/howto/chat.md tells how to point a client at it):")
    _say(f"  for OpenAI's clients        http://127.0.0.1:{stack.settings.http_port}/v1")
    _say(f"  for Ollama's clients        http://127.0.0.1:{stack.settings.http_port}")
    _say(f"  API key                     {stack.paths.local_key}")
    _say("See what was used with ./gateway usage; take it down with ./gateway down")


@contextmanager
def _running(stack: "Stack", once: bool, begun: Callable[[], None] = lambda: None) -> Generator[bool]:
    """Have the stack run; give whether it was started here, once everything serves.

    What was started here is taken down at the end if that was asked for, and when it did not come up: by a fault, or
    because Ctrl-C came first. `begun` is called when it was started, before it is waited for.
    """
    started = serves = False
    try:
        # With our pid the stack ends even if we are killed.
        started = stack.start({}, os.getpid() if once else None)
        _say("Starting Kafka, Redis, the REST door and the processors …" if started else "The stack is up.")
        if started:
            begun()
        _wait_until_settled(stack)
        serves = True
        yield started
    finally:
        if started and (once or not serves):
            _say("Taking the stack down …")
            stack.stop()


def _wait_until_settled(stack: "Stack") -> None:
    from cli.stack.states import SETTLED, ServiceState

    until = time.monotonic() + _READY_TIMEOUT_S
    told: set[str] = set()
    while True:
        states = stack.states()
        for service in states:
            if service.state in SETTLED and service.name not in told:
                told.add(service.name)
                _say(f"  {service.name} is {service.state}" + (f" ({service.reason})" if service.reason else ""))
        if states and len(told) == len(states):
            return
        if stack.supervisor_pid() is None or time.monotonic() > until:
            waiting = [f"{s.name} is {s.state}: {s.reason or 'no reason given'}" for s in states if s.name not in told]
            failed = any(s.state == ServiceState.FAILED for s in states)
            raise GatewayError(
                "the stack did not come up"
                + (f" in {_READY_TIMEOUT_S:.0f} s" if not failed else "")
                + f": {'; '.join(waiting) or 'its supervisor ended'}",
                code="stack_not_started",
                remedy=f"see the logs in {stack.paths.logs}, and ./gateway doctor",
            )
        time.sleep(_PAUSE_S)


def _read(file: Path, url: str) -> dict[str, Any]:
    """Submit the letter, show its stages, and return the job when it is done."""
    from cli.client_commands import open_client

    with open_client(url=url) as client:
        _say(f"Submitting {file.name} to POST /v1/gongmun …")
        job_id = client.submit("gongmun", [file], {})
        _say(f"  accepted, and on the log: job {job_id}")
        job = _follow(client.follow(job_id))
    if job["status"] != "done":
        error = job["error"] or {"code": job["status"], "message": "the job did not finish", "remedy": ""}
        raise GatewayError(error["message"], code=error["code"], remedy=error.get("remedy", ""))
    return job


def _follow(changes: Any) -> dict[str, Any]:
    from cli.job_display import job_line, stage_table

    job: dict[str, Any] = {}
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(stderr=True), refresh_per_second=10) as live:
            for job in changes:
                live.update(stage_table(job))
        return job
    said = ""
    for job in changes:
        line = job_line(job)
        if line != said:
            _say(f"  {line}")
            said = line
    return job


def _print(result: dict[str, Any], as_json: bool) -> None:

    if not as_json:
        for line in evidence_lines(result):
            _say(line)
    print_json(result)


def evidence_lines(result: dict[str, Any]) -> list[str]:
    """Return a line for each of a letter's main values: where it stands, its page, box in percent, confidence."""
    lines = ["What was read, and where on the page (from the left and top, in percent); the JSON has all of it:"]
    for pointer, places in result.get("evidence", {}).items():
        value = at_pointer(result, pointer)
        if not _TOLD.fullmatch(pointer) or isinstance(value, dict | list) or value is None or not places:
            continue
        place = places[0]
        box = " ".join(f"{100 * v:5.1f}" for v in place["bbox"]) if place.get("bbox") else "-"
        sure = f"{place['confidence']:.2f}" if place.get("confidence") is not None else "-"
        lines.append(f"  {pointer:<32} p{place.get('page', 1)} [{box}] {sure}  {value}")
    return lines


def at_pointer(document: Any, pointer: str) -> Any:
    """Return what an RFC 6901 pointer names in a JSON document, None when it names nothing."""
    found = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _say_where(stack: "Stack", job_id: str) -> None:
    base = local_url(stack.settings)
    _say("")
    _say("The stack stays up:")
    _say(f"  API and its documentation   {base}/docs")
    _say(f"  this job                    {base}/v1/jobs/{job_id}")
    _say(f"  the letter with its boxes   {base}/v1/jobs/{job_id}/evidence.html")
    _say("                              (in a browser: no user name, the API key as password)")
    _say(f"  API key                     {stack.paths.local_key}")
    _say("Look at it with ./gateway status and ./gateway jobs; take it down with ./gateway down")


def _say(text: str) -> None:
    typer.echo(text, err=True)
