"""`ops/docker/roll.sh` over a `docker` of the test's own, which keeps containers as files and notes each stop."""

import os
import subprocess
from pathlib import Path

import pytest

from cli.stack.services import PROCESS_KINDS

ROOT = Path(__file__).resolve().parents[2]
# A container is a file, `role/role.old.1`, that holds its health.
DOCKER = r"""#!/usr/bin/env bash
cd "$HERE/roles"
last=${*: -1}
role=${last%%.*}
case "$1 $2" in
  "compose ps") ls "$role" ;;
  "compose up")
    wanted=$(printf '%s\n' "$@" | sed -n "s/^$role=//p")
    while (($(ls "$role" | wc -l) < wanted)); do echo "$BECOMES" >"$role/$role.new.$RANDOM"; done ;;
  inspect*) cat "$role/$last" ;;
  stop*) echo "stop $role, left $(($(grep -lx healthy "$role"/* | wc -l) - 1))" >>"$HERE/asked" ;;
  rm*) rm "$role/$last" ;;
esac
"""


class Engine:
    """Roles with containers that are healthy, and a `docker` before all others on the path."""

    def __init__(self, folder: Path, roles: dict[str, int]) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/docker").write_text(DOCKER)
        (folder / "bin/docker").chmod(0o755)
        for role, count in roles.items():
            (folder / "roles" / role).mkdir(parents=True)
            for number in range(count):
                (folder / "roles" / role / f"{role}.old.{number}").write_text("healthy\n")

    def roll(self, *roles: str, becomes: str = "healthy") -> subprocess.CompletedProcess[str]:
        """Run the script; new containers have this health."""
        env = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HERE": str(self.folder),
            "BECOMES": becomes,
            "ROLL_PATIENCE": "0",
        }
        return subprocess.run([ROOT / "ops/docker/roll.sh", *roles], env=env, capture_output=True, text=True)

    def containers(self, role: str) -> list[str]:
        """What a role has now, old ones by name."""
        return sorted(file.name.split(".")[1] for file in (self.folder / "roles" / role).iterdir())

    @property
    def asked(self) -> list[str]:
        """The stops, in order, with how many healthy ones each leaves."""
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path, {kind.name: 2 for kind in PROCESS_KINDS})


def test_one_serves_while_the_other_is_renewed(engine: Engine) -> None:
    done = engine.roll("ingress")
    assert done.returncode == 0, done.stderr
    assert engine.containers("ingress") == ["new", "new"]
    assert engine.asked == ["stop ingress, left 1"] * 2
    assert engine.containers("ocr") == ["old", "old"]


def test_without_a_name_every_role_has_its_turn_readers_before_writers(engine: Engine) -> None:
    assert engine.roll().returncode == 0
    turns = list(dict.fromkeys(line.split(",")[0].removeprefix("stop ") for line in engine.asked))
    assert set(turns) == {kind.name for kind in PROCESS_KINDS}
    assert turns[:2] == ["job-state", "metering"]
    assert turns[-1] == "ingress"


def test_a_new_one_that_is_not_healthy_ends_it_and_leaves_the_others(engine: Engine) -> None:
    done = engine.roll("ingress", "ocr", becomes="unhealthy")
    assert done.returncode == 1
    assert "ingress is not healthy" in done.stderr
    assert engine.containers("ingress") == ["new", "old"]
    assert engine.containers("ocr") == ["old", "old"]
