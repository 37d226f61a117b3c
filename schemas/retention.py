"""How long each topic keeps what is on it, as the table in `docs/retention.md`. Pure."""

from collections.abc import Iterable

from schemas.topics import Topic


def retention_table(topics: Iterable[Topic]) -> str:
    """Return the topics, by name, as a Markdown table; dead letter topics share one row."""
    every = sorted(topics, key=lambda topic: topic.name)
    letters = [topic for topic in every if topic.record is None]
    rows = [f"| `{t.name}` | {t.record.__name__} | {_kept(t)} |" for t in every if t.record is not None]
    rows += [f"| `<topic>.dlt` | original bytes | {kept} |" for kept in sorted({_kept(t) for t in letters})]
    return "\n".join(("| topic | record | kept |", "|---|---|---|", *rows))


def _kept(topic: Topic) -> str:
    days = "" if topic.retention is None else f"{topic.retention.days} days"
    if not topic.compact:
        return days or "for ever"
    return f"the last of each key{f', {days}' if days else ', for ever'}"
