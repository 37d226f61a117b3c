"""Reservations on a real Redis: budgets hold at any concurrency, and without Redis everybody keeps to a share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from schemas.codec import Codec
from schemas.quotas import LARGEST_AMOUNT, Ask, Estimate, NotAllowed, QuotaExceeded, month_of
from schemas.services import Allowance, ServiceSettings
from schemas.services import Quotas as Limits
from schemas.topics import JOB_PARTITIONS, SERVICES
from streams import redis_keys
from streams.admission.checks import KEY_ID
from streams.log.memory import MemoryLog, MemoryPublisher, MemoryTail
from streams.log.schema_reader import CodecDecoder
from streams.metering.orphans import HeldLedger
from streams.quota.quotas import LIFE_MS, Quotas
from streams.quota.reconcile import UNKNOWN_MS, Reconciler
from streams.quota.reservations import Reservation
from streams.redis_client import redis_client
from streams.redis_keys import Marker, Offsets
from streams.services import Services
from streams.tables.job_reader import JobReader
from tests.integration.ingress_harness import own_database
from tests.services import free_port
from tests.waiting import WaitUntil, eventually

CODEC = Codec()  # reading the schemas takes longer than most tests here


class Setting:
    """Two replicas over one Redis, and a way to set quotas."""

    def __init__(self, redis: Redis, services: Services, publisher: MemoryPublisher) -> None:
        self.redis, self.services, self._publisher = redis, services, publisher
        self.replicas = [Quotas(redis, services, name) for name in ("a", "b")]

    async def set(self, service: str, limits: Limits, **more: object) -> None:
        """Set a service's quotas."""
        record = replace(ServiceSettings(service, allowance=Allowance(quotas=limits)), **more)
        await self._publisher.publish(SERVICES, service, record)
        assert await self.services.refresh()

    async def seeded(self, service: str = "s", **spent: int) -> None:
        """Do as metering does when its rows are in Redis."""
        for p in range(JOB_PARTITIONS):
            await self.redis.set(redis_keys.usage_marker(p), "g 5 0")
        row = " ".join(str(spent.get(n, 0)) for n in ("tokens", "pages", "audio_ms", "money_micros"))
        await self.redis.hset(redis_keys.usage_rows(f"3:q:{service}:{month_of(int(time.time() * 1000))}"), "", row)

    async def known(self) -> None:
        """Make the counters old enough to be believed, once both replicas are in touch."""

        async def both() -> bool:
            return len(await self.redis.hkeys(redis_keys.QUOTA_STATE)) == 4

        await eventually(both, 20)
        await self.redis.hset(redis_keys.QUOTA_STATE, "born", int(time.time() * 1000) - LIFE_MS - 1_000)


class Metering:
    """What metering knows, and the log whose end it knows, with the reconciler over both."""

    def __init__(self, setting: Setting, settled: Callable[[str], bool | None], end: int = 0, folded: int = 0) -> None:
        self.end, self.folded = end, folded
        ledger = HeldLedger(lambda: dict.fromkeys(range(JOB_PARTITIONS), self.folded), settled)
        self.reconciler = Reconciler(setting.redis, ledger, self, JobReader(setting.redis, self))

    async def ends(self, partition: int) -> Offsets:
        return Offsets(self.end, 0)

    async def all_ends(self, partitions: Sequence[int]) -> dict[int, Offsets]:
        return {p: await self.ends(p) for p in partitions}

    async def begins(self, partition: int) -> Offsets:
        return Offsets(0, 0)


@asynccontextmanager
async def opened_setting(redis_url: str) -> AsyncIterator[Setting]:
    """Two replicas on an empty Redis of their own."""
    # Patient: on a busy machine a late answer would be an outage, and exact figures hold only without one.
    redis = Redis.from_url(own_database(redis_url, 9), socket_connect_timeout=60, socket_timeout=60)
    await redis.flushdb()
    log = MemoryLog()
    services = Services(MemoryTail(log, SERVICES.name), CodecDecoder(CODEC), None)
    made = Setting(redis, services, MemoryPublisher(log, CODEC))
    async with services, made.replicas[0], made.replicas[1]:
        yield made
    await redis.aclose()


