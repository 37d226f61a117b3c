"""What `--from` and `--stage` name: the topics to read, and the stage that new jobs begin with."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import InvalidInput
from schemas.events import Lane
from schemas.topics import StageTopics, Topic
from streams.modules import Module, Offered


@dataclass(frozen=True, slots=True)
class Source:
    """Topics with one record type. `stage` empty: whatever came next; `of_module` empty: jobs of every module."""

    topics: tuple[str, ...]
    stage: str
    of_module: str = ""


def find_source(name: str, stage: str, modules: Offered, stages: Mapping[str, StageTopics]) -> Source:
    """Return what a topic's or a module's name stands for.

    Raises InvalidInput: `unknown_stage`, `unknown_source`, `wrong_stage`, `replay_of_replay`.
    """
    if stage and stage not in stages:
        raise InvalidInput(
            f"there is no stage {stage[:80]!r}", code="unknown_stage", remedy=f"use one of {', '.join(sorted(stages))}"
        )
    for kind, topics in stages.items():
        for lane, topic in topics.requests.items():
            if topic.name == name:
                return _of_requests(kind, lane, topic, stage)
        if topics.done is not None and topics.done.name == name:
            return Source((name,), stage)
    module = modules.get(name)
    if module is not None:
        return _of_module(module, stage, stages)
    known = sorted({t.name for s in stages.values() for t in (s.done, s.requests[Lane.INTERACTIVE]) if t})
    raise InvalidInput(
        f"{name[:80]!r} is neither a topic that can be replayed nor a module",
        code="unknown_source",
        remedy=f"use a topic ({', '.join(known)}) or a module ({', '.join(modules.names)})",
    )


def _of_requests(kind: str, lane: str, topic: Topic, stage: str) -> Source:
    if lane == Lane.REPLAY:
        raise InvalidInput(
            f"{topic.name} holds the jobs of replays, which are not replayed themselves",
            code="replay_of_replay",
            remedy="replay the originals again, from the topic without .replay",
        )
    if stage not in ("", kind):
        raise InvalidInput(
            f"from {topic.name} jobs can only begin with {kind}, not with {stage}",
            code="wrong_stage",
            remedy=f"leave --stage out, or read from the topic before {stage}",
        )
    return Source((topic.name,), kind)


def _of_module(module: Module, stage: str, stages: Mapping[str, StageTopics]) -> Source:
    spec = module.spec
    kinds = [step.kind for step in spec.steps]
    wanted = stage or kinds[0]
    if wanted not in kinds:
        raise InvalidInput(
            f"the module {spec.name} has no stage {wanted}",
            code="wrong_stage",
            remedy=f"its stages are {', '.join(kinds)}",
        )
    unknown = next((kind for kind in kinds if kind not in stages), None)
    if unknown is not None:
        raise InvalidInput(
            f"the module {spec.name} has the stage {unknown}, which there is none of here",
            code="unknown_stage",
            remedy=f"install the package that adds {unknown}",
        )
    place = kinds.index(wanted)
    before = stages[kinds[place - 1]].done if place else None
    if before is not None:
        return Source((before.name,), wanted, spec.name)
    requests = stages[wanted].requests
    return Source((requests[Lane.INTERACTIVE].name, requests[Lane.BULK].name), wanted, spec.name)
