"""What `bench jobs` makes of its figures."""

from xml.etree import ElementTree

from bench.jobs import compare, plot
from bench.report import Report


def test_each_side_is_held_against_the_other_and_against_its_aim() -> None:
    report = Report("jobs")
    report.figures = {
        "celery_submits_per_s_at_32": 400,
        "gateway_submits_per_s_at_32": 600,
        "celery_submit_p50_ms_at_1": 2.0,
        "gateway_submit_p50_ms_at_1": 3.0,
        "celery_noop_jobs_per_s_at_2": 500,
        "gateway_noop_jobs_per_s_at_2": 2_500,
    }
    compare(report)
    held = {aim.name: (aim.value, aim.holds) for aim in report.aims}
    assert held == {
        "submits_per_s_ratio": (1.5, False),
        "submit_p50_ratio": (1.5, True),
        "noop_backlog_ratio": (5, True),
    }


def test_scaling_is_a_share_of_linear() -> None:
    report = Report("jobs")
    report.figures = {
        f"gateway_sleep_jobs_per_s_at_{n}": n * 100 * share for n, share in ((1, 1), (2, 1), (4, 0.95), (8, 0.8))
    }
    compare(report)
    scaling = {aim.name: (aim.value, aim.holds) for aim in report.aims}
    assert scaling["gateway_sleep_scaling_at_4"] == (0.95, True)
    assert scaling["gateway_sleep_scaling_at_8"] == (0.8, False)


def test_what_was_not_measured_has_no_aim() -> None:
    report = Report("jobs")
    compare(report)
    assert report.aims == []
    report.figures = {"gateway_not_done_60_s_after_sigkill": 1}
    compare(report)
    assert [(aim.name, aim.holds) for aim in report.aims] == [("gateway_not_done_60_s_after_sigkill", False)]


def test_the_plot_is_a_picture_that_says_how_many_waited() -> None:
    figures = {f"{side}_noop_jobs_per_s_at_{n}": 100.0 * n for side in ("gateway", "celery") for n in (1, 2, 4)}
    picture = plot(figures, 10_000)
    texts = [node.text for node in ElementTree.fromstring(picture).iter() if node.text]
    assert any("10,000 queued" in text for text in texts)
    assert {"gateway", "celery"} <= {text.strip() for text in texts}
