"""What `bench metrics` takes for the cost of metrics."""

from bench.metrics import metrics_samples

RAW = """\
run (streams/runtime/run.py:61);Attempts.begin (streams/runtime/attempts.py:64) 5
run (streams/runtime/run.py:61);StageMetrics.left (streams/runtime/stage_metrics.py:37) 2
run (streams/runtime/run.py:61);StageMetrics.left (streams/runtime/stage_metrics.py:37);MutexValue.inc (prometheus_client/values.py:28) 3
_bootstrap (threading.py:1002);_answer (streams/metrics_server.py:70);generate_latest (prometheus_client/exposition.py:250) 1
run (ingress/prometheus.py:1);submit (ingress/submit_body.py:20) 7
"""  # noqa: E501 - as py-spy writes it


def test_samples_inside_the_library_and_of_what_only_serves_it_are_counted_once() -> None:
    assert metrics_samples(RAW.splitlines()) == 2 + 3 + 1


def test_no_samples_are_no_cost() -> None:
    assert metrics_samples([]) == 0
