"""models.yml: what it may say, and errors that point to line and key."""

from datetime import date
from decimal import Decimal

import pytest

from processors.llm.errors import ModelNotAllowed, UnknownModel
from processors.llm.pool.models import Upstream, discovered, upstreams_at
from processors.llm.pool.models_file import read_models
from processors.llm.protocols.values import Dialect
from schemas.errors import InvalidInput

GOOD = """\
upstreams:
  gpu-a: {kind: ollama, url: "http://10.0.0.5:11434/", limit: 8, weight: 2}
  paid:
    kind: openai
    url: https://api.example.com/v1
    key_env: PAID_KEY
models:
  assistant:
    title: The house model
    upstreams:
      - {upstream: gpu-a, model: "llama3:8b"}
      - upstream: paid
        model: small-4
        weight: 0.5
        prices:
          - {since: 2026-06-01, prompt: "0.10", completion: "0.40"}
          - {since: 2026-01-01, prompt: "0.15", completion: "0.60"}
    fallbacks: [small]
  small:
    upstreams: [gpu-a]
    services: [billing]
default: assistant
"""


def test_a_good_file_says_everything() -> None:
    found = read_models(GOOD, "models.yml", {"PAID_KEY": "secret"}, 4)
    assert found.upstreams["gpu-a"] == Upstream("gpu-a", Dialect.OLLAMA, "http://10.0.0.5:11434", 8, 2.0)
    assert (found.upstreams["paid"].limit, found.upstreams["paid"].api_key) == (4, "secret")
    assert "secret" not in repr(found)
    model = found.resolve("", "billing")
    assert (model.name, model.fallbacks, model.title) == ("assistant", ("small",), "The house model")
    paid = model.routes[1]
    assert (paid.model, paid.weight) == ("small-4", 0.5)
    assert paid.price_on(date(2025, 12, 31)) is None
    assert [price.prompt for day in (date(2026, 1, 1), date(2026, 7, 1)) if (price := paid.price_on(day))] == [
        Decimal("0.15"),
        Decimal("0.10"),
    ]
    assert found.models["small"].routes[0].model == "small"


def test_an_upstream_may_be_kept_out_of_second_calls() -> None:
    file = GOOD.replace("limit: 8", "limit: 8, second_calls: false")
    upstreams = read_models(file, "models.yml", {"PAID_KEY": "secret"}, 4).upstreams
    assert [(name, each.second_calls) for name, each in upstreams.items()] == [("gpu-a", False), ("paid", True)]


def test_a_model_is_only_for_its_services() -> None:
    found = read_models(GOOD, "models.yml", {"PAID_KEY": "secret"}, 4)
    assert found.resolve("small", "billing").name == "small"
    with pytest.raises(ModelNotAllowed, match="not open to the service hr"):
        found.resolve("small", "hr")
    assert [model.name for model in found.open_to("hr")] == ["assistant"]
    with pytest.raises(UnknownModel) as unknown:
        found.resolve("nope", "hr")
    assert "small" not in unknown.value.remedy


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("kind: ollama", "kind: vllm", "models.yml:2: upstreams.gpu-a.kind: is 'vllm'"),
        ("limit: 8", "limit: 0", "models.yml:2: upstreams.gpu-a.limit: is '0'"),
        ("limit: 8", "second_calls: maybe", "models.yml:2: upstreams.gpu-a.second_calls: is 'maybe'"),
        ("weight: 2}", "weight: -1}", "models.yml:2: upstreams.gpu-a.weight: is '-1'"),
        ("http://10.0.0.5:11434/", "10.0.0.5", "models.yml:2: upstreams.gpu-a.url: is no http"),
        ("key_env: PAID_KEY", "key_env: sk-abc-123", "models.yml:6: upstreams.paid.key_env: is no variable's name"),
        ("key_env: PAID_KEY", "key_env: OTHER", "models.yml:6: upstreams.paid.key_env: the variable OTHER is not set"),
        ("key_env: PAID_KEY", "api_key: x", "models.yml:6: upstreams.paid.api_key: unknown key"),
        ("upstream: paid", "upstream: payed", "models.yml:12: models.assistant.upstreams[1].upstream: 'payed' is no"),
        ('"0.15"', '"-1"', "models.yml:17: models.assistant.upstreams[1].prices[1].prompt: is no amount"),
        ("2026-06-01", "June", "models.yml:16: models.assistant.upstreams[1].prices[0].since: is no date"),
        ("[small]", "[tiny]", "models.yml:18: models.assistant.fallbacks[0]: 'tiny' is no other model"),
        ("[gpu-a]", "[]", "models.yml:20: models.small.upstreams: is empty"),
        ("[billing]", "[Billing!]", "models.yml:21: models.small.services[0]: is no service's name"),
        ("default: assistant", "default: nope", "models.yml:22: default: 'nope' is no model"),
        ("default: assistant", "models: {}", "models.yml:22: models: is there twice"),
        ("models:\n", "modles:\n", "models.yml:7: modles: unknown key"),
        ("upstreams:\n  gpu-a", "upstreams\n  gpu-a", "no YAML"),
    ],
)
def test_errors_name_file_line_and_key(before: str, after: str, told: str) -> None:
    with pytest.raises(InvalidInput) as wrong:
        read_models(GOOD.replace(before, after, 1), "models.yml", {"PAID_KEY": "secret"}, 4)
    assert told in wrong.value.message
    assert "sk-abc-123" not in wrong.value.message


@pytest.mark.parametrize("text", ["", "- a", "3", "models: {}"])
def test_files_without_the_two_parts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_models(text, "models.yml", {}, 4)


def test_without_a_file_what_is_found_is_public() -> None:
    upstreams = upstreams_at(["http://a:1/", "b:2", "http://a:1"], 3)
    assert [(u.name, u.url, u.limit) for u in upstreams] == [("a:1", "http://a:1", 3), ("b:2", "http://b:2", 3)]
    found = discovered(upstreams, {"a:1": ["tiny:latest"], "b:2": ["tiny:latest", "big:7b"]})
    assert [route.upstream for route in found.resolve("tiny", "any").routes] == ["a:1", "b:2"]
    assert found.resolve("", "any").name == "big:7b"
    with pytest.raises(UnknownModel):
        discovered(upstreams, {}).resolve("", "any")
