"""Where a connection may go. Security matrix 15-23 (reliability.md)."""

from __future__ import annotations

import socket

import pytest

from hub.errors import ConfigFault
from hub.runtime import addresses
from hub.runtime.addresses import check_address, check_url
from tests.runtime.stub_vendor import door_to, vendor

HOSTS = ("api.vendor.example", ".shops.vendor.example")


def allowed(url: str, *, local: bool = False) -> bool:
    try:
        check_url(url, hosts=HOSTS, local=local, where="stub")
    except ConfigFault:
        return False
    return True


@pytest.mark.parametrize(
    "url", ["https://api.vendor.example", "https://a.shops.vendor.example/admin/", "https://API.vendor.example:443"]
)
def test_the_vendors_own_hosts_are_allowed(url: str) -> None:
    assert allowed(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.example",
        "https://api.vendor.example:8443",
        "https://evil.example",
        "https://api.vendor.example.evil.example",
        "https://evil-api.vendor.example",
        "https://api.vendor.example@evil.example",
        "https://evil.example\\@api.vendor.example",
        "https://shops.vendor.example",
        "https://.shops.vendor.example",
        "https://api.vendor.example.",
        "https://api%2evendor.example",
        "https://api。vendor.example",
        "https://127.0.0.1",
        "https://[::1]",
        "http://localhost:8000",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://api.vendor.example",
        "https://api.vendor.example:x",
        "",
    ],
)
def test_other_hosts_schemes_and_spellings_are_refused(url: str) -> None:
    assert not allowed(url)


def test_a_local_connection_may_use_http_on_this_machine_and_nothing_public() -> None:
    assert allowed("http://127.0.0.1:9002", local=True)
    assert allowed("http://localhost:9002", local=True)
    assert allowed("http://[::1]:9002", local=True)
    assert not allowed("https://8.8.8.8", local=True)
    assert not allowed("http://169.254.169.254", local=True)
    assert not allowed("ftp://127.0.0.1", local=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_pass(address: str) -> None:
    check_address(address, local=False, where="stub")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:169.254.169.254", "::ffff:8.8.8.8"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:a9fe:a9fe::", "2002:808:808::", "2001:0:53aa:64c::"),
    ],
)
def test_addresses_that_are_not_public_are_refused_also_inside_others(address: str) -> None:
    with pytest.raises(ConfigFault):
        check_address(address, local=False, where="stub")


def test_the_resolved_address_counts_and_every_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*addresses_: str):
        return lambda host, port, **_: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses_
        ]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", found("93.184.216.34", "127.0.0.1"))
    with pytest.raises(ConfigFault):
        door_to("https://api.vendor.example", local=False).request("GET", "/", operation="x")


def test_the_socket_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with vendor() as server:
        port = server.server_address[1]
        calls: list[str] = []

        def resolve(host: str, _port: int, **_: object):
            calls.append(host)
            address = "127.0.0.1" if len(calls) == 1 else "127.0.0.99"  # the second answer differs
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        real = socket.getaddrinfo
        monkeypatch.setattr(
            addresses.socket,
            "getaddrinfo",
            lambda host, *a, **k: resolve(host, *a, **k) if host == "twin.test" else real(host, *a, **k),
        )
        door = door_to(f"http://twin.test:{port}")
        assert door.request("GET", "/", operation="x").status == 200
    assert calls == ["twin.test"]


@pytest.mark.parametrize("spelling", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "127.1"])
def test_numbers_that_resolve_to_addresses_are_no_host_names_of_a_vendor(spelling: str) -> None:
    assert not allowed(f"https://{spelling}")


def test_a_door_takes_absolute_urls_on_its_own_host_only() -> None:
    with vendor() as server:
        door = door_to(server.base_url)
        assert door.request("GET", server.base_url + "/next", operation="x").status == 200
        with pytest.raises(ConfigFault):
            door.request("GET", "http://127.0.0.1:1/elsewhere", operation="x")
        with pytest.raises(ConfigFault):
            door.session().get("https://elsewhere.example/")
        with pytest.raises(ConfigFault):
            door.pool().request("GET", "https://elsewhere.example/")
    assert len(server.seen) == 1


def test_the_environment_cannot_redirect_calls_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with vendor() as server:
        assert door_to(server.base_url).request("GET", "/", operation="x").status == 200
