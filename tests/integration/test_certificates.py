"""Until when listeners' certificates are good, as listeners show them; openssl makes them and says what is right."""

import asyncio
import ssl
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from schemas.errors import InvalidInput
from streams.settings import Settings
from streams.watch.certificates import Certificates, end_of
from tests.certificates import ELLIPTIC, RSA, end_in, listening, make_certificate
from tests.services import free_port
from tests.waiting import WaitUntil


def told(listener: str) -> float | None:
    return REGISTRY.get_sample_value("gateway_certificate_end_timestamp_seconds", {"listener": listener})


@pytest.mark.parametrize(
    ("days", "kind", "more"),
    [
        pytest.param(29, RSA, (), id="rsa"),
        pytest.param(730, ELLIPTIC, (), id="elliptic"),
        pytest.param(365 * 40, ELLIPTIC, (), id="after-2049"),
        pytest.param(
            1, ELLIPTIC, ("-addext", f"subjectAltName={','.join(f'DNS:h{n}' for n in range(300))}"), id="long"
        ),
    ],
)
def test_the_end_is_what_openssl_says(tmp_path: Path, days: int, kind: tuple[str, ...], more: tuple[str, ...]) -> None:
    file = make_certificate(tmp_path, days, kind, *more)
    text = file.read_text()
    assert end_of(ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") :])) == end_in(file)


@pytest.mark.parametrize("junk", [b"", b"0", b"0\x82\xff\xff", b"\x30\x02\x30\x00", bytes(64)])
def test_what_is_no_certificate_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        end_of(junk)


async def test_a_listener_that_comes_later_and_one_that_changes_are_told(tmp_path: Path, wait_until: WaitUntil) -> None:
    port = free_port()
    listener = f"127.0.0.1:{port}"
    file = make_certificate(tmp_path, 2)
    end = end_in(file)
    async with Certificates([listener], every_s=0.05, again_s=0.05) as certificates:
        assert not await certificates.look()
        assert told(listener) is None
        async with listening(file, port):
            await wait_until(lambda: told(listener) == end.timestamp())
        # While it is away what was told stays.
        assert not await certificates.look()
        assert told(listener) == end.timestamp()
        make_certificate(tmp_path, 400, RSA)
        async with listening(file, port):
            await wait_until(lambda: told(listener) == end_in(file).timestamp() > end.timestamp())


async def test_one_that_speaks_no_tls_or_nothing_holds_up_none() -> None:
    async def shout(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n" * 10)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(shout, "127.0.0.1", port):
        assert not await Certificates([f"127.0.0.1:{port}"]).look()
    assert told(f"127.0.0.1:{port}") is None


def test_listeners_are_hosts_with_ports() -> None:
    read = Settings.from_env({"GATEWAY_TLS_LISTENERS": "proxy:8443, kafka:9094"})
    assert read.tls_listeners == ("proxy:8443", "kafka:9094")
    assert Settings.from_env({}).tls_listeners == ()
    for wrong in ("proxy", ":8443", "proxy:https"):
        with pytest.raises(InvalidInput, match="GATEWAY_TLS_LISTENERS"):
            Settings.from_env({"GATEWAY_TLS_LISTENERS": wrong})
