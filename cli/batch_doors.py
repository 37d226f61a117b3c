"""Opens and closes the batch doors of services: their topics and, where the broker keeps access lists, their users."""

import asyncio
import secrets
from typing import NamedTuple

from schemas.access import door_grants, door_user
from schemas.codec import Codec
from schemas.errors import InvalidInput, Outage
from schemas.topics import SCHEMAS, SERVICES, batch_door
from streams.log.access import Access
from streams.log.admin import kafka_admin
from streams.log.kafka_tail import KafkaTail
from streams.log.schema_reader import SchemaReader
from streams.services import Services
from streams.settings import Settings

_READ_S = 30.0
MECHANISM = "SCRAM-SHA-512"


class Credentials(NamedTuple):
    """How a service's own programs sign in to Kafka. The password is shown once and kept nowhere."""

    username: str
    password: str
    mechanism: str = MECHANISM


class Opened(NamedTuple):
    """What to tell the user and, where a user was made, its credentials."""

    told: list[str]
    credentials: Credentials | None = None


async def open_door(settings: Settings, service: str) -> Opened:
    """Make the topics of a service's door, and let the service in; safe to repeat."""
    door = batch_door(service)
    async with kafka_admin(settings.kafka_bootstrap) as admin:
        await admin.ensure_topics(door.topics)
    told = [f"produce to {door.requests.name}; answers are on {door.results.name} and {door.rejected.name}"]
    access = Access(settings.kafka_admin)
    if not await access.enforced():
        return Opened([*told, "this Kafka keeps no access lists: everybody who reaches it may use the door"])
    user = door_user(service)
    made = None if await access.has_user(user) else await _new_password(access, user)
    await access.grant(user, door_grants(service, is_open=True))
    return Opened([*told, f"consumer groups of {user} begin with {user}."], made)


async def renew_grants(settings: Settings) -> list[str]:
    """Give the users of all doors what this version grants them; returns the services for which that was new.

    Passwords stay, and a door without a user gets none: its service would not know the password. Raises Permanent
    (`kafka_admin_needed`) where the login may not change access lists.
    """
    access = Access(settings.kafka_admin)
    if not await access.enforced():
        return []
    bootstrap = settings.kafka_bootstrap
    async with (
        SchemaReader(KafkaTail(bootstrap, SCHEMAS.name), Codec()) as schemas,
        Services(KafkaTail(bootstrap, SERVICES.name), schemas, None) as services,
    ):
        try:
            async with asyncio.timeout(_READ_S):
                await services.caught_up()
        except TimeoutError as e:
            raise Outage(f"Kafka at {bootstrap} does not answer", code="kafka_down", remedy="check that it runs") from e
        every = services.all()
    renewed: list[str] = []
    for each in every:
        user = door_user(each.service)
        # One that was closed has its user for the answers that are left.
        if await access.has_user(user) and await access.grant(user, door_grants(each.service, is_open=each.batch)):
            renewed.append(each.service)
    return renewed


async def close_door(settings: Settings, service: str) -> list[str]:
    """Close a door: what is produced from now on is rejected. Its topics stay, for the answers that are on them."""
    access = Access(settings.kafka_admin)
    if await access.enforced():
        await access.grant(door_user(service), door_grants(service, is_open=False))
    return [f"records on {batch_door(service).requests.name} are rejected from now on; its answers stay readable"]


async def remove_door(settings: Settings, service: str) -> None:
    """Shut a service out: what its programs are connected with may nothing from now on."""
    access = Access(settings.kafka_admin)
    if await access.enforced():
        await access.grant(door_user(service), ())
        await access.drop_user(door_user(service), MECHANISM)


async def change_password(settings: Settings, service: str) -> Credentials:
    """Give a door's user another password.

    Raises InvalidInput when the broker keeps no users, or the service has no door.
    """
    access = Access(settings.kafka_admin)
    if not await access.enforced():
        raise InvalidInput(
            "this Kafka keeps no users", code="kafka_not_secured", remedy="start the local stack with --secure"
        )
    if not await access.has_user(door_user(service)):
        raise InvalidInput(
            f"the service {service} has no batch door with a login",
            code="no_door",
            remedy=f"open it: ./gateway services set {service} --batch",
        )
    return await _new_password(access, door_user(service))


async def _new_password(access: Access, user: str) -> Credentials:
    made = Credentials(user, secrets.token_urlsafe(32))
    await access.set_password(user, made.password, made.mechanism)
    return made
