"""Compose, images, proxy and Kubernetes name only commands, settings, ports, files and secrets that there are."""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cli.stack.services import PROCESS_KINDS
from ingress.__main__ import BREAKING_OFF_S, CLEAN_UP_S
from processors.stt.models import model_folders
from schemas.errors import InvalidInput
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "ops/docker/Dockerfile").read_text()
COMPOSE = {
    name: yaml.safe_load((ROOT / f"compose.{name}.yml").read_text()) for name in ("kafka", "gpu", "cluster", "out")
}
SERVICES: dict[str, dict[str, Any]] = COMPOSE["kafka"]["services"]
ROLES = {kind.name for kind in PROCESS_KINDS}
ONCE = {"topics", "bucket", "owner"}
"""What does its work and ends."""


class Asked(dict[str, str]):
    """An environment that notes what is asked of it."""

    def __init__(self, **given: str) -> None:
        super().__init__(given)
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return super().get(key, default)


def read_variables() -> set[str]:
    """Every GATEWAY_ variable that some code reads."""
    asked = Asked()
    Settings.from_env(asked)
    # A login is asked for only where Kafka wants one.
    users = dict.fromkeys(("GATEWAY_KAFKA_USERNAME", "GATEWAY_KAFKA_ADMIN_USERNAME"), "x")
    secure = Asked(GATEWAY_KAFKA_SECURITY_PROTOCOL="SASL_SSL", GATEWAY_KAFKA_PASSWORD_FILE=__file__, **users)
    Settings.from_env(secure)
    # The command line's own: where the gateway is that it is a client of, and with which key.
    own = "".join(file.read_text() for file in (ROOT / "cli").glob("*.py"))
    return asked.names | secure.names | set(re.findall(r'env\.get\("(GATEWAY_[A-Z_]+)"', own))


