"""The Kubernetes base runs what compose runs, and is asked, scaled and mounted where there is something."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.topics import STAGES
from streams.settings import Settings
from tests.unit.test_deployment_files import DOCKERFILE, ROLES, ROOT, SERVICES

K8S = [
    document
    for file in sorted((ROOT / "ops/kubernetes").rglob("*.yml"))
    if file.name != "kustomization.yml"
    for document in yaml.safe_load_all(file.read_text())
]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in K8S if document["kind"] == kind}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_kubernetes_runs_every_role_as_compose_does(role: str) -> None:
    deployment = of_kind("Deployment")[role]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert container["image"] == f"llm-gateway/{role}"
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["metrics"] == 9100
    # Of a service's pod it decides whether callers are let in at all, so there it is only that it answers.
    serves = role in of_kind("Service")
    asked = {"path": "/healthz", "port": "http"} if serves else {"path": "/readyz", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == asked
    # stt without a model is up, and never ready: starting it again and again would not bring one.
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.M)
    assert container["startupProbe"]["exec"]["command"] == json.loads(health)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"].keys() == {"requests", "limits"}
    budget = of_kind("PodDisruptionBudget")[role]
    assert budget["spec"]["selector"]["matchLabels"] == deployment["spec"]["selector"]["matchLabels"]


def _bytes(size: str) -> int:
    match = re.fullmatch(r"(\d+)([MG])i?", re.sub(r"^\$\{\w+:-(\w+)\}$", r"\1", size))
    assert match is not None, size
    return int(match[1]) << {"M": 20, "G": 30}[match[2]]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_kubernetes_gives_every_role_what_compose_does(role: str) -> None:
    """Compose's G is Kubernetes' Gi. Memory that was not asked for is taken back from a node that is full."""
    (container,) = of_kind("Deployment")[role]["spec"]["template"]["spec"]["containers"]
    given, limits = SERVICES[role]["deploy"]["resources"]["limits"], container["resources"]["limits"]
    assert _bytes(limits["memory"]) == _bytes(given["memory"])
    assert container["resources"]["requests"]["memory"] == limits["memory"]
    assert float(limits["cpu"]) == float(re.sub(r"^\$\{\w+:-([\d.]+)\}$", r"\1", given["cpus"]))


def pods() -> dict[str, dict[str, Any]]:
    return {
        d["metadata"]["name"]: d["spec"]["template"] for kind in ("Deployment", "Job") for d in of_kind(kind).values()
    }


@pytest.mark.parametrize("name", sorted(pods()))
def test_files_that_settings_may_name_are_there_in_every_pod_that_has_the_settings(name: str) -> None:
    """A `GATEWAY_…_FILE` in config.yml is read by whatever takes it, and what cannot be read ends the process."""
    spec = pods()[name]["spec"]
    (container,) = spec["containers"]
    (mounted,) = [m["mountPath"] for m in container["volumeMounts"] if m["name"] == "secrets"]
    assert [v["secret"]["secretName"] for v in spec["volumes"] if v["name"] == "secrets"] == ["gateway"]
    named = [e["value"] for e in container.get("env", ()) if e["name"].endswith("_FILE")]
    head = (ROOT / "ops/kubernetes/kustomization.yml").read_text()
    for file in [*named, *re.findall(r"_FILE=(\S+)", head)]:
        assert str(Path(file).parent) == mounted
        assert re.search(rf"(?<!/){Path(file).name}|_FILE={file}", head), f"no word of {file} for who makes the secret"
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in spec["volumes"]}
    # Nothing but the volumes can be written to, and Python wants a folder for what is temporary.
    assert "/tmp" in [m["mountPath"] for m in container["volumeMounts"]]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def of_the_images() -> Settings:
    """The settings of a process in an image of ours that is told nothing else."""
    return Settings.from_env(dict(re.findall(r"\b(GATEWAY_[A-Z_]+)=(\S+)", DOCKERFILE)))


@pytest.mark.parametrize("role", sorted(ROLES))
def test_who_looks_at_a_process_looks_where_it_answers(role: str) -> None:
    """Probes, scrapes, the service and the proxy: ports as the images set them, paths that are served there."""
    settings = of_the_images()
    pod = pods()[role]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expected = {"metrics": settings.metrics_port} | ({"http": settings.http_port} if role == "ingress" else {})
    assert ports == expected
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(settings.metrics_port)
    jobs = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert [job["dns_sd_configs"][0]["port"] for job in jobs if job["job_name"] == role] == [settings.metrics_port]
    served = {"metrics": {"/metrics", "/readyz"}, "http": {"/healthz", "/readyz"}}
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in served[asked["port"]], probe
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE, re.M)
    assert f"COPY ops/docker/ready.py {json.loads(health)[-1]}" in DOCKERFILE


def test_callers_are_sent_to_the_port_that_ingress_opens() -> None:
    port = of_the_images().http_port
    (told,) = of_kind("Service").values()
    assert [(p["port"], p["targetPort"]) for p in told["spec"]["ports"]] == [(port, "http")]
    passed = re.findall(r"proxy_pass http://\$ingress:(\d+);", (ROOT / "ops/proxy/nginx.conf").read_text())
    assert set(passed) == {str(port)}
    exposed = re.findall(r"^FROM base AS ingress\nEXPOSE (\d+)$", DOCKERFILE, re.M)
    assert exposed == [str(port)]


def test_kubernetes_scales_processors_by_the_lag_of_their_own_groups() -> None:
    from streams.watch.surroundings import watched_groups

    groups = watched_groups()
    served = {"ocr": ("ocr",), "stt": ("stt",), "llm": ("llm", "gongmun.extract")}
    assert {kind for kinds in served.values() for kind in kinds} == STAGES.keys() - {"noop"}
    assert set(of_kind("ScaledObject")) == set(served)
    for name, scaled in of_kind("ScaledObject").items():
        assert scaled["spec"]["scaleTargetRef"]["name"] == name
        metas = [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]
        asked = [(meta["consumerGroup"], meta["topic"]) for meta in metas]
        # Every lane: what waits in one that nobody looks at waits for the fewest processors.
        lanes = {(f"processor.{kind}", topic.name) for kind in served[name] for topic in groups[f"processor.{kind}"]}
        assert sorted(asked) == sorted(lanes)
        assert scaled["spec"]["maxReplicaCount"] <= 8, "a partition has one consumer"
        assert "replicas" not in of_kind("Deployment")[name]["spec"], "an apply would set it again"


def test_kubernetes_makes_the_topics_as_compose_does() -> None:
    (job,) = of_kind("Job").values()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    topics = SERVICES["topics"]
    assert container["args"] == topics["command"] == ["gateway", "topics"]
    assert container["image"] == topics["image"].partition(":")[0]
    assert container["envFrom"] == [{"configMapRef": {"name": next(iter(of_kind("ConfigMap")))}}]


def test_kustomize_names_every_file() -> None:
    listed = yaml.safe_load((ROOT / "ops/kubernetes/kustomization.yml").read_text())["resources"]
    there = {f.name for f in (ROOT / "ops/kubernetes").glob("*.yml")} - {"kustomization.yml"}
    assert set(listed) == there
