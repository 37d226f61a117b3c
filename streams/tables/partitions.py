"""Which partition a job lives in: Kafka's own rule (murmur2 of the key), for every topic keyed by job."""

from functools import lru_cache

from aiokafka.partitioner import murmur2

from schemas.topics import JOB_PARTITIONS


@lru_cache(maxsize=65_536)
def job_partition(job_id: str) -> int:
    """Return the partition of a job's records, views and marker."""
    return (murmur2(job_id.encode()) & 0x7FFFFFFF) % JOB_PARTITIONS
