"""Records survive their encoding; what is no record of ours is told apart."""

import io
from dataclasses import asdict
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.avro_files import HEADER_BYTES, latest_schema, parse_schema
from schemas.codec import RECORD_TYPES, Codec, UnknownFingerprint
from schemas.errors import UndecodableRecord
from schemas.events import ApiKey, JobControl, JobEvent, JobResult, SchemaRecord
from tests.unit.records import values

CODEC = Codec()
KINDS = pytest.mark.parametrize("kind", RECORD_TYPES, ids=lambda kind: kind.__name__)
CONTROL = JobControl("e", "job", "service", "cancel", 1)
slow_to_make = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def as_avro(value: Any) -> Any:
    """Return a value as fastavro writes it."""
    if isinstance(value, dict):
        return {k: as_avro(v) for k, v in value.items()}
    return [as_avro(v) for v in value] if isinstance(value, list | tuple) else value


@KINDS
@slow_to_make
@given(data=st.data())
def test_what_was_encoded_is_decoded(kind: type, data: st.DataObject) -> None:
    record = data.draw(values(kind))
    assert CODEC.decode(CODEC.encode(record), kind) == record


@KINDS
@slow_to_make
@given(data=st.data())
def test_the_bytes_are_those_of_fastavro(kind: type, data: st.DataObject) -> None:
    record = data.draw(values(kind))
    schema = latest_schema(kind.__name__)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema.parsed, as_avro(asdict(record)))
    assert CODEC.encode(record) == schema.header + out.getvalue()


@KINDS
@slow_to_make
@given(data=st.data())
def test_bytes_that_are_cut_short_are_refused(kind: type, data: st.DataObject) -> None:
    encoded = CODEC.encode(data.draw(values(kind)))
    size = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(UndecodableRecord):
        CODEC.decode(encoded[:size], kind)


@KINDS
@slow_to_make
@given(body=st.binary(max_size=200))
def test_garbage_behind_a_good_header_never_escapes_as_another_error(kind: type, body: bytes) -> None:
    try:
        record = CODEC.decode(latest_schema(kind.__name__).header + body, kind)
    except UndecodableRecord:
        return
    assert isinstance(record, kind)


@given(data=st.binary(max_size=60))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodableRecord):
        CODEC.decode(data, JobEvent)


def test_bytes_that_are_left_over_are_refused() -> None:
    with pytest.raises(UndecodableRecord):
        CODEC.decode(CODEC.encode(CONTROL) + b"\x00", JobControl)


def test_another_record_is_refused_by_name() -> None:
    with pytest.raises(UndecodableRecord, match="JobControl"):
        CODEC.decode(CODEC.encode(CONTROL), JobResult)


def test_blocks_with_their_size_in_bytes_are_read() -> None:
    # Other writers may give arrays as a negative count, followed by the block's size.
    key = ApiKey("k", "s", "hash", ("jobs",), 1)
    encoded = CODEC.encode(key)
    one_item = b"\x02\x08jobs\x00"
    assert encoded.count(one_item) == 1
    assert CODEC.decode(encoded.replace(one_item, b"\x01\x0a\x08jobs\x00"), ApiKey) == key


def test_an_array_that_claims_to_be_endless_is_refused() -> None:
    encoded = CODEC.encode(ApiKey("k", "s", "hash", ("jobs",), 1))
    with pytest.raises(UndecodableRecord):
        CODEC.decode(encoded.replace(b"\x02\x08jobs\x00", b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x08jobs\x00"), ApiKey)


def test_a_number_of_more_than_64_bits_is_not_written() -> None:
    with pytest.raises(OverflowError):
        CODEC.encode(JobControl("e", "job", "service", "cancel", 2**63))


def test_the_header_is_that_of_the_specification() -> None:
    # Avro 1.11, "Schema Fingerprints": the CRC-64-AVRO of "int" is 7275d51a3f395c8f, sent little-endian.
    schema = parse_schema("int", 1, '"int"')
    assert schema.fingerprint == "7275d51a3f395c8f"
    assert schema.header == bytes.fromhex("c301 8f5c393f1ad57572")
    assert len(schema.header) == HEADER_BYTES


def test_a_schema_that_is_not_known_yet_is_named_and_can_be_learned() -> None:
    source = latest_schema("JobControl").source.replace('"name": "action"', '"name": "verb", "default": ""')
    source = source.replace('"fields": [', '"fields": [{"name": "action", "type": "string"},')
    newer = parse_schema("JobControl", 99, source)
    out = io.BytesIO()
    fields = {"action": "cancel", "event_id": "e", "job_id": "j", "service": "s", "verb": "v", "at_ms": 5}
    fastavro.schemaless_writer(out, newer.parsed, fields)
    codec, encoded = Codec(), newer.header + out.getvalue()
    with pytest.raises(UnknownFingerprint) as raised:
        codec.decode(encoded, JobControl)
    assert raised.value.fingerprint == newer.fingerprint
    codec.learn(newer)
    assert codec.knows(newer.fingerprint)
    assert codec.decode(encoded, JobControl) == JobControl("e", "j", "s", "cancel", 5)


def test_every_record_of_a_topic_can_be_encoded() -> None:
    assert {kind.__name__ for kind in RECORD_TYPES} >= {SchemaRecord.__name__, JobEvent.__name__}
