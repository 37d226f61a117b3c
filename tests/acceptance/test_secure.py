"""A stack with `--secure`: what a service's Kafka user may, and everything that it may not, on the real broker."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bench.stack import ROOT, BenchStack, bench_stack
from cli.batch_doors import renew_grants
from cli.environment import read_environment
from cli.stack.logins import without_admin
from schemas.access import ADMIN, BROKER, GATEWAY, door_grants
from schemas.batch import BatchAnswer, BatchRequest
from schemas.errors import Permanent
from schemas.payloads import text_payload
from schemas.topics import SCHEMAS, all_topics
from streams.client import Bootstrap, DoorClient, Login
from streams.log.access import Access
from streams.settings import Settings
from tests.batch_door_probes import Service, login_error, reading, writing, written

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240), pytest.mark.full]

_MECHANISM = "SCRAM-SHA-512"


def gateway(stack: BenchStack, *arguments: str) -> str:
    """Run a command and return what it prints."""
    return subprocess.run(
        [ROOT / "gateway", *arguments], env=stack.env, stdout=subprocess.PIPE, check=True, text=True
    ).stdout


def signed_in(stack: BenchStack, name: str, printed: str) -> Service:
    """Return the service with the login that a command printed."""
    login = orjson.loads(printed)["kafka"]
    assert (login["username"], login["mechanism"]) == (f"batch.{name}", _MECHANISM)
    return Service(
        name, Bootstrap(stack.bootstrap, Login("SASL_PLAINTEXT", _MECHANISM, login["username"], login["password"]))
    )


@pytest.fixture(scope="module")
def secure_stack() -> Iterator[BenchStack]:
    """A local stack whose broker asks for logins."""
    with bench_stack("--secure") as running:
        yield running


@pytest.fixture(scope="module")
def mail(secure_stack: BenchStack) -> Service:
    """The service that others try to get at."""
    return signed_in(secure_stack, "mail", gateway(secure_stack, "services", "create", "mail", "--batch"))


@pytest.fixture(scope="module")
def mail_2(secure_stack: BenchStack, mail: Service) -> Service:
    """Another service, whose name begins with the first one's."""
    return signed_in(secure_stack, "mail-2", gateway(secure_stack, "services", "create", "mail-2", "--batch"))


async def test_a_service_has_its_answers_through_the_whole_secured_stack(mail: Service) -> None:
    async with DoorClient(mail.address, mail.name) as client:
        asked = [BatchRequest(f"r{n}", "noop", text=f"text {n}") for n in range(20)]
        replies = [reply.told async for reply in client.ask(asked)]
        standing = await client.standing()
    assert standing.cluster
    assert sum(len(kept) for kept in standing.kept.values()) == 20
    assert all(isinstance(told, BatchAnswer) for told in replies)
    assert {told.request_id: told.result for told in replies if isinstance(told, BatchAnswer)} == {
        f"r{n}": text_payload(f"text {n}") for n in range(20)
    }
    assert reading(mail, "batch.mail.results", group="batch.mail.readers") == 0
    assert reading(mail, "batch.mail.rejected", group="batch.mail.readers") == 0


def test_a_service_writes_to_no_topic_but_its_door(mail: Service, mail_2: Service) -> None:
    """Not to another's door, not to its own answers, not to a single topic of the gateway's."""
    names = ["batch.mail", "batch.mail.results", "batch.mail-2.results", "batch.mail-2.rejected", "__consumer_offsets"]
    names += [topic.name for topic in all_topics()]
    outcomes = writing(mail_2, [*names, "batch.mail-2"])
    assert outcomes.pop("batch.mail-2") == 0
    assert set(outcomes.values()) == {KafkaError.TOPIC_AUTHORIZATION_FAILED}
    assert set(outcomes) == set(names)


