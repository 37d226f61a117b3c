"""The peer's tasks: the same no-op and the same sleep as the gateway's probe."""

import os
import time

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_REDIS_URL"], backend=os.environ["PEER_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_serializer="json",
    result_expires=3600,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="peer.work")
def work(text: str, sleep_ms: int = 0) -> dict[str, str]:
    """Give the text back, after a sleep."""
    if sleep_ms:
        time.sleep(sleep_ms / 1000)
    return {"text": text}
