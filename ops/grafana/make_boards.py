"""Writes the boards under ops/grafana/boards: `python ops/grafana/make_boards.py`. A test holds them to this file.

A panel is a title, a unit and PromQL queries; `$__rate_interval` is Grafana's.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RATE = "[$__rate_interval]"

Panel = tuple[str, str, dict[str, str]]


def _p95(metric: str, by: str) -> str:
    return f"histogram_quantile(0.95, sum by ({by}, le) (rate({metric}_bucket{RATE})))"


def _today(series: str, by: str) -> str:
    """Count a day's events.

    A count with labels comes into being at its first event, and `increase` sees no step in what begins: what was not
    there a day ago counts whole. Where it was set back meanwhile, by a restart, `increase` is the greater of the two.
    An hour is looked back on, so that a pause of Prometheus a day ago makes no old count a new one.
    """
    new, grown = f"({series} unless present_over_time({series}[1h] offset 1d))", f"increase({series}[1d])"
    return f"sum by ({by}) ({new} > {grown} or {grown} or {new})"


BOARDS: dict[str, tuple[str, list[Panel]]] = {
    "users": (
        "Users",
        [
            ("Requests by route", "reqps", {"{{route}}": f"sum by (route) (rate(gateway_http_requests_total{RATE}))"}),
            (
                "Server errors",
                "reqps",
                {"5xx": f'sum(rate(gateway_http_requests_total{{status=~"5.."}}{RATE})) or vector(0)'},
            ),
            ("Answer time p95", "s", {"{{route}}": _p95("gateway_http_request_seconds", "route")}),
            ("Requests being answered", "short", {"in flight": "sum(gateway_http_in_flight)"}),
            (
                "Alerts that fire",
                "short",
                {"{{alertname}}": 'sum by (alertname) (ALERTS{alertstate="firing"}) or vector(0)'},
            ),
            (
                "Jobs and calls ended by service",
                "reqps",
                {
                    "{{service}} {{module}}": f"sum by (service, module) (rate(gateway_usage_requests_total{RATE}))",
                },
            ),
            (
                "Failed by service",
                "reqps",
                {
                    "{{service}} {{module}}": "sum by (service, module) (rate(gateway_usage_requests_total"
                    f'{{outcome!="done"}}{RATE})) or vector(0)',
                },
            ),
        ],
    ),
    "pipeline": (
        "Pipeline",
        [
            ("Waiting on the log", "short", {"{{topic}}": "max by (topic) (gateway_log_lag)"}),
            ("Age of the oldest", "s", {"{{topic}}": "max by (topic) (gateway_log_oldest_seconds)"}),
            (
                "Read and waiting",
                "short",
                {"{{stage}} {{lane}}": "sum by (stage, lane) (gateway_stage_buffered)"},
            ),
            ("In work", "short", {"{{stage}} {{lane}}": "sum by (stage, lane) (gateway_stage_in_flight)"}),
            (
                "Done, failed, cancelled",
                "reqps",
                {"{{stage}} {{outcome}}": f"sum by (stage, outcome) (rate(gateway_stage_outcomes_total{RATE}))"},
            ),
            ("Wait p95", "s", {"{{stage}} {{lane}}": _p95("gateway_stage_wait_seconds", "stage, lane")}),
            (
                "Wait p95 by module",
                "s",
                {"{{stage}} {{module}} {{lane}}": _p95("gateway_stage_wait_seconds", "stage, module, lane")},
            ),
            ("Work p95", "s", {"{{stage}} {{lane}}": _p95("gateway_stage_work_seconds", "stage, lane")}),
            ("Submit to outcome p95", "s", {"{{stage}} {{lane}}": _p95("gateway_stage_total_seconds", "stage, lane")}),
            (
                "Retries and dead letters",
                "reqps",
                {
                    "retries": f"sum(rate(gateway_stage_retries_total{RATE})) or vector(0)",
                    "dead letters": f"sum(rate(gateway_stage_dead_letters_total{RATE})) or vector(0)",
                },
            ),
            ("Held back by an outage", "short", {"stages": "sum(gateway_stage_paused) or vector(0)"}),
            ("Processes", "short", {"{{job}}": "sum by (job) (up)"}),
            (
                "Memory of the largest process",
                "bytes",
                {
                    "{{job}}": "max by (job) (process_resident_memory_bytes)",
                    "{{job}} may use": "min by (job) (gateway_memory_limit_bytes)",
                },
            ),
            (
                "Batch requests",
                "reqps",
                {
                    "read": f"sum(rate(gateway_batch_records_total{RATE})) or vector(0)",
                    "started": f"sum(rate(gateway_batch_started_total{RATE}))",
                    "answered": f"sum(rate(gateway_batch_answered_total{RATE})) or vector(0)",
                    "rejected": f"sum(rate(gateway_batch_rejected_total{RATE})) or vector(0)",
                },
            ),
            (
                "Batch requests under way",
                "short",
                {"no answer yet": "sum(gateway_batch_pending)", "at most": "sum(gateway_batch_window)"},
            ),
        ],
    ),
    "llm": (
        "LLM",
        [
            (
                "Time to the first token p95",
                "s",
                {"{{upstream}}": _p95("gateway_upstream_first_token_seconds", "upstream")},
            ),
            (
                "Tokens a second",
                "short",
                {"{{model}} {{kind}}": f"sum by (model, kind) (rate(gateway_usage_tokens_total{RATE}))"},
            ),
            (
                "Slots",
                "short",
                {
                    "{{upstream}} in use": "sum by (upstream) (gateway_upstream_in_use)",
                    "{{upstream}} there": "sum by (upstream) (gateway_upstream_slots)",
                },
            ),
            ("Waiting for a slot", "short", {"{{lane}}": "sum by (lane) (gateway_upstream_waiting)"}),
            ("Wait for a slot p95", "s", {"{{lane}}": _p95("gateway_upstream_wait_seconds", "lane")}),
            ("Model servers in use", "short", {"{{upstream}}": "max by (upstream) (gateway_upstream_usable)"}),
            (
                "Attempts by outcome",
                "reqps",
                {
                    "{{upstream}} {{outcome}}": "sum by (upstream, outcome) "
                    f"(rate(gateway_upstream_attempts_total{RATE}))",
                },
            ),
            (
                "Interactive calls",
                "reqps",
                {"{{dialect}} {{outcome}}": f"sum by (dialect, outcome) (rate(gateway_chat_calls_total{RATE}))"},
            ),
            ("Usage not on the log yet", "short", {"records": "sum(gateway_chat_usage_pending)"}),
        ],
    ),
    "usage": (
        "Usage and cost",
        [
            (
                "Requests today",
                "short",
                {"{{service}}": _today("gateway_usage_requests_total", "service")},
            ),
            (
                "Tokens today",
                "short",
                {"{{service}} {{model}}": _today("gateway_usage_tokens_total", "service, model")},
            ),
            ("Pages today", "short", {"{{service}}": _today("gateway_usage_pages_total", "service")}),
            (
                "Audio today",
                "s",
                {"{{service}}": _today("gateway_usage_audio_seconds_total", "service") + " or vector(0)"},
            ),
            (
                "Cost today, by the prices of models.yml",
                "short",
                {"{{service}} {{model}}": _today("gateway_usage_cost_total", "service, model") + " or vector(0)"},
            ),
            (
                "Work, charged and wasted",
                "s",
                {"charged: {{charged}}": _today("gateway_usage_work_seconds_total", "charged")},
            ),
            (
                "Requests above 80 % of a budget, today",
                "short",
                {
                    "{{service}} {{limit}}": _today(
                        'gateway_quota_warnings_total{limit=~".+_per_month"}', "service, limit"
                    )
                    + " or vector(0)",
                },
            ),
            (
                "Requests refused by a limit, today",
                "short",
                {
                    "{{service}} {{limit}}": _today("gateway_quota_refusals_total", "service, limit") + " or vector(0)",
                },
            ),
            ("Blobs", "bytes", {"kept": "max(gateway_blobs_kept_bytes)"}),
            ("Ledger", "short", {"entries": "sum(gateway_ledger_entries)", "rows": "sum(gateway_ledger_rows)"}),
        ],
    ),
    "kafka-redis": (
        "Kafka and Redis",
        [
            ("Kafka answers", "short", {"up": "max(gateway_log_up)", "brokers": "max(gateway_log_brokers)"}),
            (
                "Partitions in trouble",
                "short",
                {
                    "too few copies": "max(gateway_log_under_replicated_partitions)",
                    "no leader": "max(gateway_log_leaderless_partitions)",
                },
            ),
            (
                "Written records",
                "reqps",
                {"{{topic}}": "sum by (topic) (max by (topic) (deriv(gateway_log_end_offset[1m])))"},
            ),
            (
                "Publications acknowledged",
                "reqps",
                {"{{topic}}": f"sum by (topic) (rate(gateway_published_total{RATE}))"},
            ),
            (
                "Publications failed",
                "reqps",
                {"{{code}}": f"sum by (code) (rate(gateway_publish_failures_total{RATE})) or vector(0)"},
            ),
            ("Rebalances", "short", {"{{group}}": "sum by (group) (increase(gateway_consumer_rebalances_total[1h]))"}),
            ("Redis answers", "short", {"up": "max(gateway_redis_up)"}),
            (
                "Redis memory",
                "bytes",
                {"used": "max(gateway_redis_memory_bytes)", "limit": "max(gateway_redis_memory_limit_bytes)"},
            ),
            ("Redis connections", "short", {"clients": "max(gateway_redis_clients)"}),
            ("Redis commands", "reqps", {"commands": "max(deriv(gateway_redis_commands[1m]))"}),
            ("Views rebuilt", "short", {"partitions": "sum(increase(gateway_view_rebuilds_total[1h])) or vector(0)"}),
            (
                "Free disk",
                "bytes",
                {
                    "blobs": "min(gateway_disk_free_bytes)",
                    "Kafka, broker {{broker}}": "max by (broker) (gateway_log_disk_free_bytes)",
                },
            ),
            (
                "Certificates are good for",
                "s",
                {"{{listener}}": "min by (listener) (gateway_certificate_end_timestamp_seconds) - time()"},
            ),
        ],
    ),
}


def board(name: str) -> dict[str, Any]:
    """Return a board as Grafana's JSON: two panels a row."""
    title, panels = BOARDS[name]
    return {
        "uid": f"gateway-{name}",
        "title": f"LLM Gateway: {title}",
        "tags": ["llm-gateway"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }


def _panel(number: int, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": legend}
            for place, (legend, expr) in enumerate(queries.items())
        ],
    }


def text(name: str) -> str:
    """Return a board's file."""
    return json.dumps(board(name), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in BOARDS:
        (HERE / "boards" / f"{each}.json").write_text(text(each))
