import pytest

from processors.llm.gongmun.dates import complete_year, find_date, find_dates, find_times


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2025. 8. 11.", "2025-08-11"),
        ("2025. 8. 11.(월)", "2025-08-11"),
        ("2025.8.11", "2025-08-11"),
        ("2025년 8월 11일까지", "2025-08-11"),
        ("2025-08-11", "2025-08-11"),
        ("'25. 3. 14.까지", "2025-03-14"),
        ("20250814까지", "2025-08-14"),
        ("2025. 2 24.", "2025-02-24"),
        ("2O25. 2. 24.", "2025-02-24"),
        ("2025년98 19일까지", "2025-09-19"),
        ("2025년3월16일12:00까지", "2025-03-16"),
        ("2025-01-3012:00까지", "2025-01-30"),
        ("2026: 1. 16.(금)", "2026-01-16"),
        ("202414 10월 6일", "2024-10-06"),
        ("(2026.319.)", "2026-03-19"),
        ("(2026.101.)", "2026-10-01"),
        ("(2026. 1223.)", "2026-12-23"),
    ],
)
def test_a_written_date_becomes_iso(text: str, iso: str) -> None:
    written = find_date(text)

    assert written is not None
    assert written.iso() == iso


@pytest.mark.parametrize(
    "text", ["제3. 4항", "버전 1.2.3", "2025. 13. 40.", "(2026.112.)", "(2026.245.)", "총 1,234원", "12.5%", "3.5배"]
)
def test_what_is_no_date_is_not_read_as_one(text: str) -> None:
    assert find_dates(text) == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2025. 2. 25.(화) ~ 2. 27.(목)", ["2025-02-25", "2025-02-27"]),
        ("2025. 12. 29. ~ 1. 3.", ["2025-12-29", "2026-01-03"]),
        ("2025. 2. 25. ~ 27.", ["2025-02-25", "2025-02-27"]),
    ],
)
def test_a_range_passes_its_year_on(text: str, days: list[str]) -> None:
    assert [written.iso() for written in find_dates(text)] == days


@pytest.mark.parametrize(
    ("text", "issued", "iso"),
    [
        ("3. 14.(금)까지", "2025-02-24", "2025-03-14"),
        ("1. 9.(금)까지", "2025-12-20", "2026-01-09"),
        ("2. 20.까지", "2025-02-24", "2025-02-20"),
        ("2. 30.까지", "2025-02-24", None),
        ("3. 14.까지", None, None),
    ],
)
def test_a_missing_year_comes_from_the_issue_date(text: str, issued: str | None, iso: str | None) -> None:
    written = find_date(text)

    assert (complete_year(written, issued) if written else None) == iso


def test_a_corrected_date_is_less_certain() -> None:
    clean, corrected = find_date("2025. 2. 24."), find_date("2O25. 2. 24.")

    assert clean is not None
    assert corrected is not None
    assert corrected.certainty < clean.certainty


@pytest.mark.parametrize(
    ("text", "times"),
    [("14:00~16:00", ["14:00", "16:00"]), ("오후 6시", ["18:00"]), ("9시 30분", ["09:30"]), ("24:00", ["23:59"])],
)
def test_times_of_day(text: str, times: list[str]) -> None:
    assert [time.value for time in find_times(text)] == times
