"""The fetch of a report from an address that somebody else chose."""

from __future__ import annotations

import itertools
import socket
import threading
import traceback
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from complycube_sessions.api import report
from complycube_sessions.api.report import ReportUrl, is_public, open_report
from complycube_sessions.conf import Account
from complycube_sessions.exceptions import (
    ComplyCubeConfigurationError,
    ComplyCubeConnectionError,
    ComplyCubeError,
    ComplyCubeReportError,
)
from tests.report_server import (
    CA_BUNDLE,
    HOST,
    PDF,
    PUBLIC,
    SECRET,
    URL,
    ReportServer,
    head,
    whole,
)

KEY = "test_a-key-that-is-secret"
ACCOUNT = Account(name="default", api_key=KEY, ca_bundle=CA_BUNDLE, timeout_seconds=5)
PRIVATE = (
    "127.0.0.1",
    "127.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - it is refused
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:0a00:0001::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2001:db8::1",
)


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterable[None]:
    """See that no clock of a report runs on after a test."""
    yield
    left = [t for t in threading.enumerate() if isinstance(t, threading.Timer) and t.is_alive()]
    for timer in left:
        timer.join(2)
    assert not any(timer.is_alive() for timer in left)


def fetched(url: str = URL, account: Account = ACCOUNT) -> bytes:
    return b"".join(open_report(ReportUrl(url), account))


def refusal(
    url: str = URL,
    account: Account = ACCOUNT,
    kind: type[ComplyCubeError] = ComplyCubeReportError,
) -> str:
    """Return the message of the error of a fetch, which never tells the address or the key."""
    with pytest.raises(kind) as caught:
        fetched(url, account)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert KEY not in shown
    assert type(caught.value) is kind
    return str(caught.value)


def test_report__is_fetched_without_the_key(files: ReportServer) -> None:
    """The bytes come as they are; the key is not sent, and the host is named to the server."""
    with_size = open_report(ReportUrl(URL), ACCOUNT)
    assert with_size.size_bytes == len(PDF)
    pieces = list(with_size)
    assert b"".join(pieces) == PDF
    assert max(map(len, pieces)) <= 64 * 1024
    (request,) = files.requests
    assert request.startswith(f"GET /reports/a.pdf?signature={SECRET} HTTP/1.1\r\n".encode())
    assert f"Host: {HOST}\r\n".encode() in request
    assert b"authorization" not in request.lower()
    assert KEY.encode() not in request


def test_address__is_looked_up_once(files: ReportServer) -> None:
    """The connection goes to the address that was checked: a second answer for the name is never asked for."""
    fetched()
    assert files.lookups == [HOST, PUBLIC]


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/a.pdf?{SECRET}",
        f"ftp://{HOST}/a.pdf?{SECRET}",
        f"file:///etc/passwd?{SECRET}",
        f"//{HOST}/a.pdf?{SECRET}",
        f"/a.pdf?{SECRET}",
        f"javascript:{SECRET}",
        f"https://user:{SECRET}@{HOST}/a.pdf",
        f"https://{HOST}:8443/{SECRET}",
        f"https://{HOST}:0x1bb/{SECRET}",
        f"https://{HOST}:0/{SECRET}",
        f"https://{HOST}:00/{SECRET}",
        f"https://{HOST}:99999/{SECRET}",
        f"https://{HOST}\\@10.0.0.1/{SECRET}",
        f"https://{HOST}/{SECRET}\r\nX: y",
        f"https://{HOST}/{SECRET} HTTP/1.1",
        f"https://{HOST}/{SECRET}\u00e9",
        f"https://\uff11\uff12\uff17.0.0.1/{SECRET}",
        f"https://exa%6dple.test/{SECRET}",
        f"https:///{SECRET}",
        f"https://[::1/{SECRET}",
        f"https://[v1.x]/{SECRET}",
        f"https://[fe80::1%25eth0]/{SECRET}",
        f"https://{HOST}/{SECRET}{'x' * 9000}",
        f"https://{'a' * 300}.test/{SECRET}",
        f"JVBERi0xLjQ{SECRET}",
        "",
    ],
)
def test_address__not_one_to_ask(files: ReportServer, url: str) -> None:
    """Anything but a plain https address on its own port is refused before a connection."""
    assert "address of the report was refused" in refusal(url)
    assert files.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[fd00:ec2::254]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "localhost",
    ],
)
def test_address__this_machine_or_network(files: ReportServer, host: str) -> None:
    """An address that is not public is refused in whatever form it is written."""
    said = refusal(f"https://{host}/latest/meta-data?{SECRET}")
    assert said == "The address of the report was refused: its host is not on the public internet."
    assert files.requests == []


@pytest.mark.parametrize("address", PRIVATE)
def test_address__name_of_a_private_one(files: ReportServer, address: str) -> None:
    """A name is refused when any of its addresses is not public, be the others what they may."""
    for answers in ([address], [PUBLIC, address], [address, PUBLIC]):
        files.names[HOST] = answers
        assert "not on the public internet" in refusal()
    assert files.requests == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        *((address, False) for address in PRIVATE),
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::93.184.216.34", True),
    ],
)
def test_is_public(address: str, expected: bool) -> None:
    """What is wrapped in an address of version 6 counts, not the wrapping."""
    assert is_public(ip_address(address)) is expected


