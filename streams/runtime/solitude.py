"""Who has a process to himself: what may kill it runs alone, whichever of its workers it belongs to."""

import asyncio
from collections.abc import Callable


class Solitude:
    """Shared by the workers of one process, which are told apart by what they give as `who`.

    One of them claims it for a work that is to be alone, and gives it up when that work's end is committed.
    Meanwhile nothing of the others begins; the work itself begins when nothing of anybody is in its handler.
    """

    def __init__(self) -> None:
        self._in_handlers = 0
        self._of: object | None = None
        self._listeners: list[Callable[[], None]] = []
        self._told = False

    def listen(self, dispatch: Callable[[], None]) -> None:
        """Have `dispatch` called, soon, when works may begin that might not before."""
        self._listeners.append(dispatch)

    def forget(self, dispatch: Callable[[], None]) -> None:
        """Call `dispatch` no more."""
        self._listeners.remove(dispatch)

    @property
    def in_handlers(self) -> int:
        """How many works are in their handlers, of all workers."""
        return self._in_handlers

    def is_open_to(self, who: object) -> bool:
        """Tell whether a worker may begin works."""
        return self._of is None or self._of is who

    def claim(self, who: object) -> None:
        """Keep the others from beginning works; it must be open."""
        self._of = who

    def give_up(self, who: object) -> None:
        """Let the others begin works again."""
        if self._of is who:
            self._of = None
            self._tell()

    def enter(self) -> None:
        """Take note that a work goes into its handler."""
        self._in_handlers += 1

    def leave(self) -> None:
        """Take note that a work has left its handler."""
        self._in_handlers -= 1
        if self._of is not None:
            self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._told = False
        for dispatch in tuple(self._listeners):
            dispatch()