def named_variables() -> list[tuple[str, str]]:
    files = [*ROOT.glob("compose.*.yml"), *(ROOT / "ops").rglob("*.yml"), *(ROOT / "ops").rglob("*.sh")]
    files += [ROOT / "ops/docker/Dockerfile", *ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
    # These are for the files themselves: image tags, the host name that a broker tells its clients, limits, an example.
    own = {"GATEWAY_VERSION", "GATEWAY_DOOR_HOST", "GATEWAY_REDIS_MAXMEMORY", "GATEWAY_X", "GATEWAY_X_FILE"}
    own |= {f"GATEWAY_{name}_MEMORY" for name in ("REDIS", "JOB_STATE", "METERING", "OCR", "STT")}
    own |= {"GATEWAY_OCR_CPUS", "GATEWAY_STT_CPUS"}
    own |= {replicas_variable(role) for role in ROLES}
    return [
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in sorted(set(re.findall(r"\bGATEWAY_(?!TEST_)[A-Z_]+[A-Z]\b", file.read_text())) - own)
    ]


def replicas_variable(role: str) -> str:
    """What says in `.env` how many of a role there are."""
    return f"GATEWAY_{role.upper().replace('-', '_')}_REPLICAS"


@pytest.mark.parametrize(("file", "name"), named_variables())
def test_every_variable_is_read_by_the_code(file: str, name: str) -> None:
    assert name in read_variables(), f"{file} sets {name}"


def test_every_setting_can_be_made_in_containers_or_has_no_place_there() -> None:
    """What the pages tell to set has an effect in `.env` only where the compose file passes it on."""
    by_file = {"REDIS_URL", "KAFKA_PASSWORD", "KAFKA_ADMIN_PASSWORD"}
    ours_alone = {"DATA_DIR", "HTTP_HOST", "HTTP_PORT", "METRICS_HOST", "METRICS_PORT", "MODULES_DIR", "INSTANCE"}
    local_stack = {"KAFKA_PORT", "REDIS_PORT", "NOOP"}
    no_login_inside = {"SECURITY_PROTOCOL", "SASL_MECHANISM", "CA_FILE", "USERNAME"}
    no_login_inside |= {"ADMIN_USERNAME", "ADMIN_SASL_MECHANISM"}
    not_in_the_images = {"OCR_ENGINE"} | {f"PADDLE_{w}" for w in ("HOME", "WORKERS", "BATCH_PAGES", "MEMORY_MIB")}
    not_in_the_images |= {"PADDLE_DETECTION_MODEL", "PADDLE_RECOGNITION_MODEL"}
    left_out = by_file | ours_alone | local_stack | not_in_the_images | {f"KAFKA_{w}" for w in no_login_inside}
    passed = {name for service in SERVICES.values() for name in service.get("environment", {})}
    settings = {
        name for name in read_variables() if not name.endswith("_FILE") or name.endswith(("CA_FILE", "MODELS_FILE"))
    }
    missing = {n for n in settings if n not in passed and f"{n}_FILE" not in passed}
    assert missing <= {f"GATEWAY_{name}" for name in left_out}


def test_what_a_broker_is_told_is_read_by_its_script() -> None:
    script = (ROOT / "ops/kafka/start-container.sh").read_text()
    services = [*SERVICES.values(), *COMPOSE["cluster"]["services"].values()]
    told = {name for s in services for name in s.get("environment", {}) if name.startswith("CLUSTER_")}
    assert told
    assert [name for name in told if f"${{{name}:-" not in script] == []


def test_a_variable_that_nobody_reads_is_found() -> None:
    assert "GATEWAY_NOBODY" not in read_variables()
    assert {"GATEWAY_REDIS_URL", "GATEWAY_REDIS_URL_FILE"} <= read_variables()


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:hidden@redis/0\n")
    settings = Settings.from_env({"GATEWAY_REDIS_URL_FILE": str(tmp_path / "url")})
    assert settings.redis_url == "redis://:hidden@redis/0"
    with pytest.raises(InvalidInput, match="GATEWAY_REDIS_URL_FILE"):
        Settings.from_env({"GATEWAY_REDIS_URL_FILE": str(tmp_path / "none")})
    (tmp_path / "keys").write_text("# paid\nPAID_KEY=sk-1=\n\nOTHER = sk-2\n")
    settings = Settings.from_env({"GATEWAY_UPSTREAM_KEYS_FILE": str(tmp_path / "keys")})
    assert settings.upstream_keys == {"PAID_KEY": "sk-1=", "OTHER": "sk-2"}
    assert "sk-" not in repr(settings)
    with pytest.raises(InvalidInput, match="GATEWAY_UPSTREAM_KEYS") as caught:
        Settings.from_env({"GATEWAY_UPSTREAM_KEYS": "sk-3"})
    assert "sk-3" not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_has_its_image_its_service_and_its_scrape_job(role: str) -> None:
    assert re.search(rf"^FROM \w+ AS {role}$", DOCKERFILE, re.M)
    assert SERVICES[role]["build"]["target"] == role
    jobs = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert [job["dns_sd_configs"][0]["names"] for job in jobs if job["job_name"] == role] == [[role]]


def test_images_run_modules_that_exist_and_are_the_supervisors() -> None:
    modules = dict(re.findall(r'AS ([a-z-]+)\n(?:(?!FROM).*\n)*?CMD \["python", "-m", "([\w.]+)"\]', DOCKERFILE))
    assert modules == {kind.name: kind.module for kind in PROCESS_KINDS} | {"stt-gpu": "processors.stt"}
    assert all(find_spec(f"{module}.__main__") for module in modules.values())


def test_the_dockerfile_copies_what_the_context_has_and_pins_what_it_builds_on() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == i[1:] or source.startswith(f"{i[1:]}/") for i in ignored if i[0] == "!"), source
    stages = set(re.findall(r" AS ([\w-]+)", DOCKERFILE))
    for image in re.findall(r"^FROM (\S+)", DOCKERFILE, re.M):
        assert image in stages or image.startswith("${"), image
    assert all(re.search(r"(^|:)\d+\.\d+\.\d+", image) for image in re.findall(r"^ARG \w+=(.+)$", DOCKERFILE, re.M))


