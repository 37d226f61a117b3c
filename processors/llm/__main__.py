"""The llm process: `python -m processors.llm`. Extraction of letters, and the no-op stage where it is on."""

import os

from processors.llm.gongmun_stage import GONGMUN
from processors.noop import NOOP
from streams.runtime.run import run
from streams.settings import Settings


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_env(os.environ)
    served = (GONGMUN, NOOP) if settings.noop else (GONGMUN,)
    run(*served, settings=settings, name="llm", preload=("processors.llm.gongmun.child",))


if __name__ == "__main__":
    main()
