"""The stage `image-tags`: a picture in, words for what it looks like out."""

import json
from pathlib import Path

from prometheus_client import Counter

from image_tags.model import tags_of
from schemas.errors import InvalidInput
from schemas.events import StageRequest, Usage
from schemas.payloads import json_payload
from streams.runtime.processor import Context, Processor, Result
from streams.stages import own_stage

TAGS = Counter("image_tags_given_total", "Tags given to pictures", ["tag"])


async def handle(request: StageRequest, context: Context) -> Result:
    """Tag the job's picture. May run twice for one job, so it stores nothing."""
    if len(request.inputs) != 1:
        raise InvalidInput(f"{len(request.inputs)} files were sent", code="one_picture", remedy="send one a job")
    least = json.loads(request.options).get("least", 0.5)
    async with context.as_file(request.inputs[0]) as path:
        # In a child process: a broken or hostile file costs that child, never this process.
        scores = await context.call("image_tags.processor:look", str(path), timeout_s=30)
    tags = [{"tag": tag, "score": score} for tag, score in scores if score >= least]
    for each in tags:
        TAGS.labels(each["tag"]).inc()
    return Result(outputs=(json_payload(json.dumps({"tags": tags}).encode()),), usage=Usage(pages=1), model="tags-1")


def look(path: str) -> list[tuple[str, float]]:
    """Return every tag with its score (0 to 1), the best first. Runs in a child process."""
    return tags_of(Path(path))


PROCESSOR = Processor(own_stage("image-tags"), handle, concurrency=4)