def test_address__unknown_name(files: ReportServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nobody knows is a broken connection, not a refusal."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(f"no such host {SECRET}")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert "was not found" in refusal(kind=ComplyCubeConnectionError)


def test_tls__name_is_verified(files: ReportServer) -> None:
    """A certificate of another host is not accepted, though the address is the same."""
    files.names["other.example.test"] = [PUBLIC]
    url = f"https://other.example.test/{SECRET}"
    assert "SSLCertVerificationError" in refusal(url, kind=ComplyCubeConnectionError)
    assert files.requests == []


def test_tls__authority_is_verified(files: ReportServer) -> None:
    """A certificate of an unknown authority is not accepted."""
    account = replace(ACCOUNT, ca_bundle=None)
    assert "SSLCertVerificationError" in refusal(account=account, kind=ComplyCubeConnectionError)


def test_tls__no_such_bundle(files: ReportServer) -> None:
    """A bundle that is not there is a fault of the settings."""
    account = replace(ACCOUNT, ca_bundle="/nowhere/ca.pem")
    with pytest.raises(ComplyCubeConfigurationError, match="CA_BUNDLE"):
        fetched(account=account)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_answer__redirect(files: ReportServer, status: int) -> None:
    """A redirect is not followed, wherever it leads."""
    location = f"https://{HOST}/other?{SECRET}"
    files.reply = lambda: [whole(b"", status, Location=location)]
    assert "redirects" in refusal()
    assert len(files.requests) == 1


@pytest.mark.parametrize("status", [204, 206, 401, 403, 404, 410, 429, 500, 503])
def test_answer__no_report(files: ReportServer, status: int) -> None:
    """Any status but 200 is named, and its body is not read."""
    files.reply = lambda: [whole(SECRET.encode(), status)]
    assert refusal() == f"The address of the report answered {status}."


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"<html>" + SECRET.encode()),
        whole(b"<html>", Content_Type="text/html"),
        whole(PDF, Content_Type="text/html; charset=utf-8"),
        whole(PDF, Content_Type="image/svg+xml"),
        whole(b""),
        whole(b"%PD"),
        whole(b"\n%PDF-1.4"),
        whole(PDF, Content_Encoding="gzip"),
        head(Content_Type="application/pdf"),
    ],
)
def test_answer__no_pdf(files: ReportServer, answer: bytes) -> None:
    """What does not say that it is a PDF, or does not begin like one, is not handed on."""
    files.reply = lambda: [answer]
    assert "no PDF" in (said := refusal()) or "encoding" in said


@pytest.mark.parametrize(
    "kind", ["application/pdf;charset=binary", "APPLICATION/PDF", "binary/octet-stream"]
)
def test_answer__pdf_of_a_storage(files: ReportServer, kind: str) -> None:
    """Storage services name a PDF in several ways."""
    files.reply = lambda: [whole(Content_Type=kind)]
    assert fetched() == PDF


def test_answer__in_small_pieces(files: ReportServer) -> None:
    """A PDF whose first bytes come one by one is one."""
    answer = whole(PDF[:300])
    files.reply = lambda: [answer[number : number + 1] for number in range(len(answer))]
    assert fetched() == PDF[:300]


def test_answer__chunked(files: ReportServer) -> None:
    """An answer without a length has none here either."""
    start = head(Content_Type="application/pdf", Transfer_Encoding="chunked")
    files.reply = lambda: [start, b"9\r\n%PDF-1.4\n\r\n", b"4\r\nabcd\r\n", b"0\r\n\r\n"]
    opened = open_report(ReportUrl(URL), ACCOUNT)
    assert opened.size_bytes is None
    assert b"".join(opened) == b"%PDF-1.4\nabcd"


def test_answer__announced_too_large(files: ReportServer) -> None:
    """A length beyond the bound is refused before the body."""
    start = head(Content_Type="application/pdf", Content_Length=str(50 * 1024 * 1024 + 1))
    files.reply = lambda: [start, PDF]
    assert "larger than" in refusal()


