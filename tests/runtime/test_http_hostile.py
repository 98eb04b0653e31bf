"""The way out, with somebody at the other end who means harm. Security matrix 15–24, 44."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.errors import ConfigFault, HubError, NeedsReview, RecordRejected, RetryLater
from hub.runtime.addresses import resolve
from hub.runtime.calls import Bounds
from hub.runtime.clock import VirtualClock
from tests.runtime.stub_vendor import connector, door_to, vendor

TOKEN = b"tok-secret-1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("writes", [False, True])
def test_no_answer_leads_to_another_host(status: int, writes: bool) -> None:
    """Neither the connector's calls nor an SDK's follow: the other host sees nothing, least of all the token."""
    with vendor() as other, vendor(last=(status, {"Location": other.base_url + "/take"}, b"")) as first:
        door = door_to(first.base_url)
        with pytest.raises(NeedsReview, match="NET-REDIRECT"):
            door.request("POST" if writes else "GET", "/things", operation="x", writes=writes, json={"a": 1})
        with pytest.raises(HubError):
            door.session().get(first.base_url + "/things")
        with pytest.raises(HubError):
            door.pool().request("GET", first.base_url + "/things")
        assert other.seen == []
        assert len(first.seen) == 3


def test_a_wait_of_a_hundred_years_is_cut_to_a_day() -> None:
    with vendor(last=(429, {"Retry-After": "3153600000"}, b"")) as server, pytest.raises(RetryLater) as caught:
        door_to(server.base_url, clock=VirtualClock()).request("GET", "/", operation="x")
    assert caught.value.after_s == 86_400.0


def test_an_endless_answer_costs_no_memory() -> None:
    body = b"x" * 30_000_000
    with vendor(last=(200, {}, body)) as server:
        door = door_to(server.base_url, bounds=Bounds(body_bytes=1_000_000, tries=1))
        tracemalloc.start()
        try:
            with pytest.raises(RetryLater, match="NET-TOO-BIG"):
                door.request("GET", "/", operation="x")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "127.1", "localhost", "0"])
def test_numbers_are_judged_by_what_they_resolve_to(name: str) -> None:
    """Whatever a resolver makes of a name: what is no public address is refused."""
    with pytest.raises(ConfigFault, match="NET-HOST"):
        resolve(name, 443, local=False)


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "localhost", "2852039166", "0x7f000001", "10.0.0.1"])
def test_a_host_that_an_admin_may_choose_is_a_public_one_all_the_same(host: str) -> None:
    """A connector without hosts of its own takes those that the connection names; where they lead is judged anyhow."""
    free = connector(hosts=(host,))
    with pytest.raises(ConfigFault, match="NET-HOST"):
        door_to(f"https://{host}", local=False, of=free).request("GET", "/latest/meta-data", operation="x")


def test_a_netrc_file_gives_no_password_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password hunter2-hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with vendor() as server:
        door_to(server.base_url).request("GET", "/", operation="x")
        door_to(server.base_url).session().get(server.base_url + "/sdk")
    for _, _, headers, _ in server.seen:
        assert headers["authorization"] == "Bearer tok-secret-1"


@pytest.mark.parametrize(
    "path", ["/a\r\nHost: evil.example\r\n\r\nGET /b", "/a b", "/a\tb", "/ä", "/a?x=\r\nX-Evil: 1"]
)
def test_a_path_cannot_carry_a_second_request(path: str) -> None:
    with vendor() as server:
        door_to(server.base_url).request("GET", path, operation="x", params={"q": "1\r\nX-Evil: 1"})
    ((_, seen, headers, _),) = server.seen
    assert not set(seen) & set("\r\n\t ")
    assert "x-evil" not in headers
    assert headers["host"] == server.base_url.removeprefix("http://")


@pytest.mark.parametrize("value", ["x\r\nX-Evil: 1", "x\ny", "ä\ud800", "日本", " x"])
def test_a_header_with_a_line_end_is_refused_and_certainly_not_sent(value: str) -> None:
    with vendor() as server:
        door = door_to(server.base_url)
        for writes in (False, True):
            with pytest.raises(RecordRejected) as refused:
                door.request("PUT", "/", operation="x", headers={"If-Match": value}, writes=writes)
            assert (refused.value.code, "Evil" in str(refused.value)) == ("NET-HEADER", False)
        assert server.seen == []
        assert door.request("GET", "/", operation="x").status == 200, "the connection is none the worse for it"


# TLS


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for one name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    host: x509.GeneralName = x509.DNSName(name)
    if name[0].isdigit():
        host = x509.IPAddress(ipaddress.ip_address(name))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return certificate, private


@contextmanager
def tls_server(folder: Path, name: str, newest: ssl.TLSVersion) -> Iterator[tuple[str, Path]]:
    """Answers every call with {} over TLS: its URL, and the certificate to trust."""
    certificate, private = make_certificate(folder, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = newest
    context.load_cert_chain(certificate, private)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as safe:
                        safe.recv(65536)
                        safe.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listening.getsockname()[1]}", certificate
    finally:
        listening.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("name", "newest", "good"),
    [
        ("127.0.0.1", ssl.TLSVersion.TLSv1_3, True),
        ("127.0.0.1", ssl.TLSVersion.TLSv1_2, True),
        ("127.0.0.1", ssl.TLSVersion.TLSv1_1, False),
        ("api.vendor.example", ssl.TLSVersion.TLSv1_3, False),
    ],
)  # fmt: skip
def test_old_tls_and_another_hosts_certificate_are_refused(
    tmp_path: Path, name: str, newest: ssl.TLSVersion, good: bool
) -> None:
    """The certificate itself is trusted here: it is the version, or the name in it, that is wrong."""
    with tls_server(tmp_path, name, newest) as (url, certificate):
        door = door_to(url, local=True, bounds=Bounds(connect_s=2.0, read_s=2.0, tries=1))
        door._transport.verify = str(certificate)
        if good:
            assert door.request("GET", "/", operation="x").json() == {}
        else:
            with pytest.raises(RetryLater, match="NET-TLS"):
                door.request("GET", "/", operation="x")
