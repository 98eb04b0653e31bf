"""Where a connection may go: checked by name before a call, and by address inside the connection's own look-up.

Names are compared label by label after one strict parse, so `https://api.vendor.com@evil.com` and
`api.vendor.com.evil.com` are other hosts. Addresses are checked where the socket is opened, and the socket goes to
the address that was checked, so a name that answers differently the second time gains nothing. Every address of the
answer must pass.

A connection marked `local: true` is the other way round: this machine and private networks only, and http is allowed.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import connection as sockets

from hub.errors import ConfigFault, Fault

_NAME = re.compile(r"^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$")
_PLAIN = re.compile(r"^[\x21-\x5b\x5d-\x7e]+$")  # printable ASCII without blank and backslash
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_EMBEDDED = tuple(  # forms that carry an IPv4 address inside: 6to4, Teredo, compatible, local-use NAT64
    ipaddress.ip_network(text) for text in ("2002::/16", "2001::/32", "::/96", "64:ff9b:1::/48")
)


def refuse(message: str, where: str, fix: str) -> ConfigFault:
    """The error for an address that a connection may not use."""
    return ConfigFault([Fault(code="NET-HOST", where=where, message=message, fix=fix)])


def check_url(url: str, *, hosts: Sequence[str], local: bool, where: str) -> str:
    """The URL without trailing slash. Raises ConfigFault if this connection may not go there.

    Args:
        url: base URL of a connection, or an absolute URL handed to the door.
        hosts: `Connector.hosts`.
        local: the connection is marked `local: true`.
        where: connection, for the message.
    """
    if not _PLAIN.match(url):
        raise refuse("the URL has characters that no URL has", where, "write a plain ASCII URL")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise refuse("the URL carries credentials or a second host", where, "put credentials into auth:")
    try:
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise refuse("the URL's port is no number", where, "write host or host:port") from None
    if local:
        _check_local(parts.scheme, host, where)
    else:
        _check_remote(parts.scheme, host, port, hosts, where)
    return url.rstrip("/")


def _check_local(scheme: str, host: str, where: str) -> None:
    if scheme not in ("http", "https") or not host:
        raise refuse("only http and https", where, "write http://127.0.0.1:port")
    if _is_address(host):
        check_address(host, local=True, where=where)


def _check_remote(scheme: str, host: str, port: int | None, hosts: Sequence[str], where: str) -> None:
    if scheme != "https":
        raise refuse("only https leaves this machine", where, "use https, or mark a rehearsal `local: true`")
    if port not in (None, 443):
        raise refuse(f"port {port} is not the vendor's", where, "leave the port out, or mark a rehearsal `local: true`")
    if not _NAME.match(host) or not is_allowed(host, hosts):
        allowed = ", ".join(hosts) or "none"
        raise refuse(
            "the host is not one of the vendor's", where, f"allowed: {allowed}; mark a rehearsal `local: true`"
        )


def is_allowed(host: str, hosts: Sequence[str]) -> bool:
    """Whether a lower-case host name is one of `hosts`; an entry with a leading dot allows all names below it."""
    return any(
        host.endswith(entry) and host != entry[1:] if entry.startswith(".") else host == entry for entry in hosts
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_address(address: str, *, local: bool, where: str) -> None:
    """Raises ConfigFault unless this resolved address may be connected to.

    Public connections: global unicast only. An IPv4 address inside an IPv6 one is refused, but for NAT64 (networks
    without IPv4 reach every vendor that way) around a public address. Local ones: loopback and private networks, never
    link-local, where clouds keep their credentials.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if local:
        if ip.is_link_local or not (ip.is_loopback or ip.is_private) or ip.is_unspecified:
            raise refuse("a local connection stays on this machine or network", where, "drop `local: true`")
        return
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip.ipv4_mapped is not None or any(ip in network for network in _EMBEDDED):
            raise refuse("the host resolves to an address inside an address", where, "check the host's DNS")
    if not ip.is_global or ip.is_multicast:
        raise refuse("the host resolves to an address that is not public", where, "check the host's DNS")


def resolve(host: str, port: int, *, local: bool) -> list[str]:
    """All addresses of a host, in the resolver's order, each of them checked."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        check_address(address, local=local, where=host)
    return addresses


def _open_socket(conn: HTTPConnection, *, local: bool) -> socket.socket:
    """What urllib3's `_new_conn` does, but to checked addresses only. Errors are those that urllib3 raises there."""
    try:
        addresses = resolve(conn.host.strip("[]"), conn.port or 443, local=local)
    except socket.gaierror as error:
        raise NameResolutionError(conn.host, conn, error) from error
    failure: OSError | None = None
    for address in addresses:
        try:
            return sockets.create_connection(
                (address, conn.port or 443),
                conn.timeout,
                source_address=conn.source_address,
                socket_options=conn.socket_options,
            )
        except OSError as error:
            failure = error
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(conn, f"no connection to {conn.host} in time") from failure
    raise NewConnectionError(conn, f"no connection to {conn.host}") from failure


class _PublicHttps(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _open_socket(self, local=False)


class _LocalHttps(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _open_socket(self, local=True)


class _LocalHttp(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _open_socket(self, local=True)


class _PublicHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHttps


class _LocalHttpsPool(HTTPSConnectionPool):
    ConnectionCls = _LocalHttps


class _LocalHttpPool(HTTPConnectionPool):
    ConnectionCls = _LocalHttp


class CheckedAdapter(HTTPAdapter):
    """Transport of a door: no retries of its own, keep-alive, sockets only to checked addresses."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        super().__init__(pool_connections=4, pool_maxsize=16, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        if self._local:
            self.poolmanager.pool_classes_by_scheme = {"http": _LocalHttpPool, "https": _LocalHttpsPool}
        else:
            self.poolmanager.pool_classes_by_scheme = {"https": _PublicHttpsPool}


def checked_session(*, local: bool) -> requests.Session:
    """A session that ignores the environment (proxies, .netrc), and keeps no cookies; the door follows no redirect."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(_NoCookies())
    adapter = CheckedAdapter(local=local)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _NoCookies(DefaultCookiePolicy):
    """A vendor's session cookie would tie calls of different workers together."""

    def set_ok(self, *_: Any) -> bool:
        return False
