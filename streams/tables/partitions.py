"""Which partition a job lives in: Kafka's own rule (murmur2 of the key), for every topic keyed by job."""

from functools import lru_cache

from schemas.topics import JOB_PARTITIONS
from streams.log.topic_partitions import partition_of


@lru_cache(maxsize=65_536)
def job_partition(job_id: str) -> int:
    """Return the partition of a job's records, views and marker."""
    return partition_of(job_id.encode(), JOB_PARTITIONS)
