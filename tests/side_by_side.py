"""How a run on several workers is divided: by file, and what shares one whole stack stays together."""

from xdist.scheduler import LoadScopeScheduling

_TOGETHER = "tests/acceptance/whole_stack"
"""Its tests share one stack, and an idle stack takes a fifth of a core."""


class FilesTogether(LoadScopeScheduling):
    """One worker has all tests of a file, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)


def part_of(nodeid: str) -> str:
    """Return what a test is not to be parted from."""
    file = nodeid.partition("::")[0]
    return _TOGETHER if file.startswith(f"{_TOGETHER}/") else file
