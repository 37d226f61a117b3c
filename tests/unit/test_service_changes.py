"""What `gateway services set` makes of its options, and what it refuses."""

import pytest

from cli.service_changes import Changes, changed, document
from schemas.errors import InvalidInput
from schemas.quotas import Limit, limits_for, month_left_s, month_of, share
from schemas.services import ServiceSettings

PLAIN = ServiceSettings("s")


def test_limits_names_and_switches_are_set_and_taken_back() -> None:
    given = Changes(limits={"money_per_month": "0.5", "pages_per_month": "9"}, models="a, b", batch=True)
    one = changed(PLAIN, given, 7)
    assert (one.quotas.money_micros_per_month, one.quotas.pages_per_month) == (500_000, 9)
    assert (one.allowance.models, one.batch, one.created_at_ms) == (("a", "b"), True, 7)
    assert document(one)["quotas"] == {"pages_per_month": 9, "money_per_month": 0.5}
    two = changed(one, Changes(limits={"money_per_month": "none", "pages_per_month": "none"}, models="all"), 8)
    assert two.allowance == PLAIN.allowance


def test_a_key_has_its_own_limits_and_loses_them() -> None:
    one = changed(PLAIN, Changes(key="k", limits={"requests_per_minute": "3"}), 1)
    assert [(x.key_id, x.name, x.most) for x in limits_for(one, "k")] == [("k", "requests_per_minute", 3)]
    assert limits_for(one, "other") == ()
    assert changed(one, Changes(key="k", limits={"requests_per_minute": "none"}), 2).keys == {}


@pytest.mark.parametrize(
    "changes",
    [
        Changes(limits={"pages_per_month": "-1"}),
        Changes(limits={"pages_per_month": "٣"}),
        Changes(limits={"pages_per_month": "9" * 30}),
        Changes(limits={"money_per_month": "NaN"}),
        Changes(limits={"money_per_month": "-1"}),
        Changes(limits={"money_per_month": "1e400"}),
        Changes(limits={"money_per_month": "0.0000001"}),
        Changes(chat_content="some"),
        Changes(retention_days="0"),
    ],
)
def test_what_cannot_be_set_is_refused(changes: Changes) -> None:
    with pytest.raises(InvalidInput):
        changed(PLAIN, changes, 1)


def test_a_share_is_never_everything_and_never_nothing_of_what_is_left() -> None:
    month = Limit("", "tokens_per_month", "month", "tokens", 1_000)
    assert (share(month, 2, 400), share(month, 2, 1_000), share(month, None, None)) == (300, 0, 2)
    minute = Limit("", "requests_per_minute", "minute", "requests", 3)
    assert (share(minute, 8, None), share(minute, 1, None), share(minute, None, None)) == (1, 3, 1)


def test_months_are_those_of_the_ledgers_zone() -> None:
    before_midnight = 1_796_050_799_000  # 2026-11-30T23:59:59+09:00
    assert (month_of(before_midnight), month_left_s(before_midnight)) == ("2026-11", 1)
    assert month_of(before_midnight + 1_000) == "2026-12"
