"""The local stack's own API key: made once a cluster, so that the client commands work without asking for one."""

import os
import time

from cli.stack.paths import StackPaths
from schemas import topics
from streams.api_keys import Scope, make_key
from streams.log.admin import KafkaAdmin
from streams.log.kafka_publisher import KafkaPublisher

SERVICE = "local"


async def ensure_local_key(admin: KafkaAdmin, bootstrap: str, paths: StackPaths) -> None:
    """Make the key unless this cluster knows it already.

    Raises schemas.errors.Outage when it cannot be published.
    """
    cluster = await admin.cluster_id()
    if paths.local_key.exists() and _read(paths) == cluster:
        return
    record, key = make_key(SERVICE, tuple(Scope), expires_at_ms=None, now_ms=int(time.time() * 1000))
    async with KafkaPublisher(bootstrap) as publisher:
        await publisher.publish(topics.API_KEYS, record.key_id, record)
    _write_secret(paths, key)
    paths.local_key_cluster.write_text(cluster)


def _read(paths: StackPaths) -> str:
    try:
        return paths.local_key_cluster.read_text()
    except FileNotFoundError:
        return ""


def _write_secret(paths: StackPaths, key: str) -> None:
    paths.local_key.unlink(missing_ok=True)
    # The mode is given at creation: there is no moment at which others could read it.
    handle = os.open(paths.local_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key + "\n")
