"""Where the stack of one data directory keeps its files."""

from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class StackPaths:
    """The files of one stack; two data directories are two stacks."""

    data_dir: Path

    @property
    def own(self) -> Path:
        """The supervisor's own folder."""
        return self.data_dir / "stack"

    @property
    def lock(self) -> Path:
        """Locked by the supervisor for as long as it lives; holds its pid."""
        return self.own / "supervisor.lock"

    @property
    def state(self) -> Path:
        """What runs, as the supervisor last saw it."""
        return self.own / "state.json"

    @property
    def plan(self) -> Path:
        """What should run: written by `up`, read by the supervisor."""
        return self.own / "plan.json"

    @property
    def ports(self) -> Path:
        """Ports that were chosen once and are kept."""
        return self.own / "ports.json"

    @property
    def kafka_properties(self) -> Path:
        """The broker's configuration, written anew at each start."""
        return self.own / "kafka.properties"

    @property
    def kafka_data(self) -> Path:
        """The broker's log directory."""
        return self.data_dir / "kafka"

    @property
    def kafka_secrets(self) -> Path:
        """The passwords of the gateway's own principals on a broker that asks for logins: one file each."""
        return self.data_dir / "kafka-secrets"

    @property
    def local_key(self) -> Path:
        """The local stack's own API key."""
        return self.data_dir / "local.key"

    @property
    def local_key_cluster(self) -> Path:
        """The id of the cluster that knows the local key."""
        return self.own / "local-key.cluster"

    @property
    def prometheus(self) -> Path:
        """A Prometheus configuration that follows this stack."""
        return self.data_dir / "prometheus"

    @property
    def logs(self) -> Path:
        """One log file a service."""
        return self.data_dir / "logs"

    def log(self, name: str) -> Path:
        """Return the log file of service `name`."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.own, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
