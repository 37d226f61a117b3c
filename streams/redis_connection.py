"""Connections to Redis whose callers can be cancelled while a command is sent."""

import asyncio
from collections.abc import Iterable

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Cancellable(AbstractConnection):
    # redis-py sends under `asyncio.wait_for`, which on Python 3.11 drops a cancellation that comes in the turns of
    # the loop that it takes: whoever had left went on to wait. It makes a task of each command besides.

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()
        writer = self._writer
        if writer is None:  # another caller on this connection, as waiters of a subscription are, has just closed it
            raise RedisConnectionError("the connection was closed before the command was sent")
        try:
            async with asyncio.timeout(self.socket_timeout):
                writer.writelines(_parts(command))
                await writer.drain()
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout writing to socket") from None
        except OSError as e:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"Error while writing to socket: {type(e).__name__}") from e
        except BaseException:
            # Half a command may be on the wire: nothing else can be sent after it.
            await self.disconnect(nowait=True)
            raise


class PlainConnection(_Cancellable, Connection):
    """A connection by TCP."""


class TlsConnection(_Cancellable, SSLConnection):
    """A connection by TCP and TLS."""


class SocketConnection(_Cancellable, UnixDomainSocketConnection):
    """A connection by a socket in the file system."""


def _parts(command: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(command, str):
        return (command.encode(),)
    return (command,) if isinstance(command, bytes) else command
