"""What the documentation shows: the gateway in two sentences, and every call with an example that works as pasted."""

from dataclasses import dataclass
from typing import Any

DESCRIPTION = (
    "One door for all AI models: send a document, get a job, read its result. "
    "Every request needs an API key: `Authorization: Bearer KEY` or `X-API-Key: KEY`."
)


@dataclass(frozen=True, slots=True)
class Example:
    """One call, as a shell line and in Python. `{base}` stands for the gateway's address."""

    title: str
    curl: str
    python: str


AUTH = '-H "Authorization: Bearer $GATEWAY_API_KEY"'

SETUP = Example(
    "Before the first call",
    "export GATEWAY_API_KEY=$(./gateway keys create --service my-service --quiet)",
    'import os, httpx\n\nclient = httpx.Client(base_url="{base}", headers={"Authorization": f"Bearer '
    "{os.environ['GATEWAY_API_KEY']}\"}, timeout=90)",
)
EXAMPLES: tuple[Example, ...] = (
    Example(
        "Submit a document, and keep the id of its job",
        f"JOB_ID=$(curl -s {AUTH} -F file=@letter.pdf {{base}}/v1/gongmun | "
        'sed \'s/.*"job_id":"\\([^"]*\\)".*/\\1/\'); echo $JOB_ID',
        'job = client.post("/v1/gongmun", files={"file": open("letter.pdf", "rb")}).json()\nprint(job["job_id"])',
    ),
    Example(
        "Submit several images as the pages of one document, safely repeatable",
        f'curl -s {AUTH} -H "Idempotency-Key: letter-0001" -F file=@page1.png -F file=@page2.png {{base}}/v1/ocr',
        'pages = [("file", open("page1.png", "rb")), ("file", open("page2.png", "rb"))]\n'
        'job = client.post("/v1/ocr", files=pages, headers={"Idempotency-Key": "letter-0001"}).json()',
    ),
    Example(
        "Wait for the result",
        f'curl -s {AUTH} "{{base}}/v1/jobs/$JOB_ID?wait=30"',
        'job = client.get(f"/v1/jobs/{job[\'job_id\']}", params={"wait": 30}).json()\n'
        'print(job["status"], job["result"])',
    ),
    Example(
        "Follow a job",
        f"curl -sN {AUTH} {{base}}/v1/jobs/$JOB_ID/events",
        'with client.stream("GET", f"/v1/jobs/{job[\'job_id\']}/events") as events:\n'
        "    for line in events.iter_lines():\n        print(line)",
    ),
    Example(
        "List your jobs",
        f'curl -s {AUTH} "{{base}}/v1/jobs?status=done&limit=10"',
        'print(client.get("/v1/jobs", params={"status": "done", "limit": 10}).json()["jobs"])',
    ),
    Example(
        "Cancel a job",
        f"curl -s -X DELETE {AUTH} {{base}}/v1/jobs/$JOB_ID",
        "print(client.delete(f\"/v1/jobs/{job['job_id']}\").json())",
    ),
    Example(
        "Upload once, use it in several jobs",
        f"curl -s {AUTH} -F file=@letter.pdf {{base}}/v1/blobs",
        'blob = client.post("/v1/blobs", files={"file": open("letter.pdf", "rb")}).json()["blob"]\n'
        'job = client.post("/v1/gongmun", json={"input": {"blob": blob}, "options": {}}).json()',
    ),
    Example(
        "What your service has used this month, by module and day",
        f'curl -s {AUTH} "{{base}}/v1/usage?group_by=module,day"',
        'print(client.get("/v1/usage", params={"group_by": "module,day"}).json()["rows"])',
    ),
    Example(
        "What models there are, for any OpenAI client (its base_url is this address with /v1) or Ollama client",
        f"curl -s {AUTH} {{base}}/v1/models",
        'print(client.get("/v1/models").json()["data"])',
    ),
    Example(
        "Write down a recording, as with OpenAI's client (also /v1/audio/translations)",
        f"curl -s {AUTH} -F file=@meeting.mp3 -F model=whisper-1 -F language=ko {{base}}/v1/audio/transcriptions",
        'sound = {"file": open("meeting.mp3", "rb")}\n'
        'said = client.post("/v1/audio/transcriptions", files=sound, data={"model": "whisper-1"}, timeout=330)\n'
        'print(said.json()["text"])',
    ),
    Example("What modules there are", f"curl -s {AUTH} {{base}}/v1/modules", 'print(client.get("/v1/modules").json())'),
)

TEXT = "안녕하세요"
"""What an example asks a module to work on."""

_JOB = "06f1c2m8q3v5c7a9b1d3f5h7k9"


def submitted(module: str) -> dict[str, Any]:
    """Return the answer to a job that was accepted."""
    return {
        "job_id": _JOB,
        "module": module,
        "status": "queued",
        "created_at": "2026-03-02T00:15:04.120Z",
        "links": {"self": f"/v1/jobs/{_JOB}", "events": f"/v1/jobs/{_JOB}/events"},
    }


SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""The id of an upload."""

STORED = {"blob": SHA256, "sha256": SHA256, "size": 48213, "media_type": "application/pdf"}
"""The answer to an upload."""

_AMOUNTS = {"prompt_tokens": 0, "completion_tokens": 0, "pages": 12, "audio_seconds": 0.0, "work_seconds": 34.5}
_USED = {
    "requests": 4,
    **_AMOUNTS,
    "bytes_in": 192852,
    "cost": 0.24,
    "attempts": 5,
    "estimated": 0,
    "waste": {**_AMOUNTS, "pages": 1, "work_seconds": 2.9, "bytes_in": 48213, "cost": 0.02},
}
USED = {
    "rows": [{"module": "gongmun", "day": "2026-03-02", **_USED}],
    "total": _USED,
    "complete_through": "2026-03-02T00:15:04.120Z",
    "from": "2026-03-01T00:00:00+09:00",
    "to": "2026-03-03T00:00:00+09:00",
    "tz": "Asia/Seoul",
    "group_by": ["module", "day"],
    "service": "my-service",
    "currency": "KRW",
    "unpriced": [],
}
"""The answer to who asks for usage by module and day."""
