"""Opens and closes the batch doors of services: their topics."""

from schemas.topics import batch_door
from streams.log.admin import kafka_admin
from streams.settings import Settings


async def open_door(settings: Settings, service: str) -> list[str]:
    """Make the topics of a service's door; safe to repeat. Returns what to tell the user."""
    door = batch_door(service)
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        await admin.ensure_topics(door.topics)
    return [f"produce to {door.requests.name}; answers are on {door.results.name} and {door.rejected.name}"]


async def close_door(_settings: Settings, service: str) -> list[str]:
    """Close a door: what is produced from now on is rejected. Its topics stay, for the answers that are on them."""
    return [f"records on {batch_door(service).requests.name} are rejected from now on; its answers stay readable"]
