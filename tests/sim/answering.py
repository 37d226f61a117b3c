"""Sends one planned answer in a protocol's shape, at the set pace, with the faults, and counts what it sent."""

import asyncio
import os
import select
import socket
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from aiohttp import web

from tests.sim.config import Fault
from tests.sim.counts import Served
from tests.sim.engine import Busy, Engine, Plan

_ENDLESS_GAP_S = 0.001
_HUGE = 32 * 1024 * 1024
_KILLED_STATUS = 137


class Shape(Protocol):
    """A protocol's bytes for the parts of one answer."""

    stream_type: str
    whole_type: str

    def token(self, number: int, token: str, so_far: tuple[int, int] | None = None) -> bytes:
        """Return an event with text, counted from 0; `so_far` are the tokens of prompt and answer, where told."""
        ...

    def tool(self, name: str, arguments: dict[str, Any]) -> bytes:
        """Return the event of a tool call."""
        ...

    def end(self, finish: str, prompt_tokens: int, tokens: int) -> bytes:
        """Return what ends a stream well."""
        ...

    def broken(self) -> bytes:
        """Return what a stream ends with when the model's runner died."""
        ...

    def whole(self, tokens: list[str], plan: Plan) -> bytes:
        """Return the answer in one piece."""
        ...

    def error(self, status: int, message: str) -> web.Response:
        """Return an error before the first token."""
        ...


class Line:
    """Watches a connection: a peer that hung up is noticed before the next token is counted as sent."""

    def __init__(self, request: web.Request) -> None:
        self._transport = request.transport
        sock: socket.socket | None = self._transport.get_extra_info("socket") if self._transport else None
        self._poll = select.poll()
        if sock is not None:
            self._poll.register(sock.fileno(), select.POLLRDHUP)

    @property
    def gone(self) -> bool:
        """Tell whether the peer has closed, without waiting for the event loop to hear of it."""
        if self._transport is None or self._transport.is_closing():
            return True
        return bool(self._poll.poll(0))

    def reset(self) -> None:
        """Break the connection at once."""
        if self._transport is not None:
            self._transport.abort()


async def answer(
    engine: Engine, request: web.Request, served: Served, plan: Plan, shape: Shape, stream: bool, fault: Fault
) -> web.StreamResponse:
    """Answer one call and close its account, whatever happens."""
    served.prompt_tokens = plan.prompt_tokens
    counts = engine.counts  # a reset meanwhile gives others a new account
    end = "disconnected"
    try:
        refused = await _refusal(engine, shape, fault)
        if refused is not None:
            end = str(fault)
            return refused
        async with engine.turn(served.model):
            if fault is Fault.NOT_JSON:
                end = str(fault)
                return web.Response(text="<html><body>502 Bad Gateway</body></html>", content_type="text/html")
            if stream:
                response, end = await _stream(engine, request, served, plan, shape, fault)
            else:
                response, end = await _whole(engine, request, served, plan, shape, fault)
            return response
    except Busy:
        end = "refused"
        return shape.error(503, "server busy, please try again.  maximum pending requests exceeded")
    except ConnectionError:
        return web.Response()  # the peer is gone; nobody reads this
    finally:
        counts.close(served, end)


async def _refusal(engine: Engine, shape: Shape, fault: Fault) -> web.Response | None:
    match fault:
        case Fault.HANG:
            await asyncio.get_running_loop().create_future()
        case Fault.BUSY:
            return shape.error(503, "server busy, please try again.  maximum pending requests exceeded")
        case Fault.ERROR_500:
            return shape.error(500, "llama runner process has terminated: signal: killed")
        case Fault.RATE_LIMITED:
            limited = shape.error(429, "Rate limit reached")
            limited.headers["Retry-After"] = "2"
            return limited
        case Fault.UNAUTHORIZED:
            return shape.error(401, "Incorrect API key provided")
        case Fault.BAD_REQUEST:
            await asyncio.sleep(engine.config.ttft_s)
            return shape.error(400, "this cannot be answered")
        case _:
            pass
    return None


