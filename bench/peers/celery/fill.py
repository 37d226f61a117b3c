"""`python fill.py COUNT SLEEP_MS`: queues jobs as fast as one client can."""

import sys

from tasks import app, work

count, sleep_ms = int(sys.argv[1]), int(sys.argv[2])
with app.producer_pool.acquire(block=True) as producer:
    for _ in range(count):
        work.apply_async(("x", sleep_ms), producer=producer)
