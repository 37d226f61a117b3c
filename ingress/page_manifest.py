"""The page pictures of a job, as the OCR stage has listed them."""

from dataclasses import dataclass

import orjson

from schemas.job_view import JobView
from schemas.payloads import BlobRef
from streams.storage.blobs import BlobStore

PAGES = "pages"
"""The artifact that holds the manifest of a document's page images."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page's picture: its number from 1, its size in pixels, and where it is."""

    number: int
    width: int
    height: int
    blob: BlobRef


async def stored_pages(view: JobView, blobs: BlobStore) -> tuple[StoredPage, ...]:
    """Return the pages with pictures, none when the document has none (yet). Raises BlobMissing or Outage."""
    manifest = view.artifacts.get(PAGES)
    if manifest is None:
        return ()
    entries = orjson.loads(await blobs.get(manifest))[PAGES]
    return tuple(StoredPage(e["number"], e["width"], e["height"], BlobRef(**e["blob"])) for e in entries)
