"""What a Prometheus needs to follow the local stack: its configuration, and a target file a role.

The target files are written anew with each change of the plan; Prometheus notices by itself, so a
`--scale` is followed without a reload.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
import yaml

from cli.stack.paths import PROJECT_ROOT
from cli.stack.services import Service
from cli.stack.states import write_atomically

SOURCE = PROJECT_ROOT / "ops" / "prometheus"


def local_config(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration for containers with target files for DNS discovery, and nobody who is told. Pure."""
    jobs = [
        {
            "job_name": job["job_name"],
            "file_sd_configs": [{"files": [f"targets/{job['job_name']}.json"], "refresh_interval": "10s"}],
        }
        for job in composed["scrape_configs"]
    ]
    rest = {name: value for name, value in composed.items() if name != "alerting"}
    return {**rest, "scrape_configs": jobs}


def targets(services: Iterable[Service]) -> dict[str, list[dict[str, Any]]]:
    """Return the targets of each role; Kafka and Redis have no metrics port of their own. Pure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for service in services:
        if not service.foundation:
            target = {"targets": [f"127.0.0.1:{service.port}"], "labels": {"name": service.name}}
            found.setdefault(service.kind, []).append(target)
    return found


def write_scrape_targets(folder: Path, services: Iterable[Service]) -> None:
    """Write everything into `folder`; start with: prometheus --config.file=<folder>/prometheus.yml."""
    composed = cast(dict[str, Any], yaml.safe_load((SOURCE / "prometheus.yml").read_text()))
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    shutil.copytree(SOURCE / "rules", folder / "rules", dirs_exist_ok=True)
    write_atomically(folder / "prometheus.yml", yaml.safe_dump(local_config(composed), sort_keys=False).encode())
    found = targets(services)
    for job in composed["scrape_configs"]:
        name = job["job_name"]
        write_atomically(folder / "targets" / f"{name}.json", orjson.dumps(found.get(name, [])))
