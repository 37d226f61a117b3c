"""The local stack's own API key and batch door: made once a cluster, so that the client commands just work."""

import time

from cli.stack.paths import StackPaths
from cli.stack.secret_files import write_secret
from schemas import topics
from schemas.services import ServiceSettings
from streams.api_keys import Scope, make_key
from streams.log.admin import KafkaAdmin
from streams.log.kafka_publisher import KafkaPublisher

SERVICE = "local"


async def ensure_local_key(admin: KafkaAdmin, bootstrap: str, paths: StackPaths) -> None:
    """Make the key, and open the batch door of its service, unless this cluster knows the key already.

    Raises schemas.errors.Outage when it cannot be published.
    """
    cluster = await admin.cluster_id()
    if paths.local_key.exists() and _read(paths) == cluster:
        return
    now_ms = int(time.time() * 1000)
    record, key = make_key(SERVICE, tuple(Scope), expires_at_ms=None, now_ms=now_ms)
    await admin.ensure_topics(topics.batch_door(SERVICE).topics)
    async with KafkaPublisher(bootstrap) as publisher:
        # Only with the key: a cluster that has one may have other settings of the service, too.
        await publisher.publish(topics.SERVICES, SERVICE, ServiceSettings(SERVICE, batch=True, created_at_ms=now_ms))
        await publisher.publish(topics.API_KEYS, record.key_id, record)
    write_secret(paths.local_key, key + "\n")
    paths.local_key_cluster.write_text(cluster)


def _read(paths: StackPaths) -> str:
    try:
        return paths.local_key_cluster.read_text()
    except FileNotFoundError:
        return ""
