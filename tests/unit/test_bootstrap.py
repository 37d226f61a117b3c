"""The login to Kafka: read once from the environment, told to each library, shown to nobody."""

import ast
import ssl
from pathlib import Path

import pytest

from schemas.access import ADMIN, BROKER, GATEWAY, door_grants, door_user
from schemas.errors import InvalidInput
from streams.api_keys import check_service
from streams.log.bootstrap import Bootstrap, Login, client_options, faust_options, librdkafka_options
from streams.settings import Settings
from tests.services import ROOT

SECURE = {
    "GATEWAY_KAFKA_BOOTSTRAP": "kafka:9094",
    "GATEWAY_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "GATEWAY_KAFKA_USERNAME": "somebody",
    "GATEWAY_KAFKA_PASSWORD": "secret-word",
}


def test_a_plain_address_has_no_login() -> None:
    settings = Settings.from_env({"GATEWAY_KAFKA_BOOTSTRAP": "kafka:9092"})
    assert settings.kafka_bootstrap == settings.kafka_admin == "kafka:9092"
    assert client_options(settings.kafka_bootstrap) == client_options("kafka:9092")
    assert librdkafka_options("kafka:9092") == {"bootstrap.servers": "kafka:9092"}


def test_each_library_is_told_the_login() -> None:
    address = Settings.from_env(SECURE).kafka_bootstrap
    told = client_options(address)
    assert (told["sasl_mechanism"], told["sasl_plain_username"]) == ("SCRAM-SHA-512", "somebody")
    assert told["sasl_plain_password"] == librdkafka_options(address)["sasl.password"] == "secret-word"
    credentials = faust_options(address)["broker_credentials"]
    assert (credentials.username, credentials.password) == ("somebody", "secret-word")
    assert credentials.protocol.value == "SASL_PLAINTEXT"
    assert "secret-word" not in repr(address.login)


def test_with_tls_the_brokers_certificates_are_checked_by_the_given_authority(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    env = {**SECURE, "GATEWAY_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "GATEWAY_KAFKA_CA_FILE": str(authority)}
    settings = Settings.from_env(env)
    assert librdkafka_options(settings.kafka_bootstrap)["ssl.ca.location"] == str(authority)
    with pytest.raises(ssl.SSLError):  # it is read, and holds nothing
        client_options(settings.kafka_bootstrap)
    context = client_options(Bootstrap("kafka:9094", Login("SASL_SSL", username="x", password="y")))["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_administrator_is_another_principal_only_where_one_is_named(tmp_path: Path) -> None:
    settings = Settings.from_env(SECURE)
    assert settings.kafka_admin.login == settings.kafka_bootstrap.login
    file = tmp_path / "password"
    file.write_text("other-word\n")
    env = {
        **SECURE,
        "GATEWAY_KAFKA_ADMIN_USERNAME": "keeper",
        "GATEWAY_KAFKA_ADMIN_PASSWORD_FILE": str(file),
        "GATEWAY_KAFKA_ADMIN_SASL_MECHANISM": "PLAIN",
    }
    login = Settings.from_env(env).kafka_admin.login
    assert login == Login("SASL_PLAINTEXT", "PLAIN", "keeper", "other-word")


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"GATEWAY_KAFKA_SECURITY_PROTOCOL": "TLS"}, "GATEWAY_KAFKA_SECURITY_PROTOCOL"),
        ({**SECURE, "GATEWAY_KAFKA_SASL_MECHANISM": "MD5"}, "GATEWAY_KAFKA_SASL_MECHANISM"),
        ({**SECURE, "GATEWAY_KAFKA_PASSWORD": ""}, "GATEWAY_KAFKA_SECURITY_PROTOCOL"),
        ({**SECURE, "GATEWAY_KAFKA_CA_FILE": "/nowhere/ca.pem"}, "GATEWAY_KAFKA_CA_FILE"),
    ],
)
def test_what_cannot_be_used_is_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        Settings.from_env(env)


def test_no_client_is_made_without_the_login() -> None:
    """Whoever names `bootstrap_servers` himself is shut out by a broker that asks for a login."""
    found: list[str] = []
    for folder in ("streams", "processors", "ingress", "cli"):
        for file in (ROOT / folder).rglob("*.py"):
            calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
            found += [f"{file.name}" for call in calls if any(k.arg == "bootstrap_servers" for k in call.keywords)]
    assert found == []


def test_no_service_can_have_the_name_of_another_principal() -> None:
    for principal in (ADMIN, BROKER, GATEWAY, door_user("mail")):
        with pytest.raises(InvalidInput):
            check_service(principal)


def test_a_door_gives_its_service_nothing_of_anybody_elses() -> None:
    grants = door_grants("mail", is_open=True)
    assert {grant.name for grant in grants if grant.resource == "topic"} == {
        "batch.mail",
        "batch.mail.results",
        "batch.mail.rejected",
        "schemas",
    }
    assert [grant.name for grant in grants if "WRITE" in grant.operations] == ["batch.mail"]
    assert [grant.name for grant in grants if grant.prefixed] == ["batch.mail."]
    assert all("WRITE" not in grant.operations for grant in door_grants("mail", is_open=False))