@pytest.fixture
async def setting(redis_url: str) -> AsyncIterator[Setting]:
    async with opened_setting(redis_url) as made:
        yield made


def ask(request_id: str, tokens: int = 0, service: str = "s", **more: int) -> Ask:
    return Ask(request_id, service, "k1", "chat", Estimate(tokens=tokens, **more), "tiny")


def job(request_id: str, tokens: int = 0, key_id: str = "k1") -> Ask:
    return Ask(request_id, "s", key_id, "ocr", Estimate(tokens=tokens))


async def known_to_both(setting: Setting, wait_until: WaitUntil) -> None:
    """Wait until both replicas have added what they had to counters that are old enough."""
    await setting.known()
    born = str(int(await setting.redis.hget(redis_keys.QUOTA_STATE, "born") or 0))
    for replica in setting.replicas:
        await wait_until(lambda r=replica: (r._born, r._replicas) == (born, 2))


async def touched(setting: Setting, wait_until: WaitUntil) -> None:
    """Wait until the first replica was in touch once more."""
    before = await setting.redis.hget(redis_keys.QUOTA_STATE, "replica:a")

    async def again() -> bool:
        return await setting.redis.hget(redis_keys.QUOTA_STATE, "replica:a") != before

    await wait_until(again)


async def tried(quotas: Quotas, asked: Ask) -> Reservation | QuotaExceeded | None:
    try:
        return await quotas.reserve(asked)
    except QuotaExceeded as e:
        return e


@pytest.mark.parametrize(
    ("limits", "estimate", "spent", "granted"),
    [
        (Limits(tokens_per_month=10_000), {"tokens": 100}, {"tokens": 5_000}, 50),
        (Limits(money_micros_per_month=7_000_000), {"money_micros": 90_000}, {"money_micros": 1_000_000}, 66),
        (Limits(pages_per_month=120), {"pages": 7}, {}, 17),
        (Limits(audio_seconds_per_month=100), {"audio_seconds": 9}, {"audio_ms": 500}, 11),
        (Limits(requests_per_minute=37), {}, {}, 37),
        (Limits(tokens_per_minute=999), {"tokens": 10}, {}, 99),
        (Limits(concurrent_jobs=13), {}, {}, 13),
    ],
)
async def test_200_calls_at_once_through_two_replicas_never_pass_a_limit(
    setting: Setting, limits: Limits, estimate: dict[str, int], spent: dict[str, int], granted: int
) -> None:
    await setting.set("s", limits)
    await setting.seeded(**spent)
    await setting.known()
    answers = await asyncio.gather(*(tried(setting.replicas[n % 2], ask(f"r{n}", **estimate)) for n in range(200)))
    assert sum(isinstance(a, Reservation) for a in answers) == granted
    refused = next(a for a in answers if isinstance(a, QuotaExceeded))
    assert refused.retry_after_s >= 1
    assert getattr(limits, refused.limit) is not None


async def test_a_key_has_limits_of_its_own_within_those_of_its_service(setting: Setting) -> None:
    own = Allowance(quotas=Limits(requests_per_minute=2))
    await setting.set("s", Limits(requests_per_minute=5), keys={"k1": own})
    await setting.known()
    answers = [await tried(setting.replicas[0], ask(f"r{n}")) for n in range(4)]
    assert [isinstance(a, Reservation) for a in answers] == [True, True, False, False]
    others = [await tried(setting.replicas[0], replace(ask(f"o{n}"), key_id="k2")) for n in range(4)]
    assert [isinstance(a, Reservation) for a in others] == [True, True, True, False]


async def test_what_a_call_really_used_takes_the_place_of_its_estimate(setting: Setting, wait_until: WaitUntil) -> None:
    await setting.set("s", Limits(tokens_per_month=1_000, tokens_per_minute=1_000, concurrent_jobs=1))
    await setting.seeded()
    await setting.known()
    quotas = setting.replicas[0]
    held = await quotas.reserve(ask("r1", 900))
    assert isinstance(await tried(setting.replicas[1], ask("r2", 200)), QuotaExceeded)
    quotas.settle(held, 100)
    await wait_until(lambda: _sum_is(setting, "tokens", 100))
    assert isinstance(await tried(quotas, ask("r2", 900)), Reservation)


