"""Reads a benchmark's options: those of the one table in `cli.bench_options`, and no others."""

import argparse
from collections.abc import Collection, Sequence

from cli.bench_options import OPTIONS, TAKES


def options_of(name: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options that a benchmark was started with; ends the program with its usage for any other."""
    parser = argparse.ArgumentParser(f"./gateway bench {name}", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="figures and aims as JSON")
    for option in TAKES[name]:
        if option == "part":
            parser.add_argument("--part", action="append", default=[], help=OPTIONS[option])
        elif option == "events":
            parser.add_argument("--events", type=int, help=OPTIONS[option])
        else:
            parser.add_argument(f"--{option}", action="store_true", help=OPTIONS[option])
    return parser.parse_args(arguments)


def chosen_parts(asked: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the parts to run: those asked for, else all; ends the program for one that is not known."""
    if unknown := sorted(set(asked).difference(known)):
        raise SystemExit(f"error: there is no part {unknown[0]!r}\nremedy: parts are {', '.join(known)}")
    return tuple(asked or known)