def test_extras_are_declared() -> None:
    declared = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[0], re.M)
    assert set(re.findall(r"--extra (\w+)", DOCKERFILE)) <= set(declared)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_services_are_bounded_unprivileged_and_pinned(name: str) -> None:
    service = SERVICES[name]
    assert "latest" not in service["image"]
    assert ":" in service["image"]
    if name in ONCE:
        return
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    if name != "tools":  # run by hand, and gone after each command
        assert service["restart"] == "unless-stopped"
        assert name in ROLES or "healthcheck" in service
    assert service["read_only"] is True
    assert not service["user"].startswith(("0", "root"))


@pytest.mark.parametrize(("name", "folder"), [("ollama", "/var/lib/ollama/.ollama"), ("minio", "/data")])
def test_images_that_know_root_alone_run_as_somebody_who_owns_their_volume(name: str, folder: str) -> None:
    service, owner = SERVICES[name], SERVICES["owner"]
    assert f"{name}:{folder}" in service["volumes"]
    assert f"{name}:/owned/{name}" in owner["volumes"]
    assert service["depends_on"]["owner"] == {"condition": "service_completed_successfully"}
    assert service["user"].partition(":")[0] in owner["command"][-1]
    # Of what root may, it may give files away, and it reaches nobody.
    assert (owner["cap_drop"], owner["network_mode"]) == (["ALL"], "none")
    assert set(owner["cap_add"]) == {"CHOWN", "DAC_READ_SEARCH"}
    # Where the home folder has to be written to, it can be.
    home = service["environment"]["HOME"]
    assert folder == f"{home}/.ollama" or home in [t.partition(":")[0] for t in service["tmpfs"]]


def test_a_volume_is_given_once_and_what_was_broken_off_again(tmp_path: Path) -> None:
    """The command itself, with a `chown` and a `stat` that only tell what they were asked."""
    (tmp_path / "bin").mkdir()
    for tool, says in (("chown", 'echo "$@" >>"$TOLD"'), ("stat", 'cat "${@: -1}/uid"')):
        (tmp_path / "bin" / tool).write_text(f"#!/bin/bash\n{says}\n")
        (tmp_path / "bin" / tool).chmod(0o755)
    for volume, uid in (("new", 0), ("given", 10001)):
        (tmp_path / "owned" / volume).mkdir(parents=True)
        (tmp_path / "owned" / volume / "uid").write_text(str(uid))
    command = SERVICES["owner"]["command"][-1].replace("$$", "$").replace("/owned", f"{tmp_path}/owned")
    env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "TOLD": str(tmp_path / "told")}
    assert subprocess.run(["sh", "-c", command], env=env).returncode == 0
    assert (tmp_path / "told").read_text() == f"-R 10001:10001 {tmp_path}/owned/new\n"


def test_uploads_wait_on_a_disk_and_not_in_the_proxys_memory() -> None:
    """What is in a tmpfs counts as the container's memory, and one recording is larger than all of that."""
    (folder,) = re.findall(r"client_body_temp_path (/.+)/body;", (ROOT / "ops/proxy/nginx.conf").read_text())
    proxy = SERVICES["proxy"]
    assert folder in [
        volume.split(":")[1] for volume in proxy["volumes"] if volume.split(":")[0] in COMPOSE["kafka"]["volumes"]
    ]
    assert [t for t in proxy["tmpfs"] if t.split(":")[0] == folder] == []


def test_the_command_line_in_containers_has_what_the_processes_have() -> None:
    """Its commands read the log, Redis and the blobs, and ask ingress; a look at what runs starts nothing."""
    tools, other = SERVICES["tools"], SERVICES["job-state"]
    for what in ("volumes", "secrets", "networks", "user"):
        assert tools[what] == other[what], what
    assert other["environment"].items() <= tools["environment"].items()
    url = urlsplit(tools["environment"]["GATEWAY_URL"])
    assert (url.hostname, url.port) == ("ingress", Settings.from_env({}).http_port)
    assert tools["profiles"] == ["tools"], "`up` leaves it alone"
    assert not tools["depends_on"]


def test_only_the_three_doors_are_open() -> None:
    assert {name: s["ports"] for name, s in SERVICES.items() if "ports" in s} == {
        "kafka": ["9094:9094"],
        "proxy": ["8443:8443"],
        "grafana": ["3000:3000"],
    }


