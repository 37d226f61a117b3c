"""Whom a client of the gateway trusts to be the gateway."""

import ssl


def trusted(url: str) -> ssl.SSLContext | bool:
    """Return what httpx takes as `verify`: the system's authorities, or those of OpenSSL's own SSL_CERT_FILE."""
    return ssl.create_default_context() if url.startswith("https:") else True
