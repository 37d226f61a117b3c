"""Compose files and the Kubernetes base are valid by the schemas of those who read them."""

import copy
import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator
from jsonschema.validators import validator_for

from tests.unit.test_deployment_files import COMPOSE
from tests.unit.test_kubernetes_files import K8S

# The oldest that we say the base is for.
KUBERNETES = "1.31"
BASE = Path(__file__).resolve().parents[2] / "ops/kubernetes"
PATCH = '[{"op": "replace", "path": "/data/GATEWAY_KAFKA_BOOTSTRAP", "value": "kafka.elsewhere:9092"}]'
# A kind of KEDA's: its schema is in the cluster that has KEDA, and in no package. What we use of it, as keda.sh has it:
# a trigger's metadata are texts, numbers too.
ELSEWHERE = {"ScaledObject"}
_TEXT = {"type": "string", "minLength": 1}
_NUMBER = {"type": "string", "pattern": "^[1-9][0-9]*$"}
_COUNT = {"type": "integer", "minimum": 1}


def _exactly(**fields: object) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


SCALED_OBJECT = _exactly(
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "ScaledObject"},
    metadata=_exactly(name=_TEXT),
    spec=_exactly(
        scaleTargetRef=_exactly(name=_TEXT),
        minReplicaCount=_COUNT,
        maxReplicaCount=_COUNT,
        cooldownPeriod=_COUNT,
        triggers={
            "type": "array",
            "minItems": 1,
            "items": _exactly(
                type={"const": "kafka"},
                metadata=_exactly(
                    bootstrapServers=_TEXT,
                    consumerGroup=_TEXT,
                    topic=_TEXT,
                    lagThreshold=_NUMBER,
                    offsetResetPolicy={"enum": ["earliest", "latest"]},
                ),
            ),
        },
    ),
)


# What we use of it; kustomize itself renders the base where it is installed.
KUSTOMIZATION = _exactly(
    apiVersion={"const": "kustomize.config.k8s.io/v1beta1"},
    kind={"const": "Kustomization"},
    resources={"type": "array", "minItems": 1, "uniqueItems": True, "items": _TEXT},
)


@pytest.fixture(scope="module")
def compose_schema() -> dict[str, Any]:
    """The Compose Specification's own schema, which check-jsonschema brings.

    Its file is read and nothing of it imported, for its own code wants another version of click.
    """
    package = find_spec("check_jsonschema")
    assert package is not None
    assert package.origin is not None
    return json.loads((Path(package.origin).parent / "builtin_schemas/vendor/compose-spec.json").read_text())


@pytest.mark.parametrize("name", sorted(COMPOSE))
def test_compose_files_are_valid(compose_schema: dict[str, Any], name: str) -> None:
    validator = validator_for(compose_schema)(compose_schema)
    assert [(list(e.path), e.message) for e in validator.iter_errors(COMPOSE[name])] == []


def test_a_compose_file_that_is_wrong_is_found(compose_schema: dict[str, Any]) -> None:
    wrong = copy.deepcopy(COMPOSE["kafka"])
    wrong["services"]["redis"]["readonly"] = True
    assert not validator_for(compose_schema)(compose_schema).is_valid(wrong)


@pytest.mark.parametrize(
    "document", [d for d in K8S if d["kind"] not in ELSEWHERE], ids=lambda d: f"{d['metadata']['name']}-{d['kind']}"
)
def test_kubernetes_takes_every_document(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", [d for d in K8S if d["kind"] in ELSEWHERE], ids=lambda d: d["metadata"]["name"])
def test_keda_takes_what_scales(document: dict[str, Any]) -> None:
    assert [(list(e.path), e.message) for e in Draft7Validator(SCALED_OBJECT).iter_errors(document)] == []


def test_what_keda_does_not_take_is_found() -> None:
    scaled = next(d for d in K8S if d["kind"] in ELSEWHERE)
    for field, value in (("lagThreshold", 5), ("lagTreshold", "5"), ("offsetResetPolicy", "first")):
        wrong = copy.deepcopy(scaled)
        wrong["spec"]["triggers"][0]["metadata"][field] = value
        assert not Draft7Validator(SCALED_OBJECT).is_valid(wrong), field


def test_a_document_that_kubernetes_does_not_take_is_found() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(next(d for d in K8S if d["kind"] == "Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_kustomize_takes_the_base_and_none_that_is_wrong() -> None:
    base = yaml.safe_load((BASE / "kustomization.yml").read_text())
    assert [e.message for e in Draft7Validator(KUSTOMIZATION).iter_errors(base)] == []
    for wrong in ({**base, "resource": []}, {**base, "resources": [*base["resources"], base["resources"][0]]}):
        assert not Draft7Validator(KUSTOMIZATION).is_valid(wrong)


def test_no_two_documents_have_one_kind_and_name() -> None:
    """kustomize refuses a base with such."""
    names = [(d["kind"], d["metadata"]["name"]) for d in K8S]
    assert sorted(names) == sorted(set(names))


def test_kustomize_renders_the_base_with_a_hosts_own_names_and_versions(tmp_path: Path) -> None:
    """As an overlay has it: a namespace, an image from elsewhere, another address of Kafka."""
    kustomize = next((list(c) for c in (("kustomize", "build"), ("kubectl", "kustomize")) if shutil.which(c[0])), None)
    if kustomize is None:
        pytest.skip("neither kustomize nor kubectl is here")
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "ours",
        "resources": [os.path.relpath(BASE, tmp_path)],
        "images": [{"name": "llm-gateway/ocr", "newName": "images.example/gateway/ocr", "newTag": "1.2.3"}],
        "patches": [{"target": {"kind": "ConfigMap"}, "patch": PATCH}],
    }
    (tmp_path / "kustomization.yml").write_text(yaml.safe_dump(overlay))
    done = subprocess.run([*kustomize, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert sorted((d["kind"], d["metadata"]["name"]) for d in rendered) == sorted(
        (d["kind"], d["metadata"]["name"]) for d in K8S
    )
    assert {d["metadata"]["namespace"] for d in rendered} == {"ours"}
    for document in rendered:
        if document["kind"] not in ELSEWHERE:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    by_name = {(d["kind"], d["metadata"]["name"]): d for d in rendered}
    (ocr,) = by_name["Deployment", "ocr"]["spec"]["template"]["spec"]["containers"]
    assert ocr["image"] == "images.example/gateway/ocr:1.2.3"
    assert by_name["ConfigMap", "gateway"]["data"]["GATEWAY_KAFKA_BOOTSTRAP"] == "kafka.elsewhere:9092"
