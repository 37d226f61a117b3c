"""Hypothesis strategies for records, made from the types themselves."""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas.events import JobEvent, JobEventKind, JobRef, JobResult, Progress, Step, Usage
from schemas.payloads import BlobRef, Payload

_PLAIN = {
    str: st.text(max_size=20),
    int: st.one_of(st.integers(-3, 300), st.integers(-(2**63), 2**63 - 1)),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a record type, or of a type that stands in one."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{f.name: values(hints[f.name]) for f in fields(hint)})
    origin, args = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return st.one_of(*(st.none() if a is type(None) else values(a) for a in args))
    if origin is tuple:
        return st.lists(values(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values(args[0]), values(args[1]), max_size=3)
    raise TypeError(hint)


# --- Records about one job: few different values, so that they collide ----------------------------

_few = st.integers(0, 3)
_times = st.integers(1, 40)
_step_lists = st.sampled_from([(Step("ocr", "ocr"), Step("extract", "gongmun.extract")), (Step("ocr", "ocr"),)])
_usages = st.builds(Usage, pages=_few)
_artifacts = st.sampled_from([{}, {"pages": BlobRef("s", "a", 1, "m")}, {"pages": BlobRef("s", "b", 2, "m")}])
_jobs = st.builds(
    JobRef,
    job_id=st.just("job"),
    service=st.just("s"),
    key_id=st.sampled_from(["k1", "k2"]),
    module=st.just("m"),
    module_version=st.sampled_from(["1", "2"]),
    lane=st.just("interactive"),
    created_at_ms=_times,
    input_digest=st.sampled_from(["d1", "d2"]),
    epoch=_few,
)

job_events = st.builds(
    JobEvent,
    event_id=st.text(max_size=3),
    job=_jobs,
    kind=st.sampled_from([*JobEventKind, "invented_later"]),
    steps=_step_lists,
    at_ms=_times,
    step=st.sampled_from(["ocr", "extract"]),
    attempt=_few,
    started_at_ms=st.one_of(st.just(0), _times),
    inputs=st.sampled_from([(), (Payload("text/plain", inline=b"a"),), (Payload("text/plain", inline=b"b"),)]),
    progress=st.one_of(st.none(), st.builds(Progress, _few, _few, _few, st.just("pages"))),
    usage=st.one_of(st.none(), _usages),
    artifacts=_artifacts,
)
job_results = st.builds(
    JobResult,
    event_id=st.text(max_size=3),
    job=_jobs,
    status=st.sampled_from(["done", "failed", "cancelled"]),
    steps=_step_lists,
    usage=_usages,
    step=st.sampled_from(["", "ocr", "extract"]),
    attempt=_few,
    step_usage=_usages,
    artifacts=_artifacts,
    started_at_ms=st.one_of(st.just(0), _times),
    finished_at_ms=_times,
)


@st.composite
def logs(draw: st.DrawFn) -> list[tuple[JobEvent | JobResult, int]]:
    """Some records of one job, each with its offset in its own topic."""
    events = draw(st.lists(job_events, max_size=6))
    results = draw(st.lists(job_results, max_size=4))
    return [*((e, n) for n, e in enumerate(events)), *((r, n) for n, r in enumerate(results))]
