"""Whose doing it is that a call fails: the servers', or its own. Pure; time is an argument.

A server that has answered another call to the same model since it failed this one is up, so the call is at fault.
Where nothing else was asked meanwhile that shows only when the same request comes again: its failures are remembered.
"""

from collections import OrderedDict
from collections.abc import Mapping

_REMEMBERED = 1000
_NEVER = float("-inf")

Server = tuple[str, str]
"""An upstream, and the public model that it was asked for: one model's runner may be down and another's not."""


class Blame:
    """Remembers when servers answered, and which requests they failed since when. Times of one monotonic clock."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._answered: dict[Server, float] = {}
        self._failed: OrderedDict[str, Mapping[Server, float]] = OrderedDict()

    def answered(self, server: Server, now: float) -> None:
        """Note that a server began an answer."""
        self._answered[server] = now

    def is_the_calls(self, request_id: str, failed: Mapping[Server, float]) -> bool:
        """Tell whether one of the servers that failed a call has answered another one since.

        `failed` says since when each did, this time; when the same request comes again that is remembered.
        """
        before = self._failed.pop(request_id, {})
        if request_id and failed:
            self._failed[request_id] = {**before, **failed}
            if len(self._failed) > self._remembered:
                self._failed.popitem(last=False)
        return any(self._answered.get(server, _NEVER) > before.get(server, at) for server, at in failed.items())
