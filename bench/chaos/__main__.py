"""`python -m bench.chaos`: what `./gateway chaos` runs."""

import argparse
import json
import logging
import sys

from bench.chaos.faults import all_faults
from bench.chaos.run import Options, run_chaos


def main() -> int:
    """Run, print the table, and return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="./gateway chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    # Its clients' complaints about a broker that is down tell nothing: the faults are in the table.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    names = list(all_faults())
    if unknown := [name for name in given.fault if name not in names]:
        print(f"error: no fault is called {unknown[0]!r}\nremedy: choose from {', '.join(names)}", file=sys.stderr)
        return 2
    outcome = run_chaos(Options(given.minutes, given.seed, tuple(given.fault)))
    print(json.dumps(outcome.as_json(), indent=1) if given.json else outcome.as_text())
    return 0 if outcome.kept else 1


if __name__ == "__main__":
    sys.exit(main())
