"""Interactive first, one choice in eight for the others, services in turn."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Lane
from streams.runtime.scheduling import SHARE, Scheduler

lanes = st.sampled_from([Lane.INTERACTIVE, Lane.BULK, Lane.REPLAY])
items = st.lists(st.tuples(lanes, st.sampled_from("abcd")), max_size=200)


def drain(scheduler: Scheduler[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    taken: list[tuple[str, str, int]] = []
    while (item := scheduler.next()) is not None:
        taken.append(item)
    return taken


def filled(wanted: list[tuple[str, str]]) -> Scheduler[tuple[str, str, int]]:
    scheduler: Scheduler[tuple[str, str, int]] = Scheduler()
    for number, (lane, service) in enumerate(wanted):
        scheduler.add(lane, service, (lane, service, number))
    return scheduler


@given(items)
def test_everything_comes_out_once_and_in_order_within_a_service(wanted: list[tuple[str, str]]) -> None:
    taken = drain(filled(wanted))
    assert sorted(number for _, _, number in taken) == list(range(len(wanted)))
    for lane in Lane:
        for service in "abcd":
            numbers = [n for la, s, n in taken if (la, s) == (lane, service)]
            assert numbers == sorted(numbers)


@given(items)
def test_the_other_lanes_get_at_least_one_choice_in_eight(wanted: list[tuple[str, str]]) -> None:
    taken = [lane for lane, _, _ in drain(filled(wanted))]
    behind = sum(lane != Lane.INTERACTIVE for lane, _ in wanted)
    for i in range(len(taken) - SHARE + 1):
        window = taken[i : i + SHARE]
        if sum(lane != Lane.INTERACTIVE for lane in taken[:i]) < behind:
            assert any(lane != Lane.INTERACTIVE for lane in window)


@given(items)
def test_interactive_requests_get_seven_choices_in_eight_while_they_wait(wanted: list[tuple[str, str]]) -> None:
    taken = [lane for lane, _, _ in drain(filled(wanted))]
    last = max((i for i, lane in enumerate(taken) if lane == Lane.INTERACTIVE), default=0)
    for i in range(last - SHARE + 1):
        assert sum(lane == Lane.INTERACTIVE for lane in taken[i : i + SHARE]) >= SHARE - 1


def test_a_flood_of_one_service_does_not_hold_up_anothers_single_request() -> None:
    wanted = [(Lane.INTERACTIVE, "flood")] * 100 + [(Lane.INTERACTIVE, "single")]
    taken = drain(filled(wanted))
    assert [service for _, service, _ in taken].index("single") <= 1


def test_bulk_and_replay_take_turns() -> None:
    taken = drain(filled([(Lane.BULK, "a")] * 3 + [(Lane.REPLAY, "a")] * 3))
    assert [lane for lane, _, _ in taken] == [Lane.BULK, Lane.REPLAY] * 3


def test_an_item_can_be_taken_out() -> None:
    scheduler = filled([(Lane.BULK, "a"), (Lane.BULK, "a")])
    assert scheduler.remove(Lane.BULK, "a", (Lane.BULK, "a", 0))
    assert not scheduler.remove(Lane.BULK, "a", (Lane.BULK, "a", 0))
    assert len(scheduler) == 1
    assert [n for _, _, n in drain(scheduler)] == [1]