async def test_a_request_that_asks_again_is_reserved_once(setting: Setting) -> None:
    await setting.set("s", Limits(concurrent_jobs=1))
    await setting.known()
    assert [isinstance(await tried(q, ask("same")), Reservation) for q in setting.replicas] == [True, True]


async def test_a_submission_that_was_repeated_and_fails_takes_no_reservation_from_the_first(
    setting: Setting, wait_until: WaitUntil
) -> None:
    """At either replica: the job of the first runs, whatever becomes of the second."""
    await setting.set("s", Limits(concurrent_jobs=1))
    await setting.seeded()
    await setting.known()
    first = await setting.replicas[0].reserve(job("one"))
    for replica in setting.replicas:
        replica.release(await replica.reserve(job("one")))
        await wait_until(lambda r=replica: not r._settling)
        assert isinstance(await tried(replica, job("other")), QuotaExceeded)
    setting.replicas[0].release(first)
    await wait_until(lambda: not setting.replicas[0]._settling)
    assert isinstance(await tried(setting.replicas[1], job("other")), Reservation)


async def test_a_repeated_submission_is_known_without_redis_too(setting: Setting) -> None:
    await setting.set("s", Limits(concurrent_jobs=4))  # one of them is this replica's
    away = redis_client(f"redis://127.0.0.1:{free_port()}/0")
    quotas = Quotas(away, setting.services, "c")
    await quotas.reserve(job("one"))
    quotas.release(await quotas.reserve(job("one")))
    assert isinstance(await tried(quotas, job("other")), QuotaExceeded)
    await away.aclose()


async def test_requests_for_more_than_redis_can_add_up_harm_nobody(setting: Setting, wait_until: WaitUntil) -> None:
    await setting.set("s", Limits(requests_per_minute=10))
    await setting.set("other", Limits(requests_per_minute=1))
    await known_to_both(setting, wait_until)
    a, b = setting.replicas
    held = [await a.reserve(ask(f"r{n}", tokens, money_micros=2**64)) for n, tokens in enumerate((2**70, 2**63 - 1))]
    assert a._reachable
    assert isinstance(await tried(a, ask("o1", service="other")), Reservation)
    assert isinstance(await tried(b, ask("o2", service="other")), QuotaExceeded)  # each alone would grant one
    a.settle(held[0], 2**70)
    a.release(held[1])
    await wait_until(lambda: not a._settling)
    assert await _sum_is(setting, "tokens", LARGEST_AMOUNT)
    assert await _sum_is(setting, "jobs", 0)


async def test_a_warning_comes_from_80_percent_on(setting: Setting) -> None:
    await setting.set("s", Limits(requests_per_minute=10))
    await setting.known()
    made = [await setting.replicas[0].reserve(ask(f"r{n}")) for n in range(8)]
    texts = [[w.text for w in held.warnings] for held in made if held is not None]
    assert texts[6:] == [[], ["requests_per_minute 80%"]]


async def test_an_emptied_redis_is_unknown_not_zero_until_everybody_has_added_again(
    setting: Setting, wait_until: WaitUntil
) -> None:
    await setting.set("s", Limits(tokens_per_month=1_000))
    await setting.seeded(tokens=400)
    await setting.known()
    a, b = setting.replicas
    assert isinstance(await tried(a, ask("a1", 200)), Reservation)
    assert isinstance(await tried(b, ask("b1", 200)), Reservation)
    await setting.redis.flushdb()
    # a knows of 400 and its own 200, and that there was another: half of what was left, or less, is its share.
    granted = [n for n in range(40) if isinstance(await tried(a, ask(f"x{n}", 20)), Reservation)]
    assert 0 < len(granted) * 20 <= (1_000 - 600) / 2
    await setting.seeded(tokens=400)
    await wait_until(lambda: _sum_is(setting, "tokens", 400 + 20 * len(granted)))
    await setting.known()
    left = 1_000 - 400 - 400 - 20 * len(granted)
    assert isinstance(await tried(b, ask("y", max(0, left) + 1)), QuotaExceeded)


