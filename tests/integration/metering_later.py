"""The metering process with its collector's clock, and no other, ahead by more than what is set aside waits."""

from schemas.retention import GRACE
from streams.metering.__main__ import main
from streams.storage import collecting

AHEAD_MS = int(GRACE.total_seconds() * 1000) + 3_600_000

if __name__ == "__main__":
    now_ms = collecting._now_ms
    collecting._now_ms = lambda: now_ms() + AHEAD_MS
    main()
