# pyright: reportPrivateImportUsage=false
# confluent_kafka.admin documents these names and lists none in __all__.
"""Has a table folded from the log anew: forgets what it is recovered from, and how far its group has read.

1. the group's offsets go, which the broker refuses while one of its processes runs; 2. the changelog goes; 3. an
empty one is made. A crash between two of them costs nothing: a table that folds what it has folded stays the same.
Over librdkafka, whose admin client can forget a group; aiokafka's cannot.
"""

import asyncio
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import InvalidInput, Outage
from schemas.topics import Topic
from streams.log.admin import kafka_admin
from streams.log.bootstrap import librdkafka_options

_CALL_S = 15.0
_LOOK_S, _LOOKS = 0.1, 300


async def forget_table(bootstrap: str, group: str, changelog: Topic) -> None:
    """Leave a table empty, and its group at the beginning of the log.

    Raises InvalidInput `table_in_use` while a process of the group runs, Outage when the cluster does not answer.
    """
    options: dict[str, Any] = {
        **librdkafka_options(bootstrap),
        "socket.timeout.ms": int(_CALL_S * 1000),
        "log_level": 0,
    }
    client: Any = AdminClient(options)
    refused = await _told(client.delete_consumer_groups([group], request_timeout=_CALL_S)[group])
    if refused == KafkaError.NON_EMPTY_GROUP:
        raise InvalidInput(
            f"{group} runs: its table cannot be forgotten",
            code="table_in_use",
            remedy=f"stop it first: ./gateway up --scale {group}=0, or docker compose … stop {group}",
        )
    _check(refused, KafkaError.GROUP_ID_NOT_FOUND)
    refused = await _told(client.delete_topics([changelog.name], request_timeout=_CALL_S)[changelog.name])
    _check(refused, KafkaError.UNKNOWN_TOPIC_OR_PART)
    async with kafka_admin(bootstrap) as admin:
        for _ in range(_LOOKS):
            if changelog.name not in await admin.topic_names():
                await admin.ensure_topics([changelog])
                return
            await asyncio.sleep(_LOOK_S)
    raise Outage(f"the topic {changelog.name} is still there", remedy="try again when all brokers run")


async def _told(future: "Future[Any]") -> int | None:
    """Return the code of the error that was answered, None when there is none."""
    try:
        await asyncio.wrap_future(future)
    except KafkaException as e:
        return e.args[0].code()
    return None


def _check(refused: int | None, harmless: int) -> None:
    if refused not in (None, harmless):
        name = KafkaError(refused).name()
        raise Outage(f"Kafka did not do it: {name}", code="kafka_refused", remedy="check that all brokers run")
