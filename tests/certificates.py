"""Certificates that openssl makes, and what it reads in them."""

import subprocess
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
