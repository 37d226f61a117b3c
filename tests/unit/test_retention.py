"""What the documentation says of retention is what the code declares."""

from pathlib import Path

from schemas.retention import retention_table
from schemas.topics import all_topics

PAGE = Path(__file__).resolve().parents[2] / "docs" / "retention.md"


def test_the_table_is_the_code_s() -> None:
    assert retention_table(all_topics()) in PAGE.read_text(), "put retention_table(all_topics()) into docs/retention.md"
