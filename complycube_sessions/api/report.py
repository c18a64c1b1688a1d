"""
The vendor's own report: a PDF at a URL that comes from outside and works for anyone who has it.

So the URL is checked before anything is sent: it must be https on port 443 without a login, and all
addresses of its host must be public. The connection goes to the checked IP address, so a second DNS lookup
cannot change it, and TLS verifies the host name. The API key is not sent, redirects are not followed, size
and time are bounded, and no error contains the URL.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection, ProxyConfig

from complycube_sessions.api.sealing import sealed
from complycube_sessions.api.transport import USER_AGENT, bound_time, pieces
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeReportError,
)

MAX_BYTES: Final = 50 * 1024 * 1024
# For the whole response, up to its last byte.
TOTAL_SECONDS: Final = 180.0
MAX_URL_LENGTH: Final = 8_192
HTTP_PORT: Final = 80
HTTPS_PORT: Final = 443
PDF_START: Final = b"%PDF-"

# Storage services send a generic type for files that were uploaded without one.
_TYPES: Final = frozenset(
    {"application/pdf", "application/octet-stream", "binary/octet-stream", ""}
)
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv6 addresses whose last 32 bits are an IPv4 address.
_NAT64: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("::/96"),
)
# The same prefix for local use; some Python versions treat it as global.
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")


@dataclass(frozen=True, slots=True)
class ReportUrl:
    """The URL of a report; anyone who knows it can read the report, so ``repr`` hides it."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Target:
    """The target of a request: a checked IP address and the host name."""

    host: str
    port: int
    path: str = field(repr=False)
    address: str
    is_https: bool


def _broken(error: Exception) -> ComplyCubeConnectionError:
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return ComplyCubeConnectionError("The report took too long to arrive.")
    return ComplyCubeConnectionError(f"The report did not arrive ({type(error).__name__}).")


