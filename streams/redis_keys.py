"""Every key in Redis: its pattern, what it holds, how long it lives and its only writer.

| key | holds | lives | writer |
|---|---|---|---|
| `gw:job:{job id}` | string: a job's view as JSON | as long as the job is live, then `job_ttl_seconds` | job-state |
| `gw:claim:{job id}` | string: the digest that has its key and, once accepted, `created_at` (ms) | an hour | ingress |
| `gw:jobs:{service}` | sorted set: job ids by `created_at` (ms) | an entry lives as long as its job | job-state |
| `gw:marker:{partition}` | string: `generation events results`, see `Marker` | for ever, 8 keys | job-state |
| `gw:usage:marker:{partition}` | string: a marker whose `events` are `usage.events` | for ever, 8 keys | metering |
| `gw:usage:keys:{partition}` | set: the names of the partition's hashes of rows | for ever | metering |
| `gw:usage:{partition}:h:{service}:{day}` | hash: a day's hours, see `streams.metering.rows` | for ever | metering |
| `gw:usage:{partition}:d:{service}:{month}` | hash: a month's days | for ever | metering |
| `gw:usage:{partition}:t` | hash with one field: the log's time (ms) up to which is folded | for ever | metering |
| `gw:usage:{partition}:q:{service}:{month}` | hash: a key id, or "", to what quotas count | for ever | metering |
| `gw:quota:…` | see `streams.quota.scripts` | minutes: 120 s | replicas; `open`, `sums`: metering, job-state too |
| `gw:slots:{upstream}` | hash: replica to `slots wanted expiry interactive` | 10 lives | each replica: its own field |
| `gw:serving` | hash: stage kind and instance to what a processor says of it | 10 minutes | processors |
| `gw:changed:{job id}` | pub/sub channel, no key: the job's view changed | | job-state |
| `gw:changed` | pub/sub channel that keeps a subscriber's connection open; nobody writes to it | | |

Nothing here that the log cannot rebuild.
"""

from dataclasses import dataclass

KEEP_OPEN_CHANNEL = "gw:changed"
SERVING = "gw:serving"


def job(job_id: str) -> str:
    """Return the key of a job's view."""
    return f"gw:job:{job_id}"


def claim(job_id: str) -> str:
    """Return the key of the claim on a job's id."""
    return f"gw:claim:{job_id}"


def jobs(service: str) -> str:
    """Return the key of a service's list of jobs."""
    return f"gw:jobs:{service}"


def marker(partition: int) -> str:
    """Return the key of a partition's marker."""
    return f"gw:marker:{partition}"


def usage_marker(partition: int) -> str:
    """Return the key of the marker of a partition's usage rows."""
    return f"gw:usage:marker:{partition}"


def usage_index(partition: int) -> str:
    """Return the key of the set that names a partition's hashes of usage rows."""
    return f"gw:usage:keys:{partition}"


def usage_rows(name: str) -> str:
    """Return the key of a hash of usage rows; `name` is as in the index."""
    return f"gw:usage:{name}"


QUOTA_STATE = "gw:quota:state"
"""The key of the hash that tells since when the quotas' counters count, and for which replicas."""


def usage_marker_prefix() -> str:
    """Return what the keys of usage markers begin with, before the partition."""
    return "gw:usage:marker:"


def quota_open(service: str) -> str:
    """Return the key of a service's open reservations."""
    return f"gw:quota:open:{service}"


def quota_sums(service: str) -> str:
    """Return the key of the sums over a service's open reservations."""
    return f"gw:quota:sums:{service}"


def quota_minute(service: str, key_id: str) -> str:
    """Return the key of what a service, or one key of it, asked for in the last minute."""
    return f"gw:quota:minute:{service}:{key_id}"


def slots(upstream: str) -> str:
    """Return the key of the table of an upstream's slots that replicas have leased."""
    return f"gw:slots:{upstream}"


def changed(job_id: str) -> str:
    """Return the channel on which a job's changes are told."""
    return f"gw:changed:{job_id}"


@dataclass(frozen=True, slots=True)
class Offsets:
    """Positions in one partition of the two topics that make a job: the next offsets to be folded."""

    events: int
    results: int

    def covers(self, other: "Offsets") -> bool:
        """Tell whether everything below `other` is below these positions too."""
        return self.events >= other.events and self.results >= other.results


NOTHING_FOLDED = Offsets(-1, -1)
"""The offsets of a marker while its partition's views are being rebuilt: behind every log end."""


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a partition's views are. Written after them, by the process that owns `generation`."""

    generation: str
    folded: Offsets

    def encode(self) -> bytes:
        """Return the marker as it stands in Redis."""
        return f"{self.generation} {self.folded.events} {self.folded.results}".encode()


def decode_marker(raw: bytes | str | None) -> Marker | None:
    """Read a marker; None when there is none, or what stands there is no marker."""
    if raw is None:
        return None
    try:
        text = raw if isinstance(raw, str) else raw.decode()
        generation, events, results = text.split(" ")
        return Marker(generation, Offsets(int(events), int(results)))
    except ValueError:
        return None
