"""What `make-secrets.sh` makes, keeps, and makes anew; the containers read the files as they are."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "ops/docker/make-secrets.sh"
NAMED = yaml.safe_load((ROOT / "compose.kafka.yml").read_text())["secrets"].values()


class Secrets:
    """The script in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ops/secrets"
        self.folder.mkdir(parents=True)
        (folder / "ops/docker").mkdir()
        self._script = shutil.copy(SCRIPT, folder / "ops/docker")
        self._at_s = 1_000_000_000

    def make(self) -> str:
        """Run it; what it leaves is older than what is put there later. Returns what it says."""
        done = subprocess.run([self._script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for file in self.folder.iterdir():
            os.utime(file, (self._at_s, self._at_s))
        return done.stdout + done.stderr

    def put(self, name: str, content: str) -> None:
        """Put a file in the place of one that was made."""
        (self.folder / name).write_text(content)

    def all(self) -> dict[str, str]:
        """Every file with its content."""
        return {file.name: file.read_text() for file in self.folder.iterdir()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    secrets = Secrets(tmp_path_factory.mktemp("made"))
    secrets.make()
    return secrets


@pytest.fixture
def secrets(made: Secrets, tmp_path: Path) -> Secrets:
    """A folder with what was made before: keys take seconds."""
    own = Secrets(tmp_path)
    for file in made.folder.iterdir():
        shutil.copy2(file, own.folder)
    return own


def test_it_makes_what_compose_reads_and_leaves_it_alone(secrets: Secrets) -> None:
    before = secrets.all()
    assert {Path(secret["file"]).name for secret in NAMED} <= before.keys()
    assert before["redis_url"] == f"redis://:{before['redis_password'].strip()}@redis:6379/0\n"
    assert before["kafka_keystore.pem"] == before["kafka_key.pem"] + before["kafka_cert.pem"]
    secrets.make()
    assert secrets.all() == before


def test_what_is_made_of_a_changed_file_is_made_anew(secrets: Secrets, made: Secrets) -> None:
    secrets.put("redis_password", "another\n")
    secrets.put("kafka_cert.pem", made.all()["proxy_cert.pem"])
    secrets.put("kafka_key.pem", made.all()["proxy_key.pem"])
    secrets.make()
    assert secrets.all()["redis_url"] == "redis://:another@redis:6379/0\n"
    assert secrets.all()["kafka_keystore.pem"] == made.all()["proxy_key.pem"] + made.all()["proxy_cert.pem"]


def test_a_redis_elsewhere_and_a_keystore_of_ones_own_stay(secrets: Secrets) -> None:
    secrets.put("redis_url", "redis://:theirs@cache.example:6379/3\n")
    secrets.make()
    secrets.put("redis_password", "another\n")
    secrets.put("kafka_keystore.pem", "own\n")
    secrets.make()
    assert secrets.all()["redis_url"] == "redis://:theirs@cache.example:6379/3\n"
    assert secrets.all()["kafka_keystore.pem"] == "own\n"


def test_it_tells_when_certificates_end_and_warns_before(secrets: Secrets, tmp_path: Path) -> None:
    told = secrets.make()
    assert len(re.findall(r"^(?:proxy|kafka)_cert\.pem ends on .+ 20\d\d GMT$", told, re.M)) == 2
    assert "WARNING" not in told
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "29", "-subj", "/CN=localhost"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(secrets.folder / "proxy_cert.pem")]
    subprocess.run([*request, *files], check=True, capture_output=True)
    assert "WARNING: proxy_cert.pem" in secrets.make()


def test_the_runbooks_command_tells_the_end_too(secrets: Secrets) -> None:
    (command,) = re.findall(r"`(openssl x509 [^`]+)`", (ROOT / "docs/runbook.md").read_text())
    done = subprocess.run(command.split(), cwd=secrets.folder.parents[1], capture_output=True, text=True)
    (end,) = re.findall(r"^notAfter=(.+)$", done.stdout, re.M)
    assert f"proxy_cert.pem ends on {end}" in secrets.make()
