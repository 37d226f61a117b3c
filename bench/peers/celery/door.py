"""The peer's door: submit a job, wait for its end."""

from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import AsyncResult
from fastapi import FastAPI
from pydantic import BaseModel
from tasks import app as celery
from tasks import work


class Submission(BaseModel):
    """A job."""

    text: str
    options: dict[str, int] = {}


app = FastAPI()


@app.post("/v1/probe", status_code=202)
def submit(body: Submission) -> dict[str, str]:
    """Queue a job. A plain function: Celery's client blocks, so it belongs into FastAPI's threads."""
    return {"job_id": work.delay(body.text, body.options.get("sleep_ms", 0)).id, "status": "queued"}


@app.get("/v1/jobs/{job_id}")
def job(job_id: str, wait: float = 0) -> dict[str, object]:
    """Show a job, waiting up to `wait` seconds for its end."""
    result = AsyncResult(job_id, app=celery)
    try:
        return {"job_id": job_id, "status": "done", "result": result.get(timeout=wait or 0.001)}
    except CeleryTimeout:
        return {"job_id": job_id, "status": "queued"}
