"""Lets the gateway's own processes in at a broker that asks for logins."""

from collections.abc import Mapping

from cli.stack.logins import GATEWAY_MECHANISM
from schemas.access import GATEWAY, gateway_grants
from streams.log.access import Access
from streams.settings import Settings


async def ensure_gateway_login(settings: Settings, passwords: Mapping[str, str]) -> None:
    """Let the gateway's processes in.

    Raises schemas.errors.Outage when the broker does not answer.
    """
    access = Access(settings.kafka_admin)
    await access.set_password(GATEWAY, passwords[GATEWAY], GATEWAY_MECHANISM)
    await access.grant(GATEWAY, gateway_grants())
