"""How full the brokers' own disks are, as Kafka tells it since 3.3 (DescribeLogDirs 4), which aiokafka cannot ask.

A broker that does not tell (an older one, one that does not let us) is left out.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

_KEY, _VERSION = 35, 4
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class LogDisk:
    """The fullest of a broker's folders, in bytes."""

    broker: str
    free: int
    size: int


class _Answer(Response):
    API_KEY = _KEY  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as all of aiokafka's own
    API_VERSION = _VERSION  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "folders",
            CompactArray(
                ("error_code", Int16),
                ("folder", CompactString("utf-8")),
                (
                    "topics",
                    CompactArray(
                        ("name", CompactString("utf-8")),
                        (
                            "partitions",
                            CompactArray(
                                ("partition", Int32),
                                ("size", Int64),
                                ("offset_lag", Int64),
                                ("is_future", Boolean),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("tags", TaggedFields),
                    ),
                ),
                ("total_bytes", Int64),
                ("usable_bytes", Int64),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = _KEY
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("partitions", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeLogDirs(Request[_Question]):
    API_KEY = _KEY

    def build(self, request_struct_class: type[_Question]) -> _Question:
        return request_struct_class([], {})  # of no topic: what the folders hold is not asked


async def log_disks(client: AIOKafkaAdminClient, brokers: Iterable[int]) -> list[LogDisk]:
    """Ask these brokers, by number, all at once. Raises nothing, and takes two seconds at most."""
    told = await asyncio.gather(*(_disk_of(client, broker) for broker in brokers))
    return [disk for disk in told if disk is not None]


async def _disk_of(client: AIOKafkaAdminClient, broker: int) -> LogDisk | None:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            answer = await client._send_request_to_node(broker, _DescribeLogDirs())  # pyright: ignore[reportPrivateUsage]
    except (KafkaError, NotImplementedError, OSError, TimeoutError):
        return None
    return disk_in(broker, answer.to_object())


def disk_in(broker: int, answer: Mapping[str, Any]) -> LogDisk | None:
    """Return the fullest folder of an answer; None when it tells of none. Pure."""
    folders = [(folder["usable_bytes"], folder["total_bytes"]) for folder in answer["folders"]]
    known = [(free, size) for free, size in folders if size > 0]
    return LogDisk(str(broker), *min(known, key=lambda one: one[0] / one[1])) if known else None
