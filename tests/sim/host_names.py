"""Which names an Ollama that is bound to loopback answers to; a call to any other gets an empty 403. Pure."""

import ipaddress
import socket

_OWN_DOMAINS = (".localhost", ".local", ".internal")


def answers_to(host: str) -> bool:
    """Tell whether it answers a call with this `Host` header."""
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_OWN_DOMAINS)
    return address.is_loopback or address.is_private or address.is_unspecified
