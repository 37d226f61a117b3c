"""A pool of child processes for work that may crash, hang or eat memory.

Children are spawned (a fresh interpreter, never forked), so that no lock or thread is inherited. A
call that crashes, exceeds its time or its memory costs its child, and its caller gets a Transient
error; the next call gets a new child.
"""

import asyncio
import contextlib
import itertools
import os
import pickle  # the other end is streams.runtime.child_main, on a private socket
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from schemas.errors import GatewayError, Transient
from streams.container import cores
from streams.logs import get_logger
from streams.metrics import CHILDREN_ALIVE, CHILDREN_ENDED
from streams.runtime import child_main, foreign_child
from streams.runtime.child_main import LENGTH_BYTES, OUT_OF_MEMORY, frame

log = get_logger(__name__)

WORKER_CRASHED = "worker_crashed"
WORK_TIMED_OUT = "work_timed_out"

_START_S = 60.0
_WATCH_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# A child that has grown to this share of its limit is replaced between two calls.
_WORN_SHARE = 0.6


class ChildPool:
    """At most `size` children, started when first needed. Enter it, and leave it to end them all.

    `preload` names modules that each child imports before its first call. `python` is another environment's
    interpreter, looked for when a child starts: its children have our code, and that environment's libraries.
    """

    def __init__(self, size: int | None = None, *, preload: Sequence[str] = (), python: Path | None = None) -> None:
        self.size = size or cores()
        self._program = _program(python)
        self._preload = tuple(preload)
        self._free = asyncio.Semaphore(self.size)
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self._end(child) for child in tuple(self._all)))

    async def warm(self) -> None:
        """Start one child ahead of the first call, so that a failure to start shows early."""
        async with self._free:
            self._idle.append(await self._child())

    async def call(self, function: str, args: tuple[Any, ...], timeout_s: float, memory_bytes: int) -> Any:
        """Run `module:function` with `args` in a child and return what it returns (pickled both ways).

        The time counts from when a child is free; the memory is that of the child and of what it
        started. Cancelling the call kills the child. Raises Transient (`worker_crashed`,
        `work_timed_out`, `work_out_of_memory`) and whatever GatewayError the function raised.
        """
        module, _, name = function.partition(":")
        async with self._free:
            child = await self._child()
            sound = False
            try:
                value = await self._work(child, function, (module, name, args), timeout_s, memory_bytes)
                sound = child.memory_bytes() < memory_bytes * _WORN_SHARE
                return value
            except _AnsweredError as e:
                sound = e.error.code != OUT_OF_MEMORY
                raise e.error from None
            except asyncio.CancelledError:
                CHILDREN_ENDED.labels("cancelled").inc()
                raise
            finally:
                if sound:
                    self._idle.append(child)
                else:
                    # Shielded: a caller that is cancelled now must not leave a child running.
                    await asyncio.shield(self._end(child))

    async def _work(self, child: "_Child", function: str, call: object, timeout_s: float, memory_bytes: int) -> Any:
        over: list[int] = []

        def outgrown(size: int) -> None:
            over.append(size)
            child.kill()

        watch = asyncio.create_task(_watch(child, memory_bytes, outgrown))
        try:
            async with asyncio.timeout(timeout_s):
                return await child.ask(call)
        except TimeoutError:
            CHILDREN_ENDED.labels("timeout").inc()
            raise Transient(f"{function} took longer than {timeout_s:g} s", code=WORK_TIMED_OUT) from None
        except (EOFError, OSError, pickle.UnpicklingError) as e:
            if over:
                CHILDREN_ENDED.labels("memory").inc()
                raise Transient(
                    f"{function} used {over[0] >> 20} MiB of memory; allowed are {memory_bytes >> 20} MiB",
                    code=OUT_OF_MEMORY,
                ) from None
            CHILDREN_ENDED.labels("crash").inc()
            how = await child.ended()
            raise Transient(f"{function}: its process ended with {how}", code=WORKER_CRASHED) from e
        finally:
            watch.cancel()

    async def _child(self) -> "_Child":
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            await self._end(child)
        child = _Child(self._program, self._preload)
        self._all.add(child)
        CHILDREN_ALIVE.inc()
        try:
            async with asyncio.timeout(_START_S):
                await child.start()
        except BaseException as e:
            await asyncio.shield(self._end(child))
            if isinstance(e, TimeoutError | OSError | EOFError):
                raise Transient(f"a child process did not start: {type(e).__name__}", code=WORKER_CRASHED) from e
            raise
        return child

    async def _end(self, child: "_Child") -> None:
        child.kill()
        await child.ended()
        if child in self._all:
            self._all.remove(child)
            CHILDREN_ALIVE.dec()


class _AnsweredError(Exception):
    """The function raised a GatewayError; the child is well."""

    def __init__(self, error: GatewayError) -> None:
        super().__init__(error.code)
        self.error = error


class _Child:
    """One child process and the socket to it."""

    def __init__(self, program: Sequence[str], preload: Sequence[str]) -> None:
        self._program = program
        self._preload = preload
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._reader, self._writer = await asyncio.open_connection(sock=ours)
                self._process = await asyncio.create_subprocess_exec(
                    *self._program,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    *self._preload,
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # A group of its own: it is killed together with what it started.
                    start_new_session=True,
                    # One thread a child: the pool is what uses the cores (OCR: 2.3 s a page instead of 10.9 s).
                    env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"},
                )
            except BaseException:
                ours.close()
                raise
        await self._receive()

    async def ask(self, call: object) -> Any:
        """Send a call and return the answer's value; raises _AnsweredError, or EOFError when the child ended."""
        assert self._writer is not None
        self._writer.write(frame(call))
        await self._writer.drain()
        answered, value = await self._receive()
        if not answered:
            raise _AnsweredError(value)
        return value

    async def _receive(self) -> tuple[bool, Any]:
        assert self._reader is not None
        header = await self._reader.readexactly(LENGTH_BYTES)
        body = await self._reader.readexactly(int.from_bytes(header, "big"))
        return pickle.loads(body)  # noqa: S301 - see the import

    def kill(self) -> None:
        """Kill the child and what it started."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> str:
        """Wait for the process's end and tell how it was: `SIGSEGV`, `exit code 1`."""
        if self._writer is not None:
            self._writer.close()
        if self._process is None:
            return "no start"
        code = await self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def memory_bytes(self) -> int:
        """Resident memory of the child and of everything it started; 0 when it is gone."""
        return _tree_memory(self._process.pid) if self._process is not None and self.alive else 0


def _program(python: Path | None) -> tuple[str, ...]:
    if python is None:
        return (sys.executable, "-m", child_main.__name__)
    # Isolated (-I): neither our paths nor the user's own packages get into that environment.
    return (str(python), "-I", foreign_child.__file__)


async def _watch(child: _Child, limit_bytes: int, outgrown: Callable[[int], None]) -> None:
    while child.alive:
        size = child.memory_bytes()
        if size > limit_bytes:
            outgrown(size)
            return
        await asyncio.sleep(_WATCH_S)


def _tree_memory(pid: int) -> int:
    # Read directly: looking for children through psutil reads all of /proc, ten times a second.
    folder = Path("/proc") / str(pid)
    try:
        resident = int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES
        children = [(task / "children").read_text().split() for task in (folder / "task").iterdir()]
    except (OSError, IndexError):
        return 0
    return resident + sum(_tree_memory(int(each)) for each in itertools.chain.from_iterable(children))
