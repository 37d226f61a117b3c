"""`python -m bench.probe`: a processor of the no-op stage, with a clock that may be wrong.

PROBE_CONCURRENCY says how many jobs are in work at a time, PROBE_CLOCK_S by how many seconds the clock is
off. The clock is put off in Python: what native code and the kernel say of the time stays right.
"""

import os
import time

_NS = 1_000_000_000


def put_clock_off(seconds: int) -> None:
    """Let this process's Python believe that it is `seconds` later."""
    true_time, true_time_ns = time.time, time.time_ns
    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + seconds * _NS


def main() -> None:
    """Serve until SIGTERM."""
    if off := int(os.environ.get("PROBE_CLOCK_S", "0")):
        put_clock_off(off)
    # After the clock, which some of these keep by name.
    from bench.probe.handler import probe_processor
    from streams.runtime.run import run
    from streams.settings import Settings

    processor = probe_processor(int(os.environ.get("PROBE_CONCURRENCY", "256")))
    run(processor, settings=Settings.from_env(os.environ), name="probe")


if __name__ == "__main__":
    main()