class Report(Iterator[bytes]):
    """
    An iterator over the bytes of a report as they arrive, in pieces of at most 64 KiB.

    Always close it. Reading raises ``ComplyCubeConnectionError`` if the connection breaks or takes too long,
    and ``ComplyCubeReportError`` if the report is larger than 50 MB.
    """

    def __init__(self, connection: HTTPConnection, response: urllib3.BaseHTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self._pieces = pieces(response, MAX_BYTES, _too_large())
        self._first = b""
        self.size_bytes = _size(response)

    def begin(self) -> Self:
        """Read until it is clear whether this is a PDF; raise if it is not."""
        while len(self._first) < len(PDF_START) and (piece := self._read()):
            self._first += piece
        if not self._first.startswith(PDF_START):
            raise ComplyCubeReportError("What is at the address of the report is no PDF.")
        return self

    def __next__(self) -> bytes:
        piece, self._first = self._first, b""
        piece = piece or self._read()
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def _read(self) -> bytes:
        try:
            return sealed(_broken)(next)(self._pieces, b"")
        except BaseException:
            self.close()
            raise


@sealed(_broken)
def open_report(report_url: ReportUrl, account: Account) -> Report:
    """
    Request a report and return its bytes, after checking that it begins as a PDF.

    Args:
        report_url: The URL that the API returned.
        account: The account whose proxies, certificates and timeout are used, but not its key.

    Raises:
        ComplyCubeReportError: The URL is not allowed, or does not return a report.
        ComplyCubeConnectionError: No complete response arrived in time.
        ComplyCubeConfigurationError: The account's proxy or certificates cannot be used.
    """
    target = _checked_target(report_url.url, account)
    connection = _connection(target, account)
    bound_time(connection, TOTAL_SECONDS)
    try:
        return _begin(connection, target)
    except BaseException:
        connection.close()
        raise


def is_public(address: IPAddress) -> bool:
    """Return whether an address is on the public internet, as well as any IPv4 address embedded in it."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if address in _LOCAL_NAT64:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not getattr(address, "is_site_local", False)
    )


def _begin(connection: HTTPConnection, target: _Target) -> Report:
    connection.request(
        "GET",
        target.path,
        headers={
            "Host": _host_header(target),
            "User-Agent": USER_AGENT,
            "Accept": "application/pdf",
            # A compressed body could expand to any size.
            "Accept-Encoding": "identity",
        },
        preload_content=False,
        decode_content=False,
    )
    response = connection.getresponse()
    _check_answer(response)
    return Report(connection, response).begin()


def _check_answer(response: urllib3.BaseHTTPResponse) -> None:
    if 300 <= response.status < 400:
        raise ComplyCubeReportError("The address of the report redirects; that is not followed.")
    if response.status != 200:
        raise ComplyCubeReportError(f"The address of the report answered {response.status}.")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ComplyCubeReportError("The report came in an encoding that was not asked for.")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise ComplyCubeReportError("What is at the address of the report is no PDF.")
    if (_size(response) or 0) > MAX_BYTES:
        raise _too_large()


def _size(response: urllib3.BaseHTTPResponse) -> int | None:
    """Return the announced length of the response, or None."""
    if response.headers.get("Transfer-Encoding"):
        return None
    value = response.headers.get("Content-Length", "").strip()
    return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None


def _checked_target(url: str, account: Account) -> _Target:
    parts = _split(url)
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _is_of_local_stand_in(parts, account.base_url):
        port = parts.port or HTTP_PORT
        address = _addresses(host, port)[0]
        if address.is_loopback:
            return _Target(host, port, path, str(address), is_https=False)
    _check_is_https(parts)
    addresses = _addresses(host, HTTPS_PORT)
    if not all(is_public(address) for address in addresses):
        raise _refused("its host is not on the public internet")
    return _Target(host, HTTPS_PORT, path, str(addresses[0]), is_https=True)


def _split(url: str) -> SplitResult:
    """Return the parts of a well-formed URL."""
    if len(url) > MAX_URL_LENGTH or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise _refused("it is too long, or has characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("it cannot be read") from None
    if "@" in parts.netloc:
        raise _refused("it has a login in it")
    if port == 0:
        raise _refused("it is on port 0, at which nobody can be asked")
    return parts


def _check_is_https(parts: SplitResult) -> None:
    """Raise unless the URL is https on port 443 of a well-formed host."""
    if parts.scheme != "https":
        raise _refused("it is not https")
    if (parts.port or HTTPS_PORT) != HTTPS_PORT:
        raise _refused("it is on another port than 443")
    host = parts.hostname or ""
    # IPv6 addresses must be in square brackets, and only they may be.
    if not (_is_ipv6(host) if "[" in parts.netloc else _HOST.fullmatch(host)):
        raise _refused("its host has characters that no host has")


def _is_of_local_stand_in(parts: SplitResult, base_url: str) -> bool:
    """
    Return whether the URL is below a ``BASE_URL`` that is plain http on this machine.

    Such a ``BASE_URL`` is a stand-in for the API, as in the demo. The key is sent there anyway, so allowing
    reports adds no risk. With the vendor's URL, or any other host on a network, this is never true.
    """
    base = urlsplit(base_url)
    same = (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
    is_local = base.scheme == "http" and base.hostname in {"localhost", "127.0.0.1", "::1"}
    has_dots = bool(re.search(r"(^|/)(\.|%2e){1,2}(/|$)", parts.path, re.IGNORECASE))
    return same and is_local and not has_dots and parts.path.startswith(f"{base.path}/")


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def _addresses(host: str, port: int) -> list[IPAddress]:
    """Return all addresses of a host, which may itself be an address in decimal or hexadecimal form."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        name = type(error).__name__
        raise ComplyCubeConnectionError(
            f"The host of the report's address was not found ({name})."
        ) from None
    texts = [str(entry[4][0]) for entry in found]
    if not texts or any("%" in text for text in texts):
        raise _refused("its host is not on the public internet")
    return [ipaddress.ip_address(text) for text in texts]


def _embedded(address: IPAddress) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that is embedded in an IPv6 address, or None."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _connection(target: _Target, account: Account) -> HTTPConnection:
    timeout = account.timeout_seconds
    if not target.is_https:
        return HTTPConnection(target.address, port=target.port, timeout=timeout)
    bundle = account.ca_bundle or requests.utils.DEFAULT_CA_BUNDLE_PATH
    if not os.path.exists(bundle):
        raise ComplyCubeConfigurationError("The CA_BUNDLE of the account names no readable file.")
    proxy = requests.utils.select_proxy(f"https://{target.host}/", dict(account.proxies or {}))
    proxy_url = _proxy_url(proxy) if proxy else None
    connection = HTTPSConnection(
        str(proxy_url.host) if proxy_url else target.address,
        port=(proxy_url.port or HTTP_PORT) if proxy_url else target.port,
        timeout=timeout,
        # TLS verifies this name, although the connection goes to an IP address.
        server_hostname=target.host,
        cert_reqs="CERT_REQUIRED",
        ca_certs=None if os.path.isdir(bundle) else bundle,
        ca_cert_dir=bundle if os.path.isdir(bundle) else None,
        proxy=proxy_url,
        proxy_config=ProxyConfig(None, False, None, None) if proxy_url else None,
    )
    if proxy_url:
        login = unquote(proxy_url.auth) if proxy_url.auth else None
        headers = urllib3.make_headers(proxy_basic_auth=login)
        connection.set_tunnel(target.address, target.port, headers)
    return connection


def _proxy_url(proxy: str) -> urllib3.util.Url:
    """Return the URL of a proxy that can open a tunnel to the checked address."""
    try:
        url = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
    except urllib3.exceptions.LocationParseError:
        url = urllib3.util.Url()
    if url.scheme != "http" or not url.host or url.port == 0:
        raise ComplyCubeConfigurationError(
            "The report can be fetched through a proxy at an http:// address only; see PROXIES."
        )
    return url


def _host_header(target: _Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.is_https else f"{host}:{target.port}"


def _too_large() -> ComplyCubeReportError:
    return ComplyCubeReportError(f"The report is larger than {MAX_BYTES} bytes.")


def _refused(why: str) -> ComplyCubeReportError:
    return ComplyCubeReportError(f"The address of the report was refused: {why}.")
