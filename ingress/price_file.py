"""The prices in `models.yml`, read again when the file changes: a corrected price shows in the next report."""

from pathlib import Path

from processors.llm.pool.models_file import read_models_file
from schemas.errors import InvalidInput
from schemas.prices import PriceList
from streams.logs import get_logger

log = get_logger(__name__)

_ANY_LIMIT = 1


class PriceFile:
    """Gives the prices as they are now; without a file there are none."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._prices = PriceList()
        self._read_at: tuple[int, int] | None = None

    def now(self) -> PriceList:
        """Return the prices. A file that has become wrong leaves the last good ones in place, and is logged once."""
        try:
            found = self._file.stat()
        except OSError:
            self._prices, self._read_at = PriceList(), None
            return self._prices
        version = (found.st_mtime_ns, found.st_size)
        if version != self._read_at:
            self._read_at = version
            try:
                self._prices = read_models_file(self._file, None, _ANY_LIMIT).prices
            except InvalidInput as e:
                log.error("prices.unusable", reason=e.message)
        return self._prices
