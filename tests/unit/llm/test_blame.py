"""Whose doing it is that a call fails."""

from processors.llm.pool.blame import Blame

UP, OTHER = ("up", "m"), ("up", "other model")


def test_a_server_that_answered_another_call_since_is_not_down() -> None:
    blame = Blame()
    blame.answered(UP, 1)
    assert not blame.is_the_calls("", {UP: 2}), "it answered before, which says nothing of now"
    blame.answered(OTHER, 3)
    assert not blame.is_the_calls("", {UP: 2}), "another model's runner says nothing of this one's"
    blame.answered(UP, 3)
    assert blame.is_the_calls("", {UP: 2})
    assert not blame.is_the_calls("", {})


def test_a_request_that_comes_again_is_known() -> None:
    blame = Blame(remembered=2)
    assert not blame.is_the_calls("job", {UP: 1})
    blame.answered(UP, 2)
    assert not blame.is_the_calls("another", {UP: 3})
    assert blame.is_the_calls("job", {UP: 3})
    assert not blame.is_the_calls("job", {UP: 5}), "nothing was answered since the last time: it may be an outage now"
    for other in "ab":
        blame.is_the_calls(other, {UP: 6})
    blame.answered(UP, 7)
    assert not blame.is_the_calls("job", {UP: 8}), "no more are remembered than fit"
