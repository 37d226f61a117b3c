"""Checks of the whole installation: what is there, what is not, and what to do about it."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.environment import gateway_url, local_url
from cli.stack.kafka_server import LIBS
from cli.stack.launch import Stack
from cli.stack.ports import is_free, owner
from cli.stack.services import owns_kafka, owns_redis, port_uses
from cli.stack.states import SETTLED
from schemas.errors import GatewayError
from streams.stages import declared_topics

if TYPE_CHECKING:
    from processors.llm.backends import Backend
    from processors.llm.pool.models import Catalogue, Upstream

_PYTHON = ((3, 11), (3, 13))
_JAVA = 17
_LEAST_FREE_BYTES = 2 * 1024**3
_TOOL_TIMEOUT_S = 20.0
_CALL_TIMEOUT_S = 5.0
_SET_UP = "run ./gateway once: it installs what is missing (as root on Debian or Ubuntu) or names it"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. One that is not `ok` and not `required` is a warning; `remedy` is empty when all is well."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class Installation:
    """What is examined."""

    env: Mapping[str, str]
    stack: Stack

    @property
    def is_up(self) -> bool:
        """Whether the local stack runs."""
        return self.stack.supervisor_pid() is not None


CheckFunction = Callable[[Installation], Awaitable[Check]]


async def examine(installation: Installation) -> list[Check]:
    """Make every check, in an order in which a remedy helps the checks behind it."""
    checks = _CHECKS if not gateway_url(installation.env) else tuple(c for c in _CHECKS if c not in _OF_A_STACK)
    return [await check(installation) for check in checks]


async def _python(_: Installation) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = _PYTHON[0] <= sys.version_info[:2] < _PYTHON[1]
    return Check("python", ok, version, "" if ok else "Python 3.11 or 3.12 is needed; remove .venv and run ./gateway")


async def _environment(_: Installation) -> Check:
    locked = os.access(f"{sys.prefix}/bin/gateway", os.X_OK) and sys.prefix != sys.base_prefix
    return Check("environment", locked, sys.prefix, "" if locked else _SET_UP)


async def _java(installation: Installation) -> Check:
    said = _output("java", "-version")
    version = said.partition('version "')[2].partition('"')[0]
    major = version.partition(".")[0]
    ok = major.isdecimal() and int(major) >= _JAVA
    remedy = "" if ok else f"install Java {_JAVA} or newer: apt-get install default-jdk-headless"
    return Check("java", ok, version or "not found", remedy, owns_kafka(installation.env))


async def _kafka_jars(installation: Installation) -> Check:
    jars = sorted(LIBS.glob("kafka_*.jar"))
    detail, remedy = (jars[0].stem, "") if jars else (f"none in {LIBS}", _SET_UP)
    return Check("kafka jars", bool(jars), detail, remedy, owns_kafka(installation.env))


async def _redis_server(installation: Installation) -> Check:
    said = _output("redis-server", "--version")
    required = owns_redis(installation.env)
    remedy = "" if said else "apt-get install redis-server, or set GATEWAY_REDIS_URL"
    return Check("redis-server", bool(said), said.partition(" sha=")[0] or "not found", remedy, required)


async def _tesseract(_: Installation) -> Check:
    languages = _output("tesseract", "--list-langs").splitlines()[1:]
    missing = [language for language in ("kor", "eng") if language not in languages]
    version = _output("tesseract", "--version").partition("\n")[0]
    if not version:
        return Check("tesseract", False, "not found", "apt-get install tesseract-ocr tesseract-ocr-kor")
    remedy = "apt-get install " + " ".join(f"tesseract-ocr-{language}" for language in missing) if missing else ""
    detail = f"{version}, without {', '.join(missing)}" if missing else f"{version} with kor and eng"
    return Check("tesseract", not missing, detail, remedy)


async def check_paddle(installation: Installation) -> Check:
    """Look whether the second OCR engine can be used here; it need not be."""
    from processors.ocr.engines.paddle_models import places_of, usable_models

    settings = installation.stack.settings
    try:
        models = usable_models(places_of(settings))
    except GatewayError as e:
        chosen = settings.ocr_engine == "paddle"
        detail = e.message if chosen else f"not in use: {e.message} ({e.remedy})"
        return Check("paddle", not chosen, detail, e.remedy if chosen else "", required=False)
    names = f"{models.detection.name} and {models.recognition.name}"
    return Check("paddle", True, f"{settings.paddle_home} with {names}", required=False)


async def _data_dir(installation: Installation) -> Check:
    folder = installation.stack.settings.data_dir
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(there, os.W_OK):
        return Check("data directory", False, f"{there} cannot be written", "set GATEWAY_DATA_DIR to a folder of yours")
    free = shutil.disk_usage(there).free
    ok = free >= _LEAST_FREE_BYTES
    remedy = "" if ok else f"free {_LEAST_FREE_BYTES / 1024**3:.0f} GiB or set GATEWAY_DATA_DIR to a larger disk"
    return Check("data directory", ok, f"{folder}, {free / 1024**3:.1f} GiB free", remedy, required=False)


async def _ports(installation: Installation) -> Check:
    uses = port_uses(installation.env, installation.stack.settings)
    numbers = ", ".join(f"{use.port} ({use.purpose})" for use in uses)
    if installation.is_up:
        return Check("ports", True, f"in use by the stack: {numbers}")
    taken = [use for use in uses if not is_free(use.port)]
    if not taken:
        return Check("ports", True, f"free: {numbers}")
    who = "; ".join(f"{use.port} ({use.purpose}) by {owner(use.port) or 'an unknown process'}" for use in taken)
    return Check("ports", False, f"taken: {who}", "set " + ", ".join(f"{use.variable}" for use in taken))


async def _stack(installation: Installation) -> Check:
    states = installation.stack.states()
    if not states:
        return Check("local stack", False, "not running", "start it with: ./gateway up --detach", required=False)
    troubled = [s for s in states if s.state not in SETTLED]
    if not troubled:
        return Check("local stack", True, f"{len(states)} services run")
    detail = "; ".join(f"{s.name} is {s.state} ({s.reason})" for s in troubled)
    return Check("local stack", False, detail, f"see ./gateway logs {troubled[0].name}")


async def _gateway(installation: Installation) -> Check:
    import httpx

    from streams.authorities import trusted

    url = gateway_url(installation.env) or local_url(installation.stack.settings)
    if not gateway_url(installation.env) and not installation.is_up:
        return _not_up("gateway")
    try:
        async with httpx.AsyncClient(verify=trusted(url), timeout=_CALL_TIMEOUT_S, trust_env=False) as http:
            told = (await http.get(f"{url}/readyz")).json()
        lacking = [f"{name}: {one['reason']}" for name, one in told["dependencies"].items() if not one["ok"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as e:
        said = f"{url} does not answer: {type(e).__name__}"
        return Check("gateway", False, said, "see that ingress runs, and check GATEWAY_URL")
    ok = told["status"] != "unavailable"
    detail = f"{url} is {told['status']}" + (f" ({'; '.join(lacking)})" if lacking else "")
    return Check("gateway", ok, detail, "" if ok else "mend what it names; the checks below may tell more")


async def _kafka(installation: Installation) -> Check:
    from streams.log.admin import kafka_admin

    bootstrap = installation.stack.settings.kafka_bootstrap
    if owns_kafka(installation.env) and not installation.is_up:
        return _not_up("kafka")
    try:
        async with kafka_admin(bootstrap, timeout_ms=int(_CALL_TIMEOUT_S * 1000)) as admin:
            names = await admin.topic_names()
    except GatewayError as e:
        return Check("kafka", False, e.message, e.remedy or "check GATEWAY_KAFKA_BOOTSTRAP")
    missing = sorted({topic.name for topic in declared_topics()} - names)
    if missing:
        return Check("kafka", False, f"{bootstrap} lacks {len(missing)} topics: {missing[0]} …", "run ./gateway topics")
    return Check("kafka", True, f"{bootstrap} answers and has all topics")


async def _redis(installation: Installation) -> Check:
    from streams.redis_client import REDIS_FAILURES, redis_client

    url = installation.stack.settings.redis_url
    if owns_redis(installation.env) and not installation.is_up:
        return _not_up("redis")
    where = _without_password(url)
    client = redis_client(url)
    try:
        policy = next(iter((await client.config_get("maxmemory-policy")).values()), "")
    except REDIS_FAILURES as e:
        return Check("redis", False, f"{where}: {type(e).__name__}", "check that Redis runs and GATEWAY_REDIS_URL")
    finally:
        await client.aclose()
    text = policy.decode() if isinstance(policy, bytes) else str(policy)  # depends on the client's protocol
    ok = text == "noeviction"
    remedy = "" if ok else "set maxmemory-policy noeviction: an evicted key would be a lost job view"
    return Check("redis", ok, f"{where} answers, policy {text or 'unknown'}", remedy)


async def check_stages(installation: Installation) -> Check:
    """Look what processors say they cannot serve, and why."""
    from streams.redis_client import redis_client
    from streams.serving import ServingView

    if owns_redis(installation.env) and not installation.is_up:
        return _not_up("stages")
    client = redis_client(installation.stack.settings.redis_url)
    try:
        view = ServingView(client)
        await view.look()
    finally:
        await client.aclose()
    lacks = {kind: lack for kind in view.kinds if (lack := view.lacking([kind])) is not None}
    if not lacks:
        return Check("stages", True, f"ready: {', '.join(view.kinds) or 'none has said so yet'}", required=False)
    detail = "; ".join(f"{kind} is unavailable: {lack.reason}" for kind, lack in lacks.items())
    return Check("stages", False, detail, "; ".join(lack.remedy for lack in lacks.values()), required=False)


async def _blobs(installation: Installation) -> Check:
    from streams.storage.store import open_blob_store

    url = _without_password(installation.stack.settings.blob_url)
    probe = b"written by gateway doctor\n"
    try:
        store = open_blob_store(installation.stack.settings.blob_url)
        same = await store.get(await store.put_bytes("doctor", "text/plain", probe)) == probe
    except (GatewayError, OSError) as e:
        return Check("blob store", False, f"{url}: {e}", "check GATEWAY_BLOB_URL and who may write there")
    return Check("blob store", same, f"{url} stores and returns", "" if same else "it returned other bytes than stored")


async def _own_processors(installation: Installation) -> Check:
    from streams.runtime.serve import load
    from streams.stages import own_kinds

    kinds, problems = own_kinds(), list[str]()
    for kind in kinds:
        if kind.problem:
            problems.append(f"{kind.name} of {kind.package}: {kind.problem}")
            continue
        try:
            load(kind, installation.stack.settings)
        except GatewayError as e:
            problems.append(f"{kind.name}: {e.message}" + (f" ({e.remedy})" if e.remedy else ""))
    if problems:
        return Check("own processors", False, "; ".join(problems), "correct or remove the package", required=False)
    names = ", ".join(f"{kind.name} ({kind.package})" for kind in kinds)
    return Check("own processors", True, names or "none installed", required=False)


async def check_model_servers(installation: Installation) -> Check:
    """Ask every configured model server for its models, and see that those are there that `models.yml` names."""
    from processors.llm.backends import Backend, client_session
    from processors.llm.pool.opening import catalogue_from
    from processors.llm.upstream_answer import AnswerLimits

    settings, name = installation.stack.settings, "model servers"
    try:
        keys = {**installation.env, **settings.upstream_keys}
        catalogue, _ = catalogue_from(settings.models_file, settings.ollama_urls, keys, settings.upstream_slots, "")
    except GatewayError as e:
        return Check(name, False, e.message, e.remedy)
    if not catalogue.upstreams:
        hint = "none configured (set GATEWAY_OLLAMA_URLS, or name them in models.yml)"
        return Check(name, True, hint, required=False)
    limits = AnswerLimits(connect_s=_CALL_TIMEOUT_S)
    async with client_session(limits) as session:
        backend = Backend(session, limits)
        told = await asyncio.gather(*(_trouble(backend, catalogue, each) for each in catalogue.upstreams.values()))
    troubled = [trouble for trouble in told if trouble]
    if not troubled:
        return Check(name, True, f"{len(told)} answer: {', '.join(catalogue.upstreams)}")
    remedy = "start it, or correct its entry (models.yml, GATEWAY_OLLAMA_URLS); until then calls go to the others"
    return Check(name, False, "; ".join(troubled), remedy)


async def _trouble(backend: "Backend", catalogue: "Catalogue", upstream: "Upstream") -> str:
    """Return what is wrong with a model server; empty when nothing is."""
    from processors.llm.errors import CallRefused, UpstreamFailed
    from processors.llm.pool.probes import model_names
    from processors.llm.protocols.values import Dialect

    native = upstream.kind is Dialect.OLLAMA
    try:
        listed = await backend.get(upstream, "/api/tags" if native else "/models", _CALL_TIMEOUT_S)
    except CallRefused:
        return ""
    except UpstreamFailed as e:
        # An OpenAI-compatible server need not have a list of its models.
        return "" if e.status in (404, 405) and not native else e.message + (f" ({e.remedy})" if e.remedy else "")
    there = (model_names(listed) if native else None) or frozenset[str]()
    wanted = {r.model for model in catalogue.models.values() for r in model.routes if r.upstream == upstream.name}
    lacking = sorted(each for each in wanted if native and not {each, f"{each}:latest"} & there)
    return f"{upstream.name} lacks {', '.join(lacking)}" if lacking else ""


_CHECKS: tuple[CheckFunction, ...] = (
    _python,
    _environment,
    _java,
    _kafka_jars,
    _redis_server,
    _tesseract,
    check_paddle,
    _data_dir,
    _ports,
    _stack,
    _gateway,
    _kafka,
    _redis,
    check_stages,
    _blobs,
    _own_processors,
    check_model_servers,
)

_OF_A_STACK: tuple[CheckFunction, ...] = (_java, _kafka_jars, _redis_server, _tesseract, check_paddle, _ports, _stack)
"""What only matters where the stack runs: not where GATEWAY_URL names a gateway elsewhere."""


def _not_up(name: str) -> Check:
    return Check(name, False, "not running", "start it with: ./gateway up --detach", required=False)


def _output(*command: str) -> str:
    """Return what a tool prints, on either stream; empty when it does not exist or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TOOL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip() if done.returncode == 0 else ""


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