def test_models_come_in_and_model_servers_elsewhere_are_reached() -> None:
    """What opens other people's documents has no way out, unless the overlay for it is chosen."""
    networks = COMPOSE["kafka"]["networks"]
    assert networks["inside"]["internal"] is True
    ways_out = {name for name, net in networks.items() if not (net or {}).get("internal")} - {"door"}
    assert ways_out == {"out"}
    assert {name for name, s in SERVICES.items() if "out" in s.get("networks", ())} == {"ingress", "llm", "ollama"}
    overlay = COMPOSE["out"]["services"]
    assert overlay.keys() == ROLES - {"ingress", "llm"}
    assert all("out" in service["networks"] for service in overlay.values())
    for role in ROLES:
        assert "./ops/models:/models:ro" in SERVICES[role]["volumes"], role
        assert SERVICES[role]["environment"]["GATEWAY_MODELS_FILE"].startswith("/models/"), role
    # Where a speech model that is named, and not told by its folder, is looked for.
    stt = SERVICES["stt"]["environment"]
    assert Path("/models") in model_folders(Path("/var/lib/gateway"), stt)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_how_many_there_are_can_be_kept_in_a_file(role: str) -> None:
    """`up` without `--scale` makes it this many again."""
    default = 2 if role == "ingress" else 1
    assert SERVICES[role]["deploy"]["replicas"] == f"${{{replicas_variable(role)}:-{default}}}"


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_can_use_s3_with_a_secret_from_a_file(role: str) -> None:
    service = SERVICES[role]
    assert service["environment"]["GATEWAY_S3_SECRET_KEY_FILE"] == "/run/secrets/s3_secret_key"
    named = {v for k, v in service["environment"].items() if k.endswith("_FILE") and v.startswith("/run/secrets/")}
    assert named == {f"/run/secrets/{name}" for name in service["secrets"]}


@pytest.mark.parametrize("name", sorted(ONCE))
def test_what_ends_is_waited_for(name: str) -> None:
    """To `up --wait` the end of what nobody waits for is a failure: one of the processes does, which run anyway."""
    assert any(name in SERVICES[role].get("depends_on", {}) for role in ROLES)
    waiting = [s["depends_on"][name] for s in SERVICES.values() if name in s.get("depends_on", {})]
    assert {wanted["condition"] for wanted in waiting} == {"service_completed_successfully"}
    # Where the profile of what ends is not chosen, the others begin without it.
    assert all(wanted.get("required", True) is ("profiles" not in SERVICES[name]) for wanted in waiting)


def test_nothing_that_scales_has_a_name_or_a_port_of_its_own() -> None:
    assert [name for name in ROLES if {"ports", "container_name", "hostname"} & SERVICES[name].keys()] == []


