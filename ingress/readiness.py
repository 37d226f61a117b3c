"""Whether ingress serves, and what each of its dependencies does."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from ingress.dependencies import Dependencies
from schemas.errors import Outage
from streams.metrics_server import Health
from streams.tables.job_reader import Unknown

_EVERY_S = 0.5
_PROBE_SERVICE = "gateway-probe"
_PROBE_SHA256 = "0" * 64


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. Without a `required` one nothing can be submitted."""

    ok: bool
    required: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of all dependencies by name."""

    checks: dict[str, Check]

    @property
    def serves(self) -> bool:
        """Whether jobs can be submitted."""
        return all(check.ok for check in self.checks.values() if check.required)

    @property
    def reason(self) -> str:
        """What is missing, for people."""
        return "; ".join(f"{name}: {check.reason}" for name, check in self.checks.items() if not check.ok)

    def document(self) -> dict[str, Any]:
        """Return the answer of `/readyz`."""
        whole = all(check.ok for check in self.checks.values())
        return {
            "status": "ready" if whole else "degraded" if self.serves else "unavailable",
            "dependencies": {name: asdict(check) for name, check in self.checks.items()},
        }


def essential_checks(dependencies: Dependencies) -> dict[str, Check]:
    """Return the checks that cost nothing and decide whether jobs are taken."""
    log_up, loaded, limits = dependencies.publisher.healthy, dependencies.keys.loaded, dependencies.services.loaded
    return {
        "log": Check(log_up, required=True, reason="" if log_up else "Kafka does not answer"),
        "keys": Check(loaded, required=True, reason="" if loaded else "the API keys are still being read"),
        "services": Check(limits, required=True, reason="" if limits else "the quotas are still being read"),
    }


async def check_readiness(dependencies: Dependencies) -> Readiness:
    """Ask every dependency."""
    checks = essential_checks(dependencies)
    try:
        await dependencies.blobs.find(_PROBE_SERVICE, _PROBE_SHA256)
        checks["blobs"] = Check(True, required=True)
    except Outage as e:
        checks["blobs"] = Check(False, required=True, reason=e.message)
    listed = await dependencies.jobs.list(_PROBE_SERVICE, limit=1)
    lost = listed.reason if isinstance(listed, Unknown) else ""
    checks["views"] = Check(not lost, required=False, reason=lost)
    if states := dependencies.chat.pool.states():
        down = [state.name for state in states if not state.usable]
        checks["model_servers"] = Check(not down, required=False, reason=f"down: {', '.join(down)}" if down else "")
    return Readiness(checks)


async def follow_readiness(dependencies: Dependencies, health: Health) -> None:
    """Keep the state that the supervisor sees, until cancelled."""
    was_ready = False
    while True:
        readiness = Readiness(essential_checks(dependencies))
        if readiness.serves:
            was_ready = True
            health.set_ready()
        elif was_ready:
            health.set_unavailable(readiness.reason)
        else:
            health.set_starting(readiness.reason)
        await asyncio.sleep(_EVERY_S)
