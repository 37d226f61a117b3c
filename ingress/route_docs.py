"""What the OpenAPI document says of each route: summary, parameters, body and answers. Data only."""

from collections.abc import Mapping
from typing import Any

from ingress.chat.documents import ADDRESS
from ingress.examples import AUTH, STORED, USED, submitted

PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "remedy"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable, for programs"},
        "remedy": {"type": "string", "description": "what to do"},
    },
}


def _doc(
    summary: str,
    tag: str,
    answers: dict[int, str],
    shown: Mapping[int, Any] | None = None,
    shell: str = "",
    **extra: Any,
) -> dict[str, Any]:
    """Return the keyword arguments of a route: its words in the OpenAPI document.

    `shown` has an answer's JSON by its status, `shell` what follows `curl -s` and the key in a line to paste.
    """
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": text, "content": {"application/problem+json": {"schema": {"$ref": _PROBLEM_REF}}}}
        if status >= 400
        else {"description": text}
        for status, text in answers.items()
    }
    for status, example in (shown or {}).items():
        responses[status]["content"] = {"application/json": {"schema": {"type": "object"}, "example": example}}
    if shell:
        extra["x-codeSamples"] = [{"lang": "Shell", "source": f"curl -s {AUTH} {shell}"}]
    return {"summary": summary, "tags": [tag], "responses": responses, "openapi_extra": extra}


_PROBLEM_REF = "#/components/schemas/Problem"
_COMMON = {401: "No API key, or none that opens anything", 403: "The key has not the scope"}
_LOOKUP = {**_COMMON, 404: "No such job, or another service's", 503: "Cannot be looked up now; see Retry-After"}


