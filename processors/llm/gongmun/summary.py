"""The summary: who sends what to whom, until when. Pure.

It is one sentence put together from values of the result, not a shortening of the body: so it says nothing that was
not read, and points to where its parts stand. Without a sender and a title there is none.
"""

from typing import Any, cast

from processors.llm.gongmun.english_dates import MONTHS

Tree = dict[str, Any]

_INTERNAL = "내부결재"
_MOST_DATES = 3


def with_summary(result: Tree) -> Tree:
    """Return a result with the summary of its values, in the place of one that it may have; the rest stays as it is."""
    evidence = cast(dict[str, list[Tree]], result.get("evidence", {}))
    kept = {name: value for name, value in result.items() if name not in ("summary", "evidence")}
    places = {pointer: entries for pointer, entries in evidence.items() if pointer != "/summary"}
    sender = cast(Tree, result.get("sender", {})).get("organisation")
    title = result.get("title")
    if sender and title:
        recipients = [str(party["name"]) for party in result.get("recipients", []) if "name" in party]
        due = {
            action["due_date"]: i
            for i, action in enumerate(result.get("requested_actions", []))
            if "due_date" in action
        }
        days = sorted(due)
        say = _english if result.get("origin") == "foreign" else _korean
        kept["summary"] = say(str(sender), str(title), recipients, days)
        named = next((i for i, party in enumerate(result.get("recipients", [])) if "name" in party), 0)
        parts = ["/sender/organisation", f"/recipients/{named}/name", "/title"]
        parts += [f"/requested_actions/{due[day]}/due_date" for day in days[:_MOST_DATES]]
        entries = [entry for part in parts for entry in places.get(part, [])]
        if entries:
            places["/summary"] = entries
    return {**kept, "evidence": places} if places else kept


def _korean(sender: str, title: str, recipients: list[str], days: list[str]) -> str:
    quoted = f"『{title}』" if "「" in title else f"「{title}」"
    if recipients == [_INTERNAL]:
        sentence = f"{sender}에서 {quoted} 문서를 내부결재로 작성하였다"
    else:
        others = f" 등 {len(recipients)}곳" if len(recipients) > 1 else ""
        to = f" {recipients[0]}{others} 앞으로" if recipients else ""
        sentence = f"{sender}에서{to} {quoted} 문서를 보냈다"
    written = ", ".join("{}. {}. {}.".format(*(int(part) for part in day.split("-"))) for day in days[:_MOST_DATES])
    more = " 등" if len(days) > _MOST_DATES else ""
    return f"{sentence}(기한: {written}{more})." if days else f"{sentence}."


def _english(sender: str, title: str, recipients: list[str], days: list[str]) -> str:
    others = len(recipients) - 1
    more = f" and {others} other{'s' if others > 1 else ''}" if others > 0 else ""
    to = f" to {recipients[0]}{more}" if recipients else ""
    sentence = f'{sender} wrote{to} about "{title}"'
    written = ", ".join(_english_day(day) for day in days[:_MOST_DATES])
    rest = " and later" if len(days) > _MOST_DATES else ""
    return f"{sentence} (due {written}{rest})." if days else f"{sentence}."


def _english_day(iso: str) -> str:
    year, month, day = (int(part) for part in iso.split("-"))
    return f"{day} {MONTHS[month - 1].capitalize()} {year}"
