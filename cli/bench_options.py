"""Which options each benchmark takes: the one table, for `gateway bench` and for the programs under `bench/`."""

from collections.abc import Collection

from schemas.errors import InvalidInput

OPTIONS = {
    "quick": "a tenth of the work (stt: a quarter, tables: a third)",
    "part": "only this part; may be repeated",
    "faults": "servers that die and callers who leave, instead of the comparison",
    "events": "how many events; else 1,000,000",
}
TAKES: dict[str, tuple[str, ...]] = {
    "spine": (),
    "jobs": ("quick", "part"),
    "letters": ("quick", "part"),
    "chat": ("quick", "part", "faults"),
    "stt": ("quick",),
    "modules": (),
    "batch": ("quick",),
    "replay": ("quick",),
    "usage": ("quick", "events"),
    "rolling": ("part",),
    "metrics": ("quick",),
    "tables": ("quick",),
}
"""Beside `--json`, which all of them take."""


def takers(option: str) -> str:
    """Return the benchmarks that take an option, for people."""
    return ", ".join(name for name, options in TAKES.items() if option in options)


def refuse_others(name: str, given: Collection[str]) -> None:
    """Raise InvalidInput for a benchmark that does not exist, and for an option that it does not take."""
    if name not in TAKES:
        raise InvalidInput(f"there is no benchmark {name!r}", remedy=f"benchmarks: {', '.join(TAKES)}")
    for option in given:
        if option not in TAKES[name]:
            takes = ", ".join(f"--{each}" for each in ("json", *TAKES[name]))
            raise InvalidInput(
                f"the benchmark {name} does not take --{option}",
                remedy=f"{name} takes {takes}; --{option} is for {takers(option)}",
            )
