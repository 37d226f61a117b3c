"""A child process of another environment: `PYTHON -I foreign_child.py FD PARENT_PID [MODULE…]`.

Some engines bring libraries that cannot stand beside ours. Such a child runs this very code, from where the parent
has it, on the libraries of the interpreter that it was started with; nothing else of the parent's environment is
importable. It serves calls as any child does (streams.runtime.child_main).
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_OURS = frozenset({"processors", "schemas", "streams"})
_HOME = Path(__file__).resolve().parents[2]


class OurPackages:
    """Finds the gateway's packages where this file is, which need not be a folder of nothing else."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where one of our packages is; None for everything else."""
        del path, target
        return PathFinder.find_spec(name, [str(_HOME)]) if name in _OURS else None


if __name__ == "__main__":
    sys.meta_path.insert(0, OurPackages)
    from streams.runtime.child_main import main

    main(sys.argv[1:])