def test_what_is_mounted_and_named_exists() -> None:
    made = (ROOT / "ops/docker/make-secrets.sh").read_text()
    compose = COMPOSE["kafka"]
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert set(service.get("networks", ())) <= set(compose["networks"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"], volume
        waits = service.get("depends_on", {})
        assert set(waits) <= set(SERVICES)
    for name, secret in compose["secrets"].items():
        assert Path(secret["file"]).stem.rsplit("_", 1)[0] in made, name


def test_speech_on_a_gpu_has_the_image_with_cudas_libraries() -> None:
    """The runtime of the host brings the driver alone, and speech that sees a GPU uses it."""
    speech = COMPOSE["gpu"]["services"]["stt"]
    target = speech["build"]["target"]
    (stage,) = re.findall(rf"^FROM root AS {target}\n((?:(?!FROM).*\n)*)", DOCKERFILE, re.M)
    (packages,) = re.findall(r"COPY --from=(packages\S+) ", stage)
    assert re.search(rf"^FROM \S+ AS {packages}\nRUN uv sync .* --extra cuda ", DOCKERFILE, re.M)
    assert re.search(r"^ENV LD_LIBRARY_PATH=.*/nvidia/cublas/lib$", stage, re.M)
    assert "device" not in SERVICES["stt"].get("deploy", {}).get("resources", {}).get("reservations", {})
    assert SERVICES["stt"]["build"]["target"] == "stt"


def test_overlays_change_only_services_that_exist_or_are_brokers() -> None:
    for overlay in COMPOSE.keys() - {"kafka"}:
        for name in COMPOSE[overlay]["services"]:
            assert name in SERVICES or re.fullmatch(r"kafka-\d", name)


def test_in_a_cluster_everything_finds_any_broker() -> None:
    cluster = COMPOSE["cluster"]["services"]
    brokers = sorted({"kafka"} | {name for name in cluster if re.fullmatch(r"kafka-\d", name)})
    assert len(brokers) == 3
    for name in {*ROLES, "topics", "tools"}:
        assert cluster[name]["environment"]["GATEWAY_KAFKA_BOOTSTRAP"] == ",".join(f"{b}:9092" for b in brokers), name
    voters = {cluster[b]["environment"]["CLUSTER_VOTERS"] for b in brokers}
    assert voters == {",".join(f"{n}@{b}:9093" for n, b in enumerate(brokers, 1))}
    # Services find each broker at a port of its own.
    assert [cluster[b]["environment"].get("CLUSTER_PORT") for b in brokers[1:]] == ["9095", "9096"]
    assert [cluster[b]["ports"] for b in brokers[1:]] == [["9095:9094"], ["9096:9094"]]


def test_stopping_takes_no_longer_than_it_is_given() -> None:
    ingress = SERVICES["ingress"]
    longest_s = int(ingress["environment"]["GATEWAY_DRAIN_SECONDS"]) + BREAKING_OFF_S + CLEAN_UP_S
    assert int(ingress["stop_grace_period"].rstrip("s")) > longest_s
    deployment = next(yaml.safe_load_all((ROOT / "ops" / "kubernetes" / "ingress.yml").read_text()))
    pod = deployment["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > longest_s


@pytest.mark.parametrize("script", ["ops/docker/make-secrets.sh", "ops/docker/roll.sh", "ops/kafka/start-container.sh"])
def test_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0


def test_the_listeners_that_are_looked_at_are_there() -> None:
    """Where ingress looks for certificates: ports that are published, at services of the compose files."""
    for name in ("kafka", "cluster"):
        services = {**SERVICES, **COMPOSE[name]["services"]}
        given = COMPOSE[name]["services"]["ingress"]["environment"]["GATEWAY_TLS_LISTENERS"]
        listeners = re.sub(r"^\$\{\w+-(.+)\}$", r"\1", given).split(",")
        doors = {s for s in services if s == "proxy" or re.fullmatch(r"kafka(-\d)?", s)}
        assert {listener.partition(":")[0] for listener in listeners} == doors
        for listener in listeners:
            host, _, port = listener.partition(":")
            published = services[host].get("ports") or SERVICES[host]["ports"]
            assert [p.partition(":")[2] for p in published] == [port], listener


@pytest.mark.parametrize("role", sorted(ROLES - {"ocr"}))
def test_only_ocr_needs_what_opens_pages(role: str) -> None:
    """The other images leave these packages out."""
    left_out = {"opencv-python-headless": "cv2", "pillow-heif": "pillow_heif", "pypdfium2": "pypdfium2"}
    (named,) = re.findall(r'NO_PAGES="(.*)"', DOCKERFILE)
    assert named.split() == [word for package in left_out for word in ("--no-install-package", package)]
    (module,) = [kind.module for kind in PROCESS_KINDS if kind.name == role]
    # What is None here cannot be imported.
    program = f"import sys; sys.modules.update(dict.fromkeys({list(left_out.values())})); import {module}.__main__"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, {"state": "ready"}), 0),
        ((503, {"state": "unavailable", "reason": "no model"}), 0),
        ((503, {"state": "starting"}), 1),
        (None, 1),
    ],
)
def test_a_container_is_healthy_when_its_process_serves_or_says_why_not(
    answer: tuple[int, dict[str, str]] | None, code: int
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _answering(answer)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        check = [sys.executable, "-I", "-S", ROOT / "ops/docker/ready.py"]
        done = subprocess.run(check, env={"GATEWAY_METRICS_PORT": str(server.server_port)})
        server.shutdown()
        thread.join()
    assert done.returncode == code


def _answering(answer: tuple[int, dict[str, str]] | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's own name
            if answer is None or self.path != "/readyz":
                return
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(json.dumps(answer[1]).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
