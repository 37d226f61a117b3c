"""Fills a module's templates in, in a child process: whoever wrote one, it must not stop the others' work.

A template that passed its check can still ask for more memory than there is (`indent`, `replace`), or loop over a long
document for hours: the child has a bound for both, and the process that asks goes on.
"""

import os
import resource
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import InvalidInput, Transient
from schemas.prompt_template import render
from streams.runtime.child_main import OUT_OF_MEMORY
from streams.runtime.children import WORK_TIMED_OUT
from streams.runtime.processor import Context

FILL_S = 20.0
_FILL = "processors.llm.filling:fill"
_MOST_BYTES = 512 * 1024 * 1024
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Values = Mapping[str, Any]


async def filled(
    context: Context, common: Values, wanted: Sequence[tuple[str, Values]], *, guard: bool = True
) -> list[str]:
    """Return checked templates filled in, each with its own values on top of the `common` ones.

    Raises InvalidInput (`prompt_not_rendered`) when one does not fit the values, or takes too much of time or memory.
    """
    try:
        found: list[str] = await context.call(_FILL, common, tuple(wanted), guard, timeout_s=FILL_S)
    except Transient as e:
        if e.code in (WORK_TIMED_OUT, OUT_OF_MEMORY):  # it would again
            raise _too_much(f"more than {FILL_S:g} s" if e.code == WORK_TIMED_OUT else "too much memory") from e
        raise
    return found


def fill(common: Values, wanted: Sequence[tuple[str, Values]], guard: bool) -> list[str]:
    """Do what `filled` asks for, within a bound of memory."""
    try:
        with _bounded_memory():
            return [render(source, {**common, **values}, guard=guard) for source, values in wanted]
    except MemoryError:
        raise _too_much("too much memory") from None


@contextmanager
def _bounded_memory() -> Generator[None]:
    # The pool kills a child that has grown too large; one request for gigabytes is refused here before that.
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * _PAGE_BYTES
    most = size + _MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _too_much(what: str) -> InvalidInput:
    return InvalidInput(
        f"the module's prompt cannot be filled in: it takes {what}",
        code="prompt_not_rendered",
        remedy="correct the module's template",
    )
