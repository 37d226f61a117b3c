# pyright: reportPrivateImportUsage=false
# confluent_kafka.admin documents these names and lists none in __all__.
"""Keeps the users and access lists of a cluster that has an authorizer.

Over librdkafka, whose admin client can; aiokafka's cannot.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from schemas.access import Grant
from schemas.errors import Outage, Permanent
from streams.log.bootstrap import librdkafka_options

_CALL_S = 15.0
_NOBODY = "gateway.nobody"
_ITERATIONS = 4096  # Kafka's least; passwords are random, so that guessing them is not what has to be slow
_MECHANISMS: Mapping[str, ScramMechanism] = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}


class Access:
    """Users and access lists of the cluster at `bootstrap`, whose login must be one that may change them.

    Every call raises schemas.errors.Outage when the cluster does not answer, Permanent when it refuses.
    """

    def __init__(self, bootstrap: str) -> None:
        self._not_let_in = False
        options: dict[str, Any] = {**librdkafka_options(bootstrap), "socket.timeout.ms": int(_CALL_S * 1000)}
        options |= {"log_level": 0, "error_cb": self._note}
        # Its stubs know no keyword arguments, and no filter that leaves something open.
        self._client: Any = AdminClient(options)

    async def enforced(self) -> bool:
        """Tell whether the brokers have an authorizer: without one everybody may everything, and there are no lists."""
        # librdkafka keeps to itself that there is none when the lists are read, not when one is to be removed.
        nobodys = _exactly(_bindings(_NOBODY, Grant("topic", _NOBODY, ("READ",)))[0])
        asked = self._client.delete_acls([nobodys], request_timeout=_CALL_S)
        return await self._found(asked[nobodys], KafkaError.SECURITY_DISABLED)

    async def has_user(self, user: str) -> bool:
        """Tell whether the user has a password."""
        asked = self._client.describe_user_scram_credentials([user], request_timeout=_CALL_S)
        return await self._found(asked[user], KafkaError.RESOURCE_NOT_FOUND)

    async def set_password(self, user: str, password: str, mechanism: str) -> None:
        """Make the user, or give it another password: from now on the old one signs nobody in."""
        info = ScramCredentialInfo(_MECHANISMS[mechanism], _ITERATIONS)
        change = UserScramCredentialUpsertion(user, info, password.encode())
        await self._all(self._client.alter_user_scram_credentials([change], request_timeout=_CALL_S))

    async def drop_user(self, user: str, mechanism: str) -> None:
        """Forget the user; one that is not there is no error."""
        change = UserScramCredentialDeletion(user, _MECHANISMS[mechanism])
        asked = self._client.alter_user_scram_credentials([change], request_timeout=_CALL_S)
        await self._found(asked[user], KafkaError.RESOURCE_NOT_FOUND)

    async def grant(self, user: str, grants: Iterable[Grant]) -> bool:
        """Let the user do exactly this: what it may beyond it is taken away, at once for connected clients too.

        Returns whether that changed anything.
        """
        wanted = {_key(binding): binding for one in grants for binding in _bindings(user, one)}
        held = await self._answer(self._client.describe_acls(_filter(user), request_timeout=_CALL_S))
        extra = [binding for binding in held if _key(binding) not in wanted]
        if extra:
            await self._all(self._client.delete_acls([_exactly(b) for b in extra], request_timeout=_CALL_S))
        missing = [binding for key, binding in wanted.items() if key not in {_key(b) for b in held}]
        if missing:
            await self._all(self._client.create_acls(missing, request_timeout=_CALL_S))
        return bool(extra or missing)

    async def _all(self, futures: "Mapping[Any, Future[Any]]") -> None:
        for future in futures.values():
            await self._answer(future)

    async def _found(self, future: "Future[Any]", absent: int) -> bool:
        """Await an answer; False where it is the error `absent`."""
        try:
            await self._answer(future)
        except _Refused as e:
            if e.kafka_code == absent:
                return False
            raise
        return True

    async def _answer(self, future: "Future[Any]") -> Any:
        try:
            return await asyncio.wrap_future(future)
        except KafkaException as e:
            told: KafkaError = e.args[0]
            if self._not_let_in or told.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
                raise Permanent(
                    "Kafka does not let this login change users and access lists",
                    code="kafka_admin_needed",
                    remedy="set GATEWAY_KAFKA_ADMIN_USERNAME and GATEWAY_KAFKA_ADMIN_PASSWORD_FILE to one that may",
                ) from e
            if told.code() < 0:  # librdkafka's own: nobody answered
                raise Outage(
                    f"Kafka does not answer ({told.name()})", code="kafka_down", remedy="check that it runs"
                ) from e
            raise _Refused(told) from e

    def _note(self, error: KafkaError) -> None:
        # The calls themselves only time out.
        self._not_let_in = self._not_let_in or error.code() == KafkaError._AUTHENTICATION


class _Refused(Permanent):
    """Kafka's answer was an error."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(f"Kafka refused to change users or access lists: {error.name()}", code="kafka_refused")
        self.kafka_code = error.code()


def _filter(user: str) -> AclBindingFilter:
    who = f"User:{user}"
    every = (ResourceType.ANY, None, ResourcePatternType.ANY, who, None, AclOperation.ANY, AclPermissionType.ANY)
    return cast(Any, AclBindingFilter)(*every)


def _bindings(user: str, grant: Grant) -> list[AclBinding]:
    pattern = ResourcePatternType.PREFIXED if grant.prefixed else ResourcePatternType.LITERAL
    return [
        AclBinding(
            ResourceType[grant.resource.upper()],
            grant.name,
            pattern,
            f"User:{user}",
            "*",
            AclOperation[operation],
            AclPermissionType.ALLOW,
        )
        for operation in grant.operations
    ]


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(*_key(binding))


def _key(binding: AclBinding) -> tuple[Any, ...]:
    return (
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