async def test_months_are_unknown_while_metering_has_not_seeded_them(setting: Setting, wait_until: WaitUntil) -> None:
    await setting.set("s", Limits(tokens_per_month=10_000))
    await setting.known()
    for replica in setting.replicas:
        await wait_until(lambda r=replica: r._replicas == 2)
    answers = await asyncio.gather(*(tried(setting.replicas[n % 2], ask(f"r{n}", 10)) for n in range(40)))
    # Both keep to their half of a hundredth of the month: together 100 tokens, and neither all of them.
    granted = [n % 2 for n, answer in enumerate(answers) if isinstance(answer, Reservation)]
    assert (granted.count(0), granted.count(1)) == (5, 5)


async def test_what_is_granted_while_nobody_can_tell_is_added_soon_and_granted_once(
    setting: Setting, wait_until: WaitUntil
) -> None:
    """Redis is there and whole, metering is late: grants are added while the counters' birth stays the same."""
    a, b = setting.replicas
    await setting.set("s", Limits(concurrent_jobs=8, requests_per_minute=100, tokens_per_month=100_000))
    await known_to_both(setting, wait_until)
    answers = [await tried(a, job(f"j{n}", 100)) for n in range(5)]
    assert [isinstance(answer, Reservation) for answer in answers] == [True] * 4 + [False]
    await wait_until(lambda: _sum_is(setting, "jobs", 4))
    minute = await setting.redis.hgetall(redis_keys.quota_minute("s", ""))
    assert sum(int(amount) for field, amount in minute.items() if b"|r|" in field) == 4
    for _ in range(2):  # what was forgotten at a touch would be granted again
        await touched(setting, wait_until)
    assert isinstance(await tried(a, job("j5", 100)), QuotaExceeded)
    await setting.seeded(tokens=90_000)
    assert isinstance(await tried(b, job("more", 9_601)), QuotaExceeded)
    assert isinstance(await tried(b, job("rest", 9_600)), Reservation)


async def test_a_call_that_ended_before_it_was_added_keeps_no_place(setting: Setting, wait_until: WaitUntil) -> None:
    await setting.set("s", Limits(concurrent_jobs=8, tokens_per_month=100_000))
    await known_to_both(setting, wait_until)
    a = setting.replicas[0]
    a.settle(await a.reserve(ask("r1", 100)), 30)
    await wait_until(lambda: _sum_is(setting, "tokens", 30))
    assert await _sum_is(setting, "jobs", 0)


async def test_without_redis_a_replica_keeps_to_a_share_and_without_limits_it_asks_nobody(setting: Setting) -> None:
    await setting.set("s", Limits(requests_per_minute=40, concurrent_jobs=8))
    away = redis_client(f"redis://127.0.0.1:{free_port()}/0")
    quotas = Quotas(away, setting.services, "c")
    answers = [await tried(quotas, ask(f"r{n}")) for n in range(20)]
    assert sum(isinstance(a, Reservation) for a in answers) == 2  # of 8 at one time, for four replicas
    assert await quotas.reserve(ask("free", service="without-limits")) is None
    await away.aclose()


async def test_what_is_not_allowed_is_refused_without_counting(setting: Setting) -> None:
    quotas = setting.replicas[0]
    await setting.set("s", Limits(), allowance=Allowance(("ocr",), None))
    with pytest.raises(NotAllowed) as refused:
        await quotas.reserve(ask("r"))
    assert refused.value.code == "module_not_allowed"
    await setting.set("s", Limits(), allowance=Allowance(None, ("big",)))
    with pytest.raises(NotAllowed) as refused:
        await quotas.reserve(ask("r"))
    assert refused.value.code == "model_not_allowed"
    await setting.set("s", Limits(), disabled=True)
    with pytest.raises(NotAllowed) as refused:
        await quotas.reserve(ask("r"))
    assert refused.value.code == "service_disabled"


