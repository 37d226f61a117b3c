"""What a child process of the OCR tests does with a page: wait until another child has one, too, then read it."""

import os
import socket
from pathlib import Path
from typing import Any

from processors.ocr import child
from schemas.errors import WorkFailed
from schemas.pages import Page

_ALONE_S = 30.0


def read_pages(meeting_point: Path, *args: Any) -> list[tuple[Page, bytes]]:
    """Read pages as the real function does, once the others are here. Raises WorkFailed when nobody comes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(_ALONE_S)
        s.connect(str(meeting_point))
        s.sendall(b"%d\n" % os.getpid())
        try:
            s.recv(100)
        except TimeoutError:
            raise WorkFailed("no other page was read meanwhile", code="alone") from None
    return child.read_pages(*args)