async def _stream(
    engine: Engine, request: web.Request, served: Served, plan: Plan, shape: Shape, fault: Fault
) -> tuple[web.StreamResponse, str]:
    config, loop, line = engine.config, asyncio.get_running_loop(), Line(request)
    gap = max(config.gap_s, _ENDLESS_GAP_S) if plan.endless else config.gap_s
    due = loop.time() + config.ttft_s
    response = web.StreamResponse(headers={"Content-Type": shape.stream_type})
    last, planned = None, 0  # the tokens of a tool call are sent, and counted, in one piece at the end
    for number, tokens in enumerate(_grouped(plan.tokens, config.per_event)):
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        due += gap * len(tokens)
        if line.gone:
            return response, "disconnected"
        if number == config.fault_after and await _strikes(request, response, line, shape, fault):
            return response, str(fault)
        if number == 0:
            await response.prepare(request)  # not earlier: a caller that waits sees no headers
        last = number
        if plan.tool is None:
            so_far = (plan.prompt_tokens, served.sent + len(tokens)) if config.tells_counts else None
            await response.write(shape.token(number, "".join(tokens), so_far))
            served.sent += len(tokens)
        else:
            planned += len(tokens)
    if not response.prepared:
        await response.prepare(request)
    if line.gone:
        return response, "disconnected"
    if fault in _MIDDLE and last is not None and last < config.fault_after:
        await _strikes(request, response, line, shape, fault)
        return response, str(fault)
    if plan.tool is not None and last is not None:
        await response.write(shape.tool(*plan.tool))
        served.sent = planned
    await response.write(shape.end(plan.finish, plan.prompt_tokens, served.sent))
    await response.write_eof()
    return response, "done"


def _grouped(tokens: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(tokens)
    while group := list(islice(rest, size)):
        yield group


_MIDDLE = frozenset({Fault.ERROR_IN_STREAM, Fault.NO_END, Fault.CUT, Fault.KILLED, Fault.HANG_MID, Fault.GARBAGE})


async def _strikes(request: web.Request, response: web.StreamResponse, line: Line, shape: Shape, fault: Fault) -> bool:
    """Do what a fault does in the middle of a stream; tell whether that was the end of it."""
    if fault not in _MIDDLE and fault is not Fault.HUGE_LINE:
        return False
    if fault is Fault.KILLED:
        os._exit(_KILLED_STATUS)
    if not response.prepared:
        await response.prepare(request)
    match fault:
        case Fault.CUT:
            line.reset()
        case Fault.HANG_MID:
            await asyncio.get_running_loop().create_future()
        case Fault.ERROR_IN_STREAM:
            await response.write(shape.broken())
            await response.write_eof()
        case Fault.GARBAGE:
            await response.write(b"data: <garbage>\n\n" if "event" in shape.stream_type else b"<garbage>\n")
            return False
        case Fault.HUGE_LINE:
            await response.write(shape.token(1, "x" * _HUGE))
            return False
        case _:
            await response.write_eof()
    return True


async def _whole(
    engine: Engine, request: web.Request, served: Served, plan: Plan, shape: Shape, fault: Fault
) -> tuple[web.StreamResponse, str]:
    config, line = engine.config, Line(request)
    if plan.endless or fault is Fault.HANG_MID:
        await asyncio.get_running_loop().create_future()
    tokens = list(plan.tokens)
    if fault is Fault.KILLED:
        os._exit(_KILLED_STATUS)
    wait_s = config.ttft_s + config.gap_s * max(0, len(tokens) - 1)
    if wait_s:
        await asyncio.sleep(wait_s)
    if line.gone:
        return web.Response(), "disconnected"
    if fault is Fault.CUT:
        line.reset()
        return web.Response(), str(fault)
    if fault in (Fault.ERROR_IN_STREAM, Fault.NO_END):
        return shape.error(500, "an error was encountered while running the model: unexpected EOF"), str(fault)
    body = shape.whole(tokens, plan)
    if fault is Fault.GARBAGE:
        body = body[: len(body) // 2]
    served.sent += len(tokens)
    return web.Response(body=body, headers={"Content-Type": shape.whole_type}), "done"