async def test_reservations_that_the_ledger_has_counted_or_that_expired_are_closed(setting: Setting) -> None:
    await setting.set("s", Limits(concurrent_jobs=9))
    await setting.known()
    for name in ("counted", "open", "elsewhere"):
        await setting.replicas[0].reserve(ask(name))
    state = {"counted": True, "open": False, "elsewhere": None}
    assert await Metering(setting, state.__getitem__).reconciler.turn(["s"]) == 1
    assert set(await setting.redis.hkeys(redis_keys.quota_open("s"))) == {b"open", b"elsewhere"}
    assert await _sum_is(setting, "jobs", 2)


async def test_an_ended_job_is_closed_when_the_ledger_has_all_that_was_on_its_log_then(
    setting: Setting, wait_until: WaitUntil
) -> None:
    """With more reservations than are looked at in one turn, of which the ledger counts none."""
    await setting.set("s", Limits(concurrent_jobs=10_000))
    await known_to_both(
        setting, wait_until
    )  # what is granted before is added later, and counts when it is closed by then
    names = [f"j{n}" for n in range(600)]
    await asyncio.gather(*(setting.replicas[0].reserve(job(name)) for name in names))
    await setting.redis.mset({redis_keys.job(name): b'{"document": {"status": "done"}}' for name in names})
    metering = Metering(setting, lambda _: False, end=7, folded=6)
    for _ in range(8):
        assert await metering.reconciler.turn(["s"]) == 0
    metering.end, metering.folded = 90, 7  # what came on the log since then is of others
    assert await metering.reconciler.turn(["s"]) == 600
    assert await _sum_is(setting, "jobs", 0)


async def test_a_job_that_never_came_to_be_is_closed_after_minutes(setting: Setting) -> None:
    await setting.set("s", Limits(concurrent_jobs=9))
    await setting.known()
    past = Quotas(setting.redis, setting.services, "c", now=lambda: time.time() - UNKNOWN_MS / 1000 - 60)
    for asked in (job("lost"), job("alive"), job("waiting", key_id=KEY_ID), ask("call")):
        assert await past.reserve(asked)
    assert await setting.replicas[0].reserve(job("new"))
    await setting.redis.set(redis_keys.job("alive"), b'{"document": {"status": "running"}}')
    reconciler = Metering(setting, lambda _: False, end=5).reconciler
    assert await reconciler.turn(["s"]) == 0  # without markers nobody can tell which jobs there are
    for p in range(JOB_PARTITIONS):
        await setting.redis.set(redis_keys.marker(p), Marker("g", Offsets(5, 5)).encode())
    assert await reconciler.turn(["s"]) == 1
    left = await setting.redis.hkeys(redis_keys.quota_open("s"))
    assert sorted(left) == [b"alive", b"call", b"new", b"waiting"]


_steps = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "release", "reconcile"]), st.integers(0, 4), st.integers(0, 50)),
    max_size=12,
)


@given(steps=_steps)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_sums_are_those_over_what_is_open(setting: Setting, steps: list[tuple[str, int, int]]) -> None:
    await setting.set("p", Limits(tokens_per_minute=10**9))
    await setting.known()
    quotas, held = setting.replicas[0], dict[str, Reservation | None]()
    for step, number, tokens in steps:
        name = f"r{number}"
        match step:
            case "reserve":
                held[name] = await quotas.reserve(ask(name, tokens, "p"))
            case "settle":
                quotas.settle(held.get(name), tokens)
            case "release":
                quotas.release(held.pop(name, None))
            case _:
                await Metering(setting, {name: True}.get).reconciler.turn(["p"])
        await asyncio.gather(*quotas._settling)
    entries = (await setting.redis.hgetall(redis_keys.quota_open("p"))).values()
    sums = await setting.redis.hgetall(redis_keys.quota_sums("p"))
    for place, measure in ((1, b"jobs"), (2, b"tokens")):
        total = sum(int(entry.split()[place]) for entry in entries)
        assert int(sums.get(b"|" + measure, 0)) == total == int(sums.get(b"k1|" + measure, 0))


async def _sum_is(setting: Setting, measure: str, amount: int) -> bool:
    return int(await setting.redis.hget(redis_keys.quota_sums("s"), f"|{measure}") or 0) == amount
