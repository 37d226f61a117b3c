"""The verdict over the calls of a chaos run: each call's tokens against what the model server sent."""

from dataclasses import replace

from bench.chaos.chat_check import ChatVerdict, Death, judge_calls, sent_by
from bench.chaos.model_jobs import Open, judge_jobs
from schemas.events import Lane, Usage, UsageEvent
from schemas.ids import usage_id
from schemas.usage_ledger import ABORTED, LedgerEntry, fold_usage

ASKED_S = 1_000_000
KILLED = [Death(ASKED_S + 1, ASKED_S + 2)]


def entry(call: str, tokens: int, outcome: str = "done") -> LedgerEntry:
    """What the ledger has of a call."""
    event = UsageEvent(
        usage_id(call, 0, "chat", 1), call, "s", "k", "chat", "chat", 1, "m", "u", Lane.INTERACTIVE, outcome,
        Usage(completion_tokens=tokens), ASKED_S * 1000, final=True,
    )  # fmt: skip
    return fold_usage(None, event, 0)


def judged(
    usage: dict[str, LedgerEntry], sent: dict[str, int], deaths: list[Death], asked: tuple[str, ...] = ("a",)
) -> ChatVerdict:
    """Judge calls that were all asked at one time."""
    return judge_calls(dict.fromkeys(asked, ASKED_S * 1000), usage, sent, deaths)


def test_a_call_whose_tokens_are_all_in_the_ledger_is_right() -> None:
    verdict = judged({"a": entry("a", 5)}, {"a": 5}, [])
    assert (verdict.wrong, verdict.sent, verdict.metered) == ([], 5, 5)


def test_attempts_that_brought_nothing_are_no_second_end_and_their_tokens_count() -> None:
    ended = entry("a", 5)
    event = ended.records[0].event
    lost = replace(event, event_id="a:0:chat:2", waste=True, final=False, usage=Usage(completion_tokens=1))
    assert judged({"a": fold_usage(ended, lost, 1)}, {"a": 6}, []).wrong == []
    assert judged({"a": fold_usage(ended, replace(lost, waste=False), 1)}, {"a": 6}, []).wrong
    assert judged({"a": fold_usage(None, lost, 1)}, {"a": 1}, []).wrong


def test_a_token_too_few_or_too_many_is_told() -> None:
    for metered in (4, 6):
        (said,) = judged({"a": entry("a", metered)}, {"a": 5}, KILLED).wrong
        assert said == f"a: {metered} tokens in the ledger ({metered} done), the server sent 5"


def test_what_differs_is_told_with_each_side_s_ends() -> None:
    sent = sent_by([{"tag": "a", "sent": 24, "end": "done"}, {"tag": "a", "sent": 11, "end": "disconnected"}])
    assert sent.tokens == {"a": 35}
    (said,) = judge_calls({"a": ASKED_S * 1000}, {"a": entry("a", 24)}, sent.tokens, [], sent.ends).wrong
    assert said == "a: 24 tokens in the ledger (24 done), the server sent 35 (24 done, 11 disconnected)"


def test_a_call_without_usage_is_wrong_whatever_died() -> None:
    assert judged({}, {"a": 5}, KILLED).wrong == ["a has no usage; the server sent 5 tokens"]


def test_an_aborted_call_is_listed_when_its_ingress_was_killed_and_wrong_otherwise() -> None:
    aborted = {"a": entry("a", 0, ABORTED)}
    listed = judged(aborted, {"a": 3}, KILLED)
    assert (listed.wrong, listed.aborted) == ([], {"a": 3})
    assert judged(aborted, {"a": 3}, []).wrong
    assert judged(aborted, {"a": 3}, [Death(ASKED_S - 500, ASKED_S - 400)]).wrong


def test_tokens_of_nobodys_call_are_wrong_unless_an_ingress_died() -> None:
    assert judged({}, {"b": 2}, [], asked=()).wrong == ["b is on no topic; the server sent 2 tokens"]
    assert judged({}, {"b": 2}, KILLED, asked=()).unrecorded == {"b": 2}


def test_a_run_is_kept_only_with_a_proof() -> None:
    verdict = judged({"a": entry("a", 5)}, {"a": 5}, [])
    assert not verdict.kept
    assert "no proof" in verdict.sentences()[0]
    verdict.proof = {"holds": True}
    assert verdict.kept


OPEN = {"a": Open(ASKED_S, ASKED_S + 10)}


def test_a_job_s_tokens_are_those_of_all_its_attempts() -> None:
    ended = entry("a", 5)
    lost = replace(ended.records[0].event, event_id="a:0:llm:1:wasted:7", waste=True, usage=Usage(completion_tokens=3))
    found = judge_jobs(OPEN, {"a": fold_usage(ended, lost, 1)}, {"a": 8}, [])
    assert (found.kept, found.sent, found.metered, found.charged) == (True, 8, 8, 5)
    assert judge_jobs(OPEN, {}, {}, []).kept


def test_tokens_of_a_job_that_the_ledger_lacks_are_excused_by_a_death_while_it_was_open() -> None:
    during, after = [Death(ASKED_S + 12, ASKED_S + 30)], [Death(ASKED_S + 16, ASKED_S + 30)]
    assert judge_jobs(OPEN, {"a": entry("a", 5)}, {"a": 8}, during).lost == {"a": 3}
    for deaths in ([], after):
        (said,) = judge_jobs(OPEN, {"a": entry("a", 5)}, {"a": 8}, deaths).wrong
        assert said == "the job a: 5 tokens in the ledger (5 done), the server sent 8"
    assert not judge_jobs(OPEN, {"a": entry("a", 9)}, {"a": 8}, during).kept, "what was never sent is no death's"
