"""Who may do what on the broker: the grants of a service's batch door and of the gateway's own processes. Pure.

Principals hold a dot, which no service's name may: no service can be given the name of another principal.
"""

from dataclasses import dataclass

from schemas.topics import SCHEMAS, batch_door

GATEWAY = "gateway.processes"
"""The principal of ingress, streams and processors."""

ADMIN = "gateway.admin"
"""Makes topics, users and access lists: the command line and the local stack's supervisor."""

BROKER = "gateway.broker"
"""What the local stack's broker is to itself."""

EVERY = "*"
"""Every resource of its kind, where a grant names it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Operations (Kafka's names) that a principal may do from any host on a resource (`topic`, `group`, …)."""

    resource: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False


def door_user(service: str) -> str:
    """Return the principal of a service's batch door."""
    return f"batch.{service}"


def door_grants(service: str, *, is_open: bool) -> tuple[Grant, ...]:
    """Return what a service may: write to its door while it is open, read its answers and schemas, in its groups.

    To write idempotently takes no grant beyond the topic's (since Kafka 2.8).
    """
    door = batch_door(service)
    # `schemas` too: a reader of answers looks there for what it did not ship with, as ours do.
    answers = [Grant("topic", topic.name, ("READ", "DESCRIBE")) for topic in (door.results, door.rejected, SCHEMAS)]
    write = ("WRITE", "DESCRIBE") if is_open else ("DESCRIBE",)
    # The dot keeps the service `mail` out of the groups of `mail-2`.
    groups = Grant("group", f"batch.{service}.", ("READ", "DESCRIBE"), prefixed=True)
    return (Grant("topic", door.requests.name, write), *answers, groups)


def gateway_grants() -> tuple[Grant, ...]:
    """Return what the gateway's processes may: every topic, group and transaction, and no user or access list."""
    return (
        Grant("topic", EVERY, ("ALL",)),
        Grant("group", EVERY, ("ALL",)),
        Grant("transactional_id", EVERY, ("ALL",)),
        Grant("broker", "kafka-cluster", ("DESCRIBE",)),
    )