@pytest.mark.parametrize("topic", ["batch.mail", "batch.mail.results", "batch.mail.rejected", "batch.mail-2"])
def test_a_service_reads_nothing_but_its_answers(mail_2: Service, mail: Service, topic: str) -> None:
    assert reading(mail_2, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "topic",
    ["results", "api.keys", "usage.events", "admission.entries", "chat.requests", "ocr.done", "ocr.requests.dlt"],
)
def test_a_service_reads_none_of_the_gateways_topics(mail_2: Service, topic: str) -> None:
    assert reading(mail_2, topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_service_reads_the_schemas_of_its_records(mail_2: Service) -> None:
    assert reading(mail_2, "schemas") == 0


async def test_doors_of_an_earlier_version_get_what_this_one_grants_and_keep_their_passwords(
    secure_stack: BenchStack, mail_2: Service
) -> None:
    """By the command that follows an upgrade anyway, for all services; `up` does the same."""
    admin = Access(Settings.from_env(read_environment(secure_stack.env)).kafka_admin)
    grants = door_grants("mail-2", is_open=True)
    await admin.grant("batch.mail-2", [each for each in grants if each.name != SCHEMAS.name])
    assert reading(mail_2, SCHEMAS.name) == KafkaError.TOPIC_AUTHORIZATION_FAILED

    def told() -> str:
        return subprocess.run(
            [ROOT / "gateway", "topics"], env=secure_stack.env, capture_output=True, check=True, text=True
        ).stderr

    assert "access lists of mail-2" in told()
    assert reading(mail_2, SCHEMAS.name) == 0
    assert writing(mail_2, ["batch.mail-2", "batch.mail"]) == {
        "batch.mail-2": 0,
        "batch.mail": KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
    assert "access lists" not in told(), "nothing to do the second time"
    settings = Settings.from_env(read_environment(without_admin(read_environment(secure_stack.env))))
    with pytest.raises(Permanent) as caught:
        await renew_grants(settings)
    assert caught.value.code == "kafka_admin_needed"


@pytest.mark.parametrize("group", ["batch.mail.readers", "admission", "job-state", "mail-2", "batch.mail-2"])
def test_a_service_joins_only_groups_that_begin_with_its_doors_name(mail_2: Service, group: str) -> None:
    assert reading(mail_2, "batch.mail-2.results", group=group) == KafkaError.GROUP_AUTHORIZATION_FAILED


async def test_a_service_makes_no_topics_and_no_users(mail: Service) -> None:
    client = AdminClient(mail.options)
    made = client.create_topics([NewTopic("mine", 1, 1)])["mine"]
    with pytest.raises(KafkaException) as refused:
        made.result(timeout=20)
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(Permanent) as caught:
        await Access(mail.address).set_password("batch.mail", "another", _MECHANISM)
    assert caught.value.code == "kafka_admin_needed"
    # Kafka shows the topics that one may describe, and whoever may read one may describe it: so no other is readable.
    seen = client.list_topics(timeout=20).topics
    assert set(seen) == {"batch.mail", "batch.mail.results", "batch.mail.rejected", "schemas"}


async def test_the_gateways_processes_may_not_make_users(secure_stack: BenchStack) -> None:
    settings = Settings.from_env(read_environment(secure_stack.env))
    with pytest.raises(Permanent) as caught:
        await Access(settings.kafka_bootstrap).set_password("batch.mail", "another", _MECHANISM)
    assert caught.value.code == "kafka_admin_needed"


async def test_nobody_comes_in_without_a_password(secure_stack: BenchStack, mail: Service) -> None:
    anonymous = AIOKafkaConsumer(bootstrap_servers=secure_stack.bootstrap, request_timeout_ms=3_000)
    with pytest.raises(AiokafkaError):
        await anonymous.start()
    await anonymous.stop()
    assert mail.address.login is not None
    guessed = Bootstrap(mail.address, Login("SASL_PLAINTEXT", _MECHANISM, mail.address.login.username, "guessed"))
    assert login_error(guessed) == KafkaError._AUTHENTICATION
    # The controller's listener is no way round.
    properties = (secure_stack.data_dir / "stack" / "kafka.properties").read_text()
    found = re.search(r"CONTROLLER://(127\.0\.0\.1:\d+)", properties)
    assert found is not None
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": found[1], "log_level": 0}).list_topics(timeout=3)


def test_secrets_are_the_owners_files_and_only_the_command_line_holds_the_administrators(
    secure_stack: BenchStack,
) -> None:
    folder = secure_stack.data_dir / "kafka-secrets"
    files = [folder / name for name in (ADMIN, BROKER, GATEWAY)] + [secure_stack.data_dir / "stack/kafka.properties"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    environment = Path(f"/proc/{secure_stack.pid('ingress')}/environ").read_text()
    assert GATEWAY in environment
    assert ADMIN not in environment


@pytest.mark.parametrize("language", ["java", "python"])
def test_a_program_that_this_project_did_not_write_gets_its_answers(
    mail: Service, tmp_path: Path, language: str
) -> None:
    """The programs of the documentation, with Kafka's own Java client and Confluent's for Python."""
    login = mail.address.login
    assert login is not None
    page = (ROOT / f"docs/howto/produce-from-{language}.md").read_text()
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    if language == "java":
        (program,) = blocks
        (tmp_path / "GatewayBatch.java").write_text(program)
        properties = re.search(r"```properties\n(.*?)```", page, re.DOTALL)
        assert properties is not None
        text = properties[1].replace("127.0.0.1:19092", str(mail.address)).replace("…", login.password)
        (tmp_path / "client.properties").write_text(text)
        libraries = f"{ROOT}/ops/kafka/libs"
        version = re.search(r"<version>(.*?)</version>", page)
        assert version is not None
        assert Path(libraries, f"kafka-clients-{version[1]}.jar").exists(), "the page names the version that is tested"
        command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{libraries}/*", "GatewayBatch.java"]
        command += ["client.properties", "mail", "noop", "hello", "good morning"]
        wanted = {"\tdone\thello", "\tdone\tgood morning"}
        where = tmp_path
    else:
        (program,) = [block for block in blocks if "from confluent_kafka import Consumer" in block]
        (tmp_path / "program.py").write_text(program)
        command = [sys.executable, str(tmp_path / "program.py"), mail.address, "mail", login.password, "hello", "again"]
        wanted = {"text-0 done", "text-1 done"}
        where = ROOT
    out = subprocess.run(command, cwd=where, env=os.environ, stdout=subprocess.PIPE, check=True, text=True, timeout=120)
    lines = out.stdout.splitlines()
    assert {line[line.index("\t") :] if "\t" in line else line for line in lines} == wanted


def test_a_changed_password_and_a_deleted_service_shut_out(secure_stack: BenchStack, mail_2: Service) -> None:
    """What is connected already may nothing from the moment of the deletion."""
    changed = signed_in(secure_stack, "mail-2", gateway(secure_stack, "services", "batch-password", "mail-2"))
    assert login_error(mail_2.address) == KafkaError._AUTHENTICATION
    producer = Producer({**changed.options, "log_level": 0})
    assert written(producer, "batch.mail-2") == 0
    gateway(secure_stack, "services", "set", "mail-2", "--no-batch")
    assert written(producer, "batch.mail-2") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert reading(changed, "batch.mail-2.results", group="batch.mail-2.readers") == 0
    gateway(secure_stack, "services", "delete", "mail-2")
    assert login_error(changed.address) == KafkaError._AUTHENTICATION
