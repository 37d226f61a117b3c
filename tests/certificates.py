"""Certificates that openssl makes, what it reads in them, and a listener that shows one."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

RSA = ("-newkey", "rsa:2048")
ELLIPTIC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def make_certificate(folder: Path, days: int, kind: tuple[str, ...] = ELLIPTIC, *more: str) -> Path:
    """Make a certificate, and return a file with its key and itself."""
    key, file = folder / "key.pem", folder / "cert.pem"
    request = ("openssl", "req", "-x509", "-nodes", "-days", str(days), "-subj", "/CN=localhost/O=a: b")
    subprocess.run([*request, *kind, *more, "-keyout", key, "-out", file], check=True, capture_output=True)
    file.write_text(key.read_text() + file.read_text())
    return file


def end_in(file: Path) -> datetime:
    """Return until when the certificate in a file is good."""
    asked = ["openssl", "x509", "-noout", "-enddate", "-in", file]
    told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    return datetime.strptime(told.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


@asynccontextmanager
async def listening(file: Path, port: int) -> AsyncGenerator[None]:
    """Listen with TLS at a port of this host, and say nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", port, ssl=context):
        yield