def _parameter(name: str, where: str, kind: str, text: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": where, "required": required, "description": text, "schema": {"type": kind}}


_JOB_ID = _parameter("job_id", "path", "string", "the job's id", required=True)

SUBMIT_DOC = _doc(
    "Submit a job",
    "jobs",
    {
        202: "Accepted: the request is on the log",
        **_COMMON,
        404: "No such module, or no such blob",
        409: "The Idempotency-Key was used with other content",
        410: "The Idempotency-Key made a job that was purged",
        413: "The upload is too large",
        415: "A file that no module reads, or that is not what it claims",
        422: "An empty file, an unknown option, malformed JSON",
        429: "A quota or a budget is used up, which the answer names; see Retry-After",
        503: "Not accepted: the log or the blob store is down, see Retry-After, or nobody serves the module now "
        "(`module_unavailable`, with what to do)",
    },
    {202: submitted("gongmun")},
    f'-F file=@letter.pdf "{ADDRESS}/v1/gongmun"',
    parameters=[
        _parameter("module", "path", "string", "the module's name; see GET /v1/modules", required=True),
        _parameter("Idempotency-Key", "header", "string", "the same key and content give the same job, once"),
    ],
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "description": "the pages of one document, in order",
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                    "additionalProperties": {"type": "string", "description": "an option of the module"},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "input": {"type": "object", "properties": {"blob": {"type": "string"}}},
                        "options": {"type": "object"},
                    },
                },
                "examples": {"text": {"value": {"text": "안녕하세요", "options": {}}}},
            },
        },
    },
)
JOB_DOC = _doc(
    "Look at a job",
    "jobs",
    {
        200: "The job, with its result when it is done; with `waiting` (stage, reason, remedy) while nobody serves it",
        **_LOOKUP,
    },
    parameters=[_JOB_ID, _parameter("wait", "query", "integer", "wait for its end up to so many seconds, at most 60")],
)
EVENTS_DOC = _doc(
    "Follow a job",
    "jobs",
    {200: "Server-sent events, `event: job`, one a change; ends with the final state", **_LOOKUP},
    parameters=[_JOB_ID],
)
JOBS_DOC = _doc(
    "List jobs",
    "jobs",
    {200: "The caller's jobs, newest first", **_COMMON, 503: "Cannot be listed now; see Retry-After"},
    parameters=[
        _parameter("module", "query", "string", "only of this module"),
        _parameter("status", "query", "string", "only queued, running, done, failed or cancelled ones"),
        _parameter("limit", "query", "integer", "how many, 1 to 200 (50)"),
        _parameter("cursor", "query", "string", "`next_cursor` of the page before"),
    ],
)
CANCEL_DOC = _doc(
    "Cancel a job",
    "jobs",
    {
        200: "Cancelled (also when it was before)",
        202: "The cancellation is on the log",
        **_LOOKUP,
        409: "The job is done or failed already",
    },
    parameters=[_JOB_ID],
)
INPUT_DOC = _doc(
    "Get a job's input",
    "jobs",
    {200: "The file or text as it was sent", **_LOOKUP},
    parameters=[_JOB_ID, _parameter("n", "query", "integer", "which of several files, from 1")],
)
PAGE_DOC = _doc(
    "Get a page's image",
    "jobs",
    {200: "The page as the OCR saw it, PNG", **_LOOKUP},
    parameters=[
        _JOB_ID,
        _parameter("number", "path", "integer", "the page, from 1", required=True),
        _parameter("highlight", "query", "string", "a JSON Pointer of the result, such as `/title`: draws its boxes"),
    ],
)
EVIDENCE_DOC = _doc(
    "See where each value was read",
    "jobs",
    {
        200: "One HTML file: the pages with boxes and the values beside them. A browser may send the key as password",
        **_LOOKUP,
    },
    parameters=[_JOB_ID],
)
BLOB_DOC = _doc(
    "Upload a blob",
    "blobs",
    {201: "Stored", **_COMMON, 413: "Too large", 415: "Not what it claims", 422: "Empty", 503: "The store is down"},
    {201: STORED},
    f'-F file=@letter.pdf "{ADDRESS}/v1/blobs"',
    requestBody={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
                "example": {"file": "letter.pdf"},
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
)
USAGE_DOC = _doc(
    "Report usage and cost",
    "usage",
    {
        200: "Rows by what was asked for, and up to when everything is in them",
        **_COMMON,
        422: "An unknown column, a period that is reversed or too long, an unknown time zone",
        503: "The rows are being rebuilt; see Retry-After",
    },
    {200: USED},
    f'"{ADDRESS}/v1/usage?group_by=module,day"',
    parameters=[
        _parameter("from", "query", "string", "date or time, ISO 8601; the month's first day if left out"),
        _parameter("to", "query", "string", "date (that day included) or time; today if left out"),
        _parameter(
            "group_by",
            "query",
            "string",
            "any of service, key, module, model, upstream, lane, outcome, day, hour, comma-separated",
        ),
        _parameter("tz", "query", "string", "time zone of days, hours and bare dates (Asia/Seoul)"),
        _parameter("format", "query", "string", "json or csv"),
        _parameter("service", "query", "string", "with scope admin: only this service, else all"),
    ],
)
_REPLAY_ID = _parameter("replay_id", "path", "string", "the replay's id", required=True)
_REPLAY_LOOKUP = {**_COMMON, 404: "No such replay", 503: "Cannot be told now; see Retry-After"}
REPLAY_START_DOC = _doc(
    "Do past jobs again (scope admin)",
    "replays",
    {
        202: "The replay is on the log; it is being planned",
        **_COMMON,
        409: "Another replay is doing the same over the same records",
        422: "Reversed times, an empty or removed period, an unknown topic, stage, module or version",
        503: "The log cannot be read now; see Retry-After",
    },
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["from"],
                    "properties": {
                        "from": {"type": "string", "description": "a topic such as ocr.done, or a module"},
                        "since": {"type": "string", "description": "ISO 8601; the oldest record if left out"},
                        "until": {"type": "string", "description": "ISO 8601, exclusive; now if left out"},
                        "service": {"type": "string", "description": "only jobs of this service"},
                        "status": {"type": "string", "enum": ["done", "failed", "cancelled"]},
                        "module": {"type": "string", "description": "what the new jobs run with: name or name@version"},
                        "model": {"type": "string", "description": "the option `model` of the new jobs"},
                        "stage": {"type": "string", "description": "the stage that the new jobs begin with"},
                        "limit": {"type": "integer", "minimum": 1, "description": "the oldest so many"},
                        "rate": {"type": "integer", "minimum": 1, "description": "jobs started a second (50)"},
                        "dry_run": {"type": "boolean", "description": "plan only"},
                    },
                },
                "examples": {"letters": {"value": {"from": "ocr.done", "stage": "gongmun.extract", "dry_run": True}}},
            }
        },
    },
)
PURGE_DOC = _doc(
    "Remove the content of jobs for good (scope admin)",
    "purges",
    {
        200: "What was removed, or with dry_run what would be, and what stays on the topics until when",
        **_COMMON,
        404: "No such job, or nothing is left of it",
        409: "The job, or a replay of it, has not ended",
        422: "No scope, both scopes, a time ahead, or a field that cannot be used",
        503: "The log, the views or the blob store cannot be reached now",
    },
    requestBody={
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "job": {"type": "string", "description": "one job, with the replays of it"},
                        "service": {"type": "string", "description": "a service's jobs and calls; with before"},
                        "before": {"type": "string", "description": "ISO 8601: only what was made before"},
                        "dry_run": {"type": "boolean"},
                    },
                }
            }
        },
    },
)
PURGES_DOC = _doc("List purges (scope admin)", "purges", {200: "Newest first", **_COMMON, 503: "Cannot be told now"})
REPLAYS_DOC = _doc("List replays (scope admin)", "replays", {200: "Newest first", **_COMMON, 503: "Cannot be told now"})
REPLAY_DOC = _doc(
    "Look at a replay (scope admin)",
    "replays",
    {200: "Its state and progress", **_REPLAY_LOOKUP},
    parameters=[_REPLAY_ID],
)
REPLAY_ORDER_DOC = _doc(
    "Pause, resume, cancel, promote or discard a replay (scope admin)",
    "replays",
    {200: "It was so already", 202: "The order is on the log", **_REPLAY_LOOKUP, 409: "Not in the state it is in"},
    parameters=[
        _REPLAY_ID,
        _parameter("order", "path", "string", "pause, resume, cancel, promote or discard", required=True),
    ],
)
REPLAY_DIFF_DOC = _doc(
    "Compare a replay's results with the originals' (scope admin)",
    "replays",
    {200: "Counts by field and examples, as JSON or as one HTML page", **_REPLAY_LOOKUP, 409: "Still planning"},
    parameters=[
        _REPLAY_ID,
        _parameter("examples", "query", "integer", "how many jobs in full, at most 1000 (20)"),
        _parameter("format", "query", "string", "json or html"),
        _parameter("lang", "query", "string", "of the page: ko or en"),
    ],
)
MODULES_DOC = _doc("List the modules", "modules", {200: "What can be asked for", **_COMMON})
HEALTH_DOC = _doc("Alive", "health", {200: "The process answers"}, security=[])
READY_DOC = _doc("Ready", "health", {200: "Jobs are taken", 503: "Jobs are not taken now"}, security=[])