def test_answer__grows_too_large(files: ReportServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that goes on for ever is cut at the bound."""
    monkeypatch.setattr(report, "MAX_BYTES", 100_000)
    start = head(Content_Type="application/pdf")
    files.reply = lambda: [start, b"%PDF-1.4", *[b"x" * 10_000] * 100]
    assert "larger than" in refusal()


def test_answer__breaks_off(files: ReportServer) -> None:
    """A body that is shorter than promised is an error, not a short report."""
    start = head(Content_Type="application/pdf", Content_Length=str(len(PDF)))
    files.reply = lambda: [start, PDF[:1000]]
    assert "did not arrive" in refusal(kind=ComplyCubeConnectionError)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 Told\r\nX: ", b"x"),
        (head(Content_Type="application/pdf"), b""),
        (head(Content_Type="application/pdf") + b"%PDF-", b"x"),
    ],
    ids=["nothing", "head", "first bytes", "body"],
)
def test_answer__takes_for_ever(
    files: ReportServer, monkeypatch: pytest.MonkeyPatch, start: bytes, piece: bytes
) -> None:
    """An answer that trickles for ever ends with its time, wherever it trickles."""
    monkeypatch.setattr(report, "TOTAL_SECONDS", 0.4)
    files.reply = lambda: itertools.chain([start], files.trickle(piece))
    assert "took too long" in refusal(kind=ComplyCubeConnectionError)


def test_answer__no_http(files: ReportServer) -> None:
    """An answer that is no HTTP is a broken connection."""
    files.reply = lambda: [b"SSH-2.0-OpenSSH\r\n\r\n"]
    assert "did not arrive" in refusal(kind=ComplyCubeConnectionError)


def test_close__ends_the_download(files: ReportServer) -> None:
    """Who has read enough closes the report, and the connection with it."""
    gone = threading.Event()

    def reply() -> Iterable[bytes]:
        try:
            yield head(Content_Type="application/pdf") + b"%PDF-1.4"
            yield from files.trickle(b"x" * 100_000)
        finally:
            gone.set()

    files.reply = reply
    opened = open_report(ReportUrl(URL), ACCOUNT)
    next(opened)
    opened.close()
    assert gone.wait(5)


def test_proxy__tunnels_to_the_checked_address(files: ReportServer) -> None:
    """Through a proxy the tunnel is asked for by the checked address, with the proxy's login."""
    proxy = f"http://me:p%40ss@127.0.0.1:{files.port}"
    assert fetched(account=replace(ACCOUNT, proxies={"https": proxy})) == PDF
    (tunnel,) = files.tunnels
    assert tunnel.startswith(f"CONNECT {PUBLIC}:443 ".encode())
    assert b"proxy-authorization: basic bwu6cebzcw==\r\n" in tunnel.lower()
    assert KEY.encode() not in tunnel
    files.names[HOST] = ["10.0.0.1"]
    refusal(account=replace(ACCOUNT, proxies={"https": proxy}))
    assert len(files.tunnels) == 1


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:1", "https://proxy.test", "http://", "http://127.0.0.1:0"]
)
def test_proxy__of_another_kind(files: ReportServer, proxy: str) -> None:
    """A proxy that opens no tunnel of this kind is a fault of the settings."""
    with pytest.raises(ComplyCubeConfigurationError, match="PROXIES"):
        fetched(account=replace(ACCOUNT, proxies={"https": proxy}))


def stand_in(files: ReportServer, base_url: str = "") -> Account:
    return replace(ACCOUNT, base_url=base_url or f"http://127.0.0.1:{files.port}/sandbox/v1")


def test_stand_in__serves_its_own_reports(files: ReportServer) -> None:
    """A stand-in for the API on this machine may name an address of its own, in plain http."""
    account = stand_in(files)
    assert fetched(f"{account.base_url}/reports/x.pdf?{SECRET}", account) == PDF
    (request,) = files.requests
    assert request.startswith(b"GET /sandbox/v1/reports/x.pdf?")
    assert f"Host: 127.0.0.1:{files.port}\r\n".encode() in request
    assert KEY.encode() not in request


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/admin/",
        "http://127.0.0.1:{port}/sandbox/v1",
        "http://127.0.0.1:{port}/sandbox/v12/x",
        "http://127.0.0.1:{port}/sandbox/v1/../../admin/",
        "http://127.0.0.1:{port}/sandbox/v1/%2e%2E/x",
        "http://127.0.0.1:1/sandbox/v1/x",
        "http://localhost:{port}/sandbox/v1/x",
        "http://u@127.0.0.1:{port}/sandbox/v1/x",
        "http://127.1:{port}/sandbox/v1/x",
        "http://10.0.0.1/sandbox/v1/x",
        "http://169.254.169.254/sandbox/v1/x",
    ],
)
def test_stand_in__opens_nothing_else(files: ReportServer, url: str) -> None:
    """Other paths, ports and hosts stay closed, beside a stand-in too."""
    refusal(url.replace("{port}", str(files.port)) + f"?{SECRET}", stand_in(files))
    assert files.requests == []


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.complycube.com/v1",
        "https://127.0.0.1:{port}/sandbox/v1",
        "http://10.0.0.1/sandbox/v1",
        "http://gateway.internal/sandbox/v1",
    ],
)
def test_stand_in__only_plain_http_on_this_machine(files: ReportServer, base_url: str) -> None:
    """With the API's own address, or one on a network, there is no such way."""
    files.names |= {"gateway.internal": ["10.0.0.1"], "api.complycube.com": ["10.0.0.2"]}
    account = stand_in(files, base_url.replace("{port}", str(files.port)))
    refusal(f"http://127.0.0.1:{files.port}/sandbox/v1/x?{SECRET}", account)
    refusal(f"{account.base_url}/x?{SECRET}", account)
    assert files.requests == []


def test_url__is_hidden() -> None:
    """The address is not in what is shown of the value that holds it."""
    assert SECRET not in repr(ReportUrl(URL))
