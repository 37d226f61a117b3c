"""Where a client finds the cluster and how it signs in, and what each Kafka library wants to be told of it."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Self, cast

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


@dataclass(frozen=True, slots=True)
class Login:
    """How a client signs in: a protocol and a mechanism of Kafka's, by their own names.

    `username` is empty where TLS alone is asked for. `ca_file` is a PEM file with the authority that signed
    the brokers' certificates; empty: the system's own authorities.
    """

    protocol: str
    mechanism: str = MECHANISMS[0]
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    @property
    def signs_in(self) -> bool:
        """Whether a user name and a password are shown."""
        return self.protocol.startswith("SASL_")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return what checks the brokers' certificates; None where nothing is encrypted."""
        return ssl.create_default_context(cafile=self.ca_file or None) if self.protocol.endswith("SSL") else None


class Bootstrap(str):
    """The cluster's addresses, comma-separated, with the login that its listener asks for.

    It is a text, so that the plain address of an open broker serves wherever one is taken.
    """

    login: Login | None

    def __new__(cls, servers: str, login: Login | None = None) -> Self:
        """Join the two."""
        made = super().__new__(cls, servers)
        made.login = login
        return made


def login_of(bootstrap: str) -> Login | None:
    """Return the login that comes with an address; None for a plain one."""
    return bootstrap.login if isinstance(bootstrap, Bootstrap) else None


def client_options(bootstrap: str) -> dict[str, Any]:
    """Return what aiokafka's clients are told."""
    login = login_of(bootstrap)
    if login is None:
        return {"bootstrap_servers": str(bootstrap)}
    options = {
        "bootstrap_servers": str(bootstrap),
        "security_protocol": login.protocol,
        "ssl_context": login.ssl_context(),
    }
    if login.signs_in:
        options |= {
            "sasl_mechanism": login.mechanism,
            "sasl_plain_username": login.username,
            "sasl_plain_password": login.password,
        }
    return options


def faust_options(bootstrap: str) -> dict[str, Any]:
    """Return what a Faust app is told."""
    import faust

    library = cast(Any, faust)
    login = login_of(bootstrap)
    broker = ";".join(f"kafka://{server.strip()}" for server in bootstrap.split(","))
    if login is None:
        return {"broker": broker}
    if login.signs_in:
        credentials = library.SASLCredentials(
            username=login.username,
            password=login.password,
            mechanism=login.mechanism,
            ssl_context=login.ssl_context(),
        )
    else:
        credentials = library.SSLCredentials(context=login.ssl_context())
    return {"broker": broker, "broker_credentials": credentials}


def librdkafka_options(bootstrap: str) -> dict[str, str]:
    """Return what confluent-kafka's clients are told."""
    login = login_of(bootstrap)
    options = {"bootstrap.servers": str(bootstrap)}
    if login is None:
        return options
    options["security.protocol"] = login.protocol
    if login.ca_file:
        options["ssl.ca.location"] = login.ca_file
    if login.signs_in:
        options |= {
            "sasl.mechanism": login.mechanism,
            "sasl.username": login.username,
            "sasl.password": login.password,
        }
    return options
