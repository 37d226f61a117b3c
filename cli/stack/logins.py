"""The local stack's principals when its broker asks for logins (`up --secure`), and how they sign in.

The broker and the administrator are named in the broker's own configuration (PLAIN, over loopback), so that a
data directory can be secured, and opened again, at any start. Everything else signs in with SCRAM: the
gateway's processes with SCRAM-SHA-256, services with SCRAM-SHA-512, the one whose sessions the broker ends.
"""

import secrets
from collections.abc import Mapping

from cli.stack.paths import StackPaths
from cli.stack.plan import read_plan
from cli.stack.secret_files import write_secret
from schemas.access import ADMIN, BROKER, GATEWAY

GATEWAY_MECHANISM = "SCRAM-SHA-256"

_ADMIN_VARIABLES = "GATEWAY_KAFKA_ADMIN_"
_LOGIN_VARIABLES = (
    "GATEWAY_KAFKA_SECURITY_PROTOCOL",
    "GATEWAY_KAFKA_SASL_",
    "GATEWAY_KAFKA_USERNAME",
    "GATEWAY_KAFKA_PASSWORD",
    _ADMIN_VARIABLES,
)


def make_passwords(paths: StackPaths) -> dict[str, str]:
    """Return the principals' passwords; those that are missing are made. Delete a file to change one."""
    paths.kafka_secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords: dict[str, str] = {}
    for principal in (BROKER, ADMIN, GATEWAY):
        file = paths.kafka_secrets / principal
        if not file.exists():
            write_secret(file, secrets.token_urlsafe(32))
        passwords[principal] = file.read_text().strip()
    return passwords


def login_environment(paths: StackPaths) -> dict[str, str]:
    """Return the settings with which the command line signs in to the stack's broker; none to an open one."""
    if not read_plan(paths.plan).secure:
        return {}
    return {
        "GATEWAY_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "GATEWAY_KAFKA_SASL_MECHANISM": GATEWAY_MECHANISM,
        "GATEWAY_KAFKA_USERNAME": GATEWAY,
        "GATEWAY_KAFKA_PASSWORD_FILE": str(paths.kafka_secrets / GATEWAY),
        "GATEWAY_KAFKA_ADMIN_SASL_MECHANISM": "PLAIN",
        "GATEWAY_KAFKA_ADMIN_USERNAME": ADMIN,
        "GATEWAY_KAFKA_ADMIN_PASSWORD_FILE": str(paths.kafka_secrets / ADMIN),
    }


def without_logins(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what `login_environment` adds: the broker may be another way next time."""
    return {name: value for name, value in env.items() if not name.startswith(_LOGIN_VARIABLES)}


def without_admin(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that is no administrator."""
    return {name: value for name, value in env.items() if not name.startswith(_ADMIN_VARIABLES)}
