"""Each member has its share of every lane, and keeps what it had."""

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.assignor import own_assignor, share_out

TOPICS = ["noop.requests", "noop.requests.bulk", "noop.requests.replay"]


class Cluster:
    """A cluster whose topics have eight partitions."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(8))


@given(
    st.integers(0, 20),
    st.dictionaries(st.sampled_from("abcdefghij"), st.lists(st.integers(0, 19), max_size=20), min_size=1),
)
def test_shares_are_even_whole_and_disjoint(count: int, held: dict[str, list[int]]) -> None:
    shares = share_out(count, held)
    assert sorted(n for numbers in shares.values() for n in numbers) == list(range(count))
    assert max(map(len, shares.values())) - min(map(len, shares.values())) <= 1


@given(st.lists(st.sampled_from(["join", "leave"]), max_size=12))
def test_only_as_much_moves_as_has_to(changes: list[str]) -> None:
    held: dict[str, list[int]] = {"m0": list(range(8))}
    for n, change in enumerate(changes, 1):
        if change == "join":
            held[f"m{n}"] = []
        elif len(held) > 1:
            held.pop(max(held))
        before, held = held, share_out(8, held)
        for member, numbers in held.items():
            # A member that has no more than its share keeps all of it.
            if len(before[member]) <= 8 // len(held):
                assert set(before[member]) <= set(numbers)


def test_members_that_join_one_after_the_other_share_every_lane() -> None:
    own = [own_assignor() for _ in range(8)]
    for joined in range(1, 9):
        members = {f"m{i}": own[i].metadata(TOPICS) for i in range(joined)}
        shares = own[0].assign(Cluster(), members)
        for i in range(joined):
            own[i].on_assignment(shares[f"m{i}"])
        for topic in TOPICS:
            sizes = [len(dict(share.assignment)[topic]) for share in shares.values()]
            assert max(sizes) - min(sizes) <= 1
            assert sum(sizes) == 8


def test_what_another_version_says_of_itself_is_no_claim() -> None:
    own = own_assignor()
    mine = own.metadata(TOPICS)
    strange = type(mine)(0, TOPICS, b"\x00\x01")
    shares = own.assign(Cluster(), {"a": mine, "b": strange})
    assert sorted(len(dict(share.assignment)[TOPICS[0]]) for share in shares.values()) == [4, 4]
