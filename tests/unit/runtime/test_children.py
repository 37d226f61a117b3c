"""A call that crashes, hangs or eats memory costs its child and nothing else."""

import asyncio
import os
import sys
import venv
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from schemas.errors import InvalidInput, Outage, Transient
from streams.runtime.children import ChildPool

MIB = 1 << 20
HERE = "tests.unit.runtime.child_functions"


@pytest.fixture
async def pool() -> AsyncIterator[ChildPool]:
    async with ChildPool(2) as pool:
        yield pool


async def call(pool: ChildPool, name: str, *args: Any, timeout_s: float = 20, memory_mib: int = 500) -> Any:
    return await pool.call(f"{HERE}:{name}", args, timeout_s, memory_mib * MIB)


async def test_a_call_returns_what_the_function_returns(pool: ChildPool) -> None:
    assert await call(pool, "add", 2, 3) == 5
    assert await call(pool, "threads") == "1"


async def test_a_child_yields_to_the_processes_that_callers_wait_for(pool: ChildPool) -> None:
    assert await call(pool, "niceness") > os.nice(0)


async def test_output_of_native_libraries_does_not_disturb_the_answer(pool: ChildPool) -> None:
    assert len(await call(pool, "noisy", 5 * MIB)) == 5 * MIB


async def test_our_errors_cross_the_border_whole(pool: ChildPool) -> None:
    with pytest.raises(InvalidInput) as caught:
        await call(pool, "refuse")
    assert (caught.value.code, caught.value.remedy) == ("upside_down", "turn it")


async def test_foreign_errors_keep_their_text_to_themselves(pool: ChildPool) -> None:
    with pytest.raises(Transient, match="ValueError") as caught:
        await call(pool, "foreign")
    assert "secret" not in caught.value.message
    with pytest.raises(Transient):
        await call(pool, "unpicklable")


async def test_a_crash_is_transient_and_names_the_signal(pool: ChildPool) -> None:
    with pytest.raises(Transient, match="SIGSEGV") as caught:
        await call(pool, "crash")
    assert caught.value.code == "worker_crashed"
    assert await call(pool, "add", 1, 1) == 2


async def test_a_call_over_its_time_is_ended(pool: ChildPool) -> None:
    with pytest.raises(Transient) as caught:
        await call(pool, "hang", timeout_s=0.3)
    assert caught.value.code == "work_timed_out"


async def test_a_call_over_its_memory_is_ended(pool: ChildPool) -> None:
    with pytest.raises(Transient) as caught:
        await call(pool, "hog", 400, memory_mib=150)
    assert caught.value.code == "work_out_of_memory"


async def test_a_cancelled_call_ends_its_child_and_what_that_started(
    pool: ChildPool, tmp_path: Path, wait_until: Callable[..., Awaitable[None]]
) -> None:
    note = tmp_path / "pid"
    running = asyncio.create_task(call(pool, "start_program", str(note)))
    await wait_until(lambda: note.exists() and note.read_text())
    started = int(note.read_text())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_until(lambda: not psutil.pid_exists(started) or psutil.Process(started).status() == "zombie")


async def test_children_are_reused_and_not_more_than_allowed(pool: ChildPool) -> None:
    pids = await asyncio.gather(*(call(pool, "pid") for _ in range(10)))
    assert len(set(pids)) <= 2
    assert os.getpid() not in pids


@pytest.fixture(scope="session")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment without any package."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


async def test_children_of_another_environment_have_our_code_and_its_libraries(other_python: Path) -> None:
    """And its limits are kept as any child's."""
    async with ChildPool(1, python=other_python) as pool:
        error = await pool.call("processors.stt.availability:not_installed", ("av",), 20, 500 * MIB)
        assert isinstance(error, Outage)
        assert await pool.call("importlib.util:find_spec", ("orjson",), 20, 500 * MIB) is None
        assert await pool.call("importlib.util:find_spec", ("tests",), 20, 500 * MIB) is None
        first = await pool.call("os:getpid", (), 20, 500 * MIB)
        with pytest.raises(Transient) as caught:
            await pool.call("time:sleep", (60,), 0.3, 500 * MIB)
        assert caught.value.code == "work_timed_out"
        assert not psutil.pid_exists(first)
        with pytest.raises(Transient) as caught:
            await pool.call("builtins:bytearray", (400 * MIB,), 20, 100 * MIB)
        assert caught.value.code == "work_out_of_memory"


async def test_an_environment_that_is_not_there_is_transient(tmp_path: Path) -> None:
    """It may be there at the next attempt."""
    async with ChildPool(1, python=tmp_path / "bin" / "python") as pool:
        with pytest.raises(Transient) as caught:
            await pool.call("os:getpid", (), 20, 500 * MIB)
    assert caught.value.code == "worker_crashed"


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_children_die_with_their_parent(
    tmp_path: Path, other_python: Path, elsewhere: bool, wait_until: Callable[..., Awaitable[None]]
) -> None:
    note = tmp_path / "pid"
    program = f"""
import asyncio
from pathlib import Path
from streams.runtime.children import ChildPool
async def main():
    pool = ChildPool(1, python={"Path(" + repr(str(other_python)) + ")" if elsewhere else None})
    pid = await pool.call("os:getpid", (), 20, 1 << 30)
    Path({str(note)!r}).write_text(str(pid))
    await pool.call("time:sleep", (60,), 60, 1 << 30)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await wait_until(lambda: note.exists() and note.read_text())
    finally:
        parent.kill()
        await parent.wait()
    child = int(note.read_text())
    await wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")
