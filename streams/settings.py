"""The gateway's settings: one frozen value, read from the environment at the edge."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import gethostname

from schemas.errors import InvalidInput
from streams.log.bootstrap import MECHANISMS, PROTOCOLS, Bootstrap, Login
from streams.storage.address import BlobUrl, S3Access

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process of the gateway needs to know. Sizes in bytes, durations in seconds.

    `kafka_admin` is the same cluster with the login that may make users and access lists.
    """

    data_dir: Path
    http_port: int
    metrics_port: int
    kafka_bootstrap: Bootstrap
    kafka_admin: Bootstrap
    redis_url: str
    blob_url: BlobUrl
    modules_dir: Path
    noop: bool
    ollama_urls: tuple[str, ...]
    default_model: str
    upstream_keys: Mapping[str, str] = field(repr=False)
    upstream_slots: int
    stt_model: str
    instance: str
    host: str
    workers: int
    max_upload_bytes: int
    max_pages: int
    max_pixels: int
    ocr_engine: str
    paddle_home: Path
    paddle_detection: Path
    paddle_recognition: Path
    paddle_workers: int
    paddle_batch_pages: int
    paddle_memory_bytes: int
    job_ttl_seconds: int
    log_level: str
    metrics_host: str
    models_file: Path
    chat_content: str
    stt_max_hours: int
    audio_wait_seconds: int
    http_host: str
    drain_seconds: int
    orphan_seconds: int
    collect_minutes: int
    tls_listeners: tuple[str, ...]
    otlp_endpoint: str
    schema_registry_url: str = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from `env`.

        Raises InvalidInput naming the variable whose value cannot be used.
        """
        read = _Reader(env)
        data_dir = Path(read.text("DATA_DIR", ".gateway")).resolve()
        kafka, kafka_admin = _kafka(read)
        return cls(
            data_dir=data_dir,
            http_port=read.integer("HTTP_PORT", 8080),
            metrics_port=read.integer("METRICS_PORT", 0),
            kafka_bootstrap=kafka,
            kafka_admin=kafka_admin,
            redis_url=read.text("REDIS_URL", "") or f"redis://127.0.0.1:{read.integer('REDIS_PORT', 16379)}/0",
            blob_url=BlobUrl(
                read.text("BLOB_URL", "") or f"file:{data_dir / 'blobs'}",
                S3Access(
                    endpoint=read.text("S3_ENDPOINT", ""),
                    region=read.text("S3_REGION", ""),
                    access_key=read.text("S3_ACCESS_KEY", ""),
                    secret_key=read.text("S3_SECRET_KEY", ""),
                ),
            ),
            modules_dir=Path(read.text("MODULES_DIR", "modules")).resolve(),
            noop=read.flag("NOOP", False),
            ollama_urls=read.names("OLLAMA_URLS"),
            default_model=read.text("DEFAULT_MODEL", ""),
            upstream_keys=read.assignments("UPSTREAM_KEYS"),
            upstream_slots=read.integer("UPSTREAM_SLOTS", 4),
            stt_model=read.text("STT_MODEL", ""),
            instance=read.text("INSTANCE", ""),
            host=gethostname(),
            workers=read.integer("WORKERS", 0),
            max_upload_bytes=read.integer("MAX_UPLOAD_MIB", 512) * MIB,
            max_pages=read.integer("MAX_PAGES", 500),
            max_pixels=read.integer("MAX_MEGAPIXELS", 120) * 1_000_000,
            ocr_engine=read.one_of("OCR_ENGINE", ("tesseract", "paddle")),
            paddle_home=Path(read.text("PADDLE_HOME", ".tools/paddle")).absolute(),
            paddle_detection=Path(
                read.text("PADDLE_DETECTION_MODEL", str(data_dir / "models" / "PP-OCRv5_mobile_det"))
            ).resolve(),
            paddle_recognition=Path(
                read.text("PADDLE_RECOGNITION_MODEL", str(data_dir / "models" / "korean_PP-OCRv5_mobile_rec"))
            ).resolve(),
            paddle_workers=read.integer("PADDLE_WORKERS", 1),
            paddle_batch_pages=read.integer("PADDLE_BATCH_PAGES", 4),
            paddle_memory_bytes=read.integer("PADDLE_MEMORY_MIB", 4096) * MIB,
            job_ttl_seconds=read.integer("JOB_TTL_DAYS", 30) * 86_400,
            log_level=read.text("LOG_LEVEL", "info"),
            metrics_host=read.text("METRICS_HOST", "127.0.0.1"),
            models_file=Path(read.text("MODELS_FILE", "models.yml")).resolve(),
            chat_content=read.one_of("CHAT_CONTENT", ("full", "digest")),
            stt_max_hours=read.integer("STT_MAX_HOURS", 10),
            audio_wait_seconds=read.integer("AUDIO_WAIT_SECONDS", 300),
            http_host=read.text("HTTP_HOST", "127.0.0.1"),
            drain_seconds=read.integer("DRAIN_SECONDS", 10),
            # Less than the 15 minutes after which `usage verify` misses a call's usage.
            orphan_seconds=read.integer("ORPHAN_SECONDS", 600),
            collect_minutes=read.integer("COLLECT_MINUTES", 360),
            tls_listeners=read.addresses("TLS_LISTENERS"),
            # OpenTelemetry's own name, so that what sets it for everything else on a host sets it for us.
            otlp_endpoint=env.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip(),
            schema_registry_url=read.url("SCHEMA_REGISTRY_URL"),
        )

    def called(self, role: str) -> str:
        """Return what tells this process from others: its own name, else its role and its host (a container, a pod)."""
        return self.instance or f"{role}-{self.host}"


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str, default: str) -> str:
        given = self._env.get(f"GATEWAY_{name}", "").strip()
        if given:
            return given
        # Secrets travel as files: GATEWAY_REDIS_URL_FILE names one that holds what GATEWAY_REDIS_URL would.
        file = self._env.get(f"GATEWAY_{name}_FILE", "").strip()
        return (_content_of(f"GATEWAY_{name}_FILE", file) if file else "") or default

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name, "").split(",") if part.strip())

    def addresses(self, name: str) -> tuple[str, ...]:
        given = self.names(name)
        for address in given:
            host, _, port = address.rpartition(":")
            if not host or not port.isdecimal():
                raise InvalidInput(
                    f"GATEWAY_{name} has {address!r}, which is no host and port",
                    remedy=f"write them as proxy:8443,kafka:9094 in GATEWAY_{name}, or leave it out",
                )
        return given

    def url(self, name: str) -> str:
        given = self.text(name, "")
        if given and not given.startswith(("http://", "https://")):
            raise InvalidInput(
                f"GATEWAY_{name} begins neither with http:// nor with https://",  # not quoted: it may hold a password
                remedy=f"write it as http://host:8081 in GATEWAY_{name}, or leave it out",
            )
        return given

    def assignments(self, name: str) -> dict[str, str]:
        """Return what lines of NAME=value say, without those that are empty or begin with #."""
        lines = (line.strip() for line in self.text(name, "").splitlines())
        pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
        if any(not (key.strip() and mark) for key, mark, _ in pairs):
            raise InvalidInput(
                f"GATEWAY_{name} has a line that is not NAME=value",  # not quoted: it may be a key
                remedy=f"write one NAME=value a line in GATEWAY_{name} or its file, or leave it out",
            )
        return {key.strip(): value.strip() for key, _, value in pairs}

    def integer(self, name: str, default: int) -> int:
        raw = self.text(name, "")
        if not raw:
            return default
        if not raw.isdecimal():
            raise InvalidInput(
                f"GATEWAY_{name} is {raw!r}, which is no whole number",
                remedy=f"set GATEWAY_{name} to a number such as {default}, or leave it out",
            )
        return int(raw)

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of the choices; the first is the default."""
        given = self.text(name, choices[0])
        if given not in choices:
            raise InvalidInput(
                f"GATEWAY_{name} is {given!r}", remedy=f"set GATEWAY_{name} to one of {', '.join(choices)}"
            )
        return given

    def flag(self, name: str, default: bool) -> bool:
        raw = self.text(name, "").lower()
        if raw not in ("", "0", "1", "true", "false", "yes", "no"):
            raise InvalidInput(
                f"GATEWAY_{name} is {raw!r}, which is neither 0 nor 1",
                remedy=f"set GATEWAY_{name} to 1 or 0",
            )
        return raw in ("1", "true", "yes") if raw else default


def _kafka(read: _Reader) -> tuple[Bootstrap, Bootstrap]:
    """Read where the cluster is, with the login of the gateway's own processes, and with the administrator's."""
    servers = read.text("KAFKA_BOOTSTRAP", "") or f"127.0.0.1:{read.integer('KAFKA_PORT', 19092)}"
    protocol, mechanism = (
        read.one_of("KAFKA_SECURITY_PROTOCOL", PROTOCOLS),
        read.one_of("KAFKA_SASL_MECHANISM", MECHANISMS),
    )
    if protocol == "PLAINTEXT":
        return Bootstrap(servers), Bootstrap(servers)
    ca_file = read.text("KAFKA_CA_FILE", "")
    if ca_file and not Path(ca_file).is_file():
        raise InvalidInput(
            f"GATEWAY_KAFKA_CA_FILE is {ca_file!r}, which is no file",
            remedy="let it name the PEM file of the authority that signed the brokers' certificates, or leave it out",
        )
    own = Login(protocol, mechanism, read.text("KAFKA_USERNAME", ""), read.text("KAFKA_PASSWORD", ""), ca_file)
    if own.signs_in and not (own.username and own.password):
        raise InvalidInput(
            f"GATEWAY_KAFKA_SECURITY_PROTOCOL is {protocol}, but there is no user name or no password",
            remedy="set GATEWAY_KAFKA_USERNAME, and GATEWAY_KAFKA_PASSWORD or GATEWAY_KAFKA_PASSWORD_FILE",
        )
    username = read.text("KAFKA_ADMIN_USERNAME", "")
    if not username:
        return Bootstrap(servers, own), Bootstrap(servers, own)
    admin = replace(
        own,
        mechanism=read.one_of("KAFKA_ADMIN_SASL_MECHANISM", MECHANISMS),
        username=username,
        password=read.text("KAFKA_ADMIN_PASSWORD", ""),
    )
    return Bootstrap(servers, own), Bootstrap(servers, admin)


def _content_of(variable: str, file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidInput(
            f"{variable} is {file!r}, which cannot be read: {type(e).__name__}",
            remedy=f"let {variable} name a readable text file, or leave it out",
        ) from e
