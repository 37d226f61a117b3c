"""What a document may cost: the bounds fit one another."""

import pytest

from processors.ocr.handler import build_processor
from streams.settings import Settings


@pytest.mark.parametrize("workers", ["1", "2", "16"])
def test_documents_of_as_many_pages_as_are_accepted_can_be_read_side_by_side(workers: str) -> None:
    """At 6 s a page, twice what a slow core takes, with all turns taken by such documents."""
    settings = Settings.from_env({"GATEWAY_WORKERS": workers})
    processor = build_processor(settings)
    side_by_side_s = 6.0 * settings.max_pages * processor.concurrency / int(workers)
    assert processor.attempt_timeout_s >= side_by_side_s
