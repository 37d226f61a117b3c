"""API keys: their form, their check, and what is kept of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidInput
from streams.api_keys import check_service, make_key, parse_duration_ms, parse_key, revoked, verify

NOW = 1_700_000_000_000


def test_a_key_opens_until_it_is_revoked():
    """A new key verifies; its revoked record does not, and keeps the first revocation's time."""
    record, key = make_key("mail-room", ["jobs"], None, NOW)
    assert verify(key, record, NOW)
    gone = revoked(record, NOW + 1)
    assert not verify(key, gone, NOW + 2)
    assert revoked(gone, NOW + 9).revoked_at_ms == NOW + 1


def test_a_key_ends_at_its_time():
    """The instant of expiry is too late."""
    record, key = make_key("mail-room", ["jobs"], NOW + 10, NOW)
    assert verify(key, record, NOW + 9)
    assert not verify(key, record, NOW + 10)


def test_only_a_hash_is_kept():
    """The record holds nothing from which the key could be had."""
    record, key = make_key("mail-room", ["jobs"], None, NOW)
    assert key.rpartition("_")[2] not in repr(record)
    assert len(record.secret_sha256) == 64


def test_another_keys_secret_does_not_open():
    """Id and secret belong together."""
    record, key = make_key("a", ["jobs"], None, NOW)
    other, other_key = make_key("a", ["jobs"], None, NOW)
    mixed = f"gw_{record.key_id}_{other_key.rpartition('_')[2]}"
    assert not verify(mixed, record, NOW)
    assert not verify(key, replace(other, key_id=record.key_id), NOW)


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str):
    """Whatever a caller sends is a key's form or it is not."""
    parts = parse_key(text)
    assert parts is None or text.startswith("gw_")


@pytest.mark.parametrize(
    ("text", "ms"), [("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("90d", 7_776_000_000), (" 1s ", 1_000)]
)
def test_durations(text: str, ms: int):
    """A number and a unit."""
    assert parse_duration_ms(text) == ms


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1w", "5", "s", "1.5h", "1h30m", "1 h"])
def test_what_is_no_duration_says_so(text: str):
    """The error shows the text and what to write instead."""
    with pytest.raises(InvalidInput, match="no duration") as caught:
        parse_duration_ms(text)
    assert "90d" in caught.value.remedy


@pytest.mark.parametrize("name", ["", "A", "a_b", "a.b", "../x", "a" * 41, "한글"])
def test_what_is_no_service_name(name: str):
    """Service names become parts of paths and topics."""
    with pytest.raises(InvalidInput):
        check_service(name)


def test_an_unknown_scope_is_refused():
    """With the scopes there are."""
    with pytest.raises(InvalidInput) as caught:
        make_key("a", ["jobs", "root"], None, NOW)
    assert "jobs, chat, usage, admin" in caught.value.remedy
