"""Why a job stands in its queue: its next stage cannot be served now. Told to who looks; kept nowhere."""

from typing import Any

from ingress.dependencies import Dependencies
from ingress.job_document import full_document, is_final
from schemas.events import JobStatus
from schemas.job_view import JobView
from streams.serving import unknown_lack


async def shown_job(view: JobView, dependencies: Dependencies) -> dict[str, Any]:
    """Return a job with its result and, while nobody serves the stage it is at, `waiting`: stage, reason and remedy.

    Raises as `full_document` does.
    """
    body = await full_document(view, dependencies.blobs)
    waiting = _waiting(view, dependencies)
    return {**body, "waiting": waiting} if waiting else body


def _waiting(view: JobView, dependencies: Dependencies) -> dict[str, str] | None:
    if is_final(view):
        return None
    stages = zip(view.steps, view.document["stages"], strict=True)
    step = next((step for step, stage in stages if stage["status"] != JobStatus.DONE), None)
    if step is None:
        return None
    lack = unknown_lack([step.kind]) or dependencies.serving.lacking([step.kind])
    return {"stage": step.name, "reason": lack.reason, "remedy": lack.remedy} if lack is not None else None
