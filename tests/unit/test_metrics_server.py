"""A process's own port: readiness and metrics."""

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from schemas.errors import InvalidInput
from streams.container import Memory
from streams.metrics_server import Health, start_metrics_server


def test_readiness_is_told_with_its_reason() -> None:
    health = Health()
    server = start_metrics_server(0, health, CollectorRegistry())
    url = f"http://127.0.0.1:{server.port}/readyz"
    try:
        starting = httpx.get(url)
        assert (starting.status_code, starting.json()) == (503, {"state": "starting", "reason": ""})
        health.set_unavailable("no model")
        gone = httpx.get(url)
        assert (gone.status_code, gone.json()) == (503, {"state": "unavailable", "reason": "no model"})
        health.set_ready()
        ready = httpx.get(url)
        assert (ready.status_code, ready.json()) == (200, {"state": "ready", "reason": ""})
    finally:
        server.close()


def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("letters_read", "Letters that were read.", registry=registry).inc()
    server = start_metrics_server(0, Health(), registry)
    try:
        assert "letters_read_total 1.0" in httpx.get(f"http://127.0.0.1:{server.port}/metrics").text
        assert httpx.get(f"http://127.0.0.1:{server.port}/").status_code == 404
    finally:
        server.close()


def test_a_process_tells_the_memory_of_its_container_as_it_is_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [Memory(700, 1000)]
    monkeypatch.setattr("streams.metrics_server.memory", lambda: now[0])
    server = start_metrics_server(0, Health())
    try:
        for memory in (Memory(700, 1000), Memory(900, 1000)):
            now[0] = memory
            told = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text.splitlines()
            assert f"gateway_memory_used_bytes {memory.used:.1f}" in told
            assert f"gateway_memory_limit_bytes {memory.limit:.1f}" in told
    finally:
        server.close()


def test_a_taken_port_names_the_variable_to_set() -> None:
    first = start_metrics_server(0, Health(), CollectorRegistry())
    try:
        with pytest.raises(InvalidInput) as caught:
            start_metrics_server(first.port, Health(), CollectorRegistry())
        assert "GATEWAY_METRICS_PORT" in caught.value.remedy
    finally:
        first.close()


def test_a_closed_server_answers_no_more_and_leaves_its_port_to_another() -> None:
    first = start_metrics_server(0, Health(), CollectorRegistry())
    port = first.port
    url = f"http://127.0.0.1:{port}/readyz"
    assert httpx.get(url).status_code == 503
    first.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    second = start_metrics_server(port, Health(), CollectorRegistry())
    try:
        assert httpx.get(url).status_code == 503
    finally:
        second.close()
