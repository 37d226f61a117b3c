"""The one way to connect to Redis: bounded waits, no hidden retries."""

from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schemas.errors import Outage
from streams.redis_connection import PlainConnection, SocketConnection, TlsConnection

CONNECT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 2.0

_CONNECTIONS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: PlainConnection,
    SSLConnection: TlsConnection,
    UnixDomainSocketConnection: SocketConnection,
}

REDIS_FAILURES = (RedisError, OSError, TimeoutError)
"""What a call on a Redis client raises when Redis is down, paused, loading, full or gone."""


def redis_client(url: str) -> Redis:
    """Return a client that answers with bytes. Nothing is connected before the first command."""
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
        # A broken connection is tried again once, at once: after a restart of Redis each pooled one is dead.
        retry=Retry(NoBackoff(), 1),
        health_check_interval=15,
    )
    pool.connection_class = _CONNECTIONS[pool.connection_class]
    return Redis.from_pool(pool)


def redis_outage(error: BaseException) -> Outage:
    """Return a Redis failure as the gateway's error; its text holds no key and no value."""
    return Outage(
        f"Redis does not answer: {type(error).__name__}",
        code="redis_down",
        remedy="wait and try again; see that Redis runs and that GATEWAY_REDIS_URL is right",
    )
