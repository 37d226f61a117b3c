"""What `bench metrics` takes for the cost of metrics."""

from bench.metrics import Samples, samples_in

RAW = """\
run (streams/runtime/run.py:61);Attempts.begin (streams/runtime/attempts.py:64) 5
run (streams/runtime/run.py:61);StageMetrics.left (streams/runtime/stage_metrics.py:37) 2
run (streams/runtime/run.py:61);StageMetrics.left (streams/runtime/stage_metrics.py:37);MutexValue.inc (prometheus_client/values.py:28) 3
run (streams/runtime/run.py:61);Histogram.observe (streams/metric_kinds.py:50) 4
run (streams/runtime/run.py:61);Surroundings.look (streams/watch/surroundings.py:75);Gauge.set (prometheus_client/metrics.py:462) 6
_bootstrap (threading.py:1002);process_request_thread (socketserver.py:691);generate_latest (prometheus_client/exposition.py:250) 1
run (streams/runtime/run.py:61);Health.set_ready (streams/metrics_server.py:57) 9
_bootstrap (threading.py:1002);process_request_thread (socketserver.py:691);parse_request (http/server.py:300) 8
run (ingress/prometheus.py:1);submit (ingress/submit_body.py:20) 7
"""  # noqa: E501 - as py-spy writes it


def test_samples_in_the_library_and_in_what_only_serves_it_are_counted_once() -> None:
    found = samples_in(RAW.splitlines())
    assert found == Samples(all=45, counting=2 + 3 + 4, scraping=1, watching=6)
    assert found.of_metrics == 16


def test_no_samples_are_no_cost() -> None:
    assert samples_in([]) == Samples()
