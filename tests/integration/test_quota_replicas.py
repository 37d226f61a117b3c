"""Reservations of replicas that die, stand still or hear no answer: none is held for nobody, none is lost too early."""

import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeout

from schemas.quotas import Ask, QuotaExceeded, limits_for
from schemas.services import Quotas as Limits
from streams import redis_keys
from streams.quota import reconcile
from streams.quota.quotas import CALL_MS, LIFE_MS, SILENCE_MS, Quotas
from streams.quota.replicas import Replicas, replicas
from streams.redis_client import redis_client
from tests.builders import now_ms
from tests.integration.test_quotas import Metering, Setting, ask, job, known_to_both, opened_setting, tried
from tests.services import free_port
from tests.waiting import WaitUntil


@pytest.fixture
async def setting(redis_url: str) -> AsyncIterator[Setting]:
    async with opened_setting(redis_url) as made:
        yield made


async def opened(setting: Setting) -> list[str]:
    return sorted(name.decode() for name in await setting.redis.hkeys(redis_keys.quota_open("s")))


async def unheard(replica: Quotas, asked: Ask) -> None:
    """Ask a Redis that does what it is asked, and whose answer comes too late; this replica has had its share."""
    script = replica._reserve

    async def late(**arguments: Any) -> list[int]:
        await script(**arguments)
        raise RedisTimeout("late")

    replica._reserve = late  # type: ignore[assignment]
    assert isinstance(await tried(replica, asked), QuotaExceeded)
    replica._reserve = script


async def test_what_redis_granted_to_somebody_who_heard_no_answer_and_was_refused_is_taken_back(
    setting: Setting, wait_until: WaitUntil
) -> None:
    await setting.set("s", Limits(concurrent_jobs=2))
    await known_to_both(setting, wait_until)
    replica = setting.replicas[0]
    assert await replica.reserve(ask("first"))
    await unheard(replica, ask("second"))
    await wait_until(lambda: not replica._strays)
    assert await opened(setting) == ["first"]
    assert int(await setting.redis.hget(redis_keys.quota_sums("s"), "|jobs") or 0) == 1


async def test_what_is_taken_back_is_never_what_another_replica_holds(setting: Setting, wait_until: WaitUntil) -> None:
    """Two submissions under one key: the job of the first runs."""
    await setting.set("s", Limits(concurrent_jobs=2))
    await known_to_both(setting, wait_until)
    a, b = setting.replicas
    assert await a.reserve(ask("own"))
    assert await b.reserve(job("one"))
    await unheard(a, job("one"))
    await wait_until(lambda: not a._strays)
    assert await opened(setting) == ["one", "own"]


async def test_calls_of_a_replica_that_is_gone_are_closed_once_the_ledger_has_what_it_logged(
    setting: Setting, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    await setting.set("s", Limits(concurrent_jobs=9))
    await known_to_both(setting, wait_until)
    dead = Quotas(setting.redis, setting.services, "c")
    for held in (ask("its-call"), job("its-job")):
        assert await dead.reserve(held)
    assert await setting.replicas[0].reserve(ask("open"))
    metering = Metering(setting, lambda _: False, end=7, folded=6)
    assert await metering.reconciler.turn(["s"]) == 0
    monkeypatch.setattr(reconcile, "GONE_MS", 0)  # before, it may only have stood still
    for _ in range(2):
        assert await metering.reconciler.turn(["s"]) == 0
    metering.end, metering.folded = 90, 7
    assert await metering.reconciler.turn(["s"]) == 1
    assert await opened(setting) == ["its-job", "open"]


async def test_a_call_that_takes_longer_than_others_is_held_while_its_replica_lives(
    setting: Setting, wait_until: WaitUntil
) -> None:
    await setting.set("s", Limits(concurrent_jobs=9))
    await known_to_both(setting, wait_until)
    for replica in ("a", "c"):
        long_ago = Quotas(setting.redis, setting.services, replica, now=lambda: time.time() - CALL_MS / 1000 - 60)
        assert await long_ago.reserve(ask(f"of-{replica}"))
    assert await Metering(setting, lambda _: False).reconciler.turn(["s"]) == 1
    assert await opened(setting) == ["of-a"]


async def test_nobody_can_tell_who_lives_while_redis_is_away_or_began_anew_or_nobody_was_in_touch(
    setting: Setting, wait_until: WaitUntil
) -> None:
    await known_to_both(setting, wait_until)
    assert await replicas(setting.redis) == Replicas(frozenset("ab"))
    for replica in setting.replicas:
        await replica.__aexit__()
    await setting.redis.hset(redis_keys.QUOTA_STATE, "seen", now_ms() - SILENCE_MS - 1)
    assert await replicas(setting.redis) == Replicas(None)
    await setting.redis.hset(redis_keys.QUOTA_STATE, mapping={"seen": now_ms(), "born": now_ms() - LIFE_MS + 2_000})
    assert await replicas(setting.redis) == Replicas(None)
    await setting.redis.flushdb()
    assert await replicas(setting.redis) == Replicas(None)
    away = redis_client(f"redis://127.0.0.1:{free_port()}/0")
    assert await replicas(away) == Replicas(None)
    await away.aclose()


async def test_a_budget_that_was_used_up_is_open_again_in_the_next_month_though_nobody_can_tell(
    setting: Setting,
) -> None:
    await setting.set("s", Limits(tokens_per_month=1_000))
    end_of_november = datetime(2026, 11, 30, 23, 59, 50, tzinfo=timezone(timedelta(hours=9))).timestamp()
    times = [end_of_november]
    away = redis_client(f"redis://127.0.0.1:{free_port()}/0")
    quotas = Quotas(away, setting.services, "c", now=lambda: times[-1])
    quotas._learn(ask("seen"), limits_for(setting.services.get("s"), "k1"), [1_000])
    assert isinstance(await tried(quotas, ask("late", 10)), QuotaExceeded)
    times.append(end_of_november + 20)
    assert await quotas.reserve(ask("early", 10))
    await away.aclose()


async def test_a_warning_comes_from_80_percent_of_what_may_run_at_one_time(
    setting: Setting, wait_until: WaitUntil
) -> None:
    await setting.set("s", Limits(concurrent_jobs=5))
    await known_to_both(setting, wait_until)
    made = [await setting.replicas[0].reserve(ask(f"r{n}")) for n in range(5)]
    texts = [[w.text for w in held.warnings] for held in made if held is not None]
    assert texts == [[], [], [], ["concurrent_jobs 80%"], ["concurrent_jobs 100%"]]
