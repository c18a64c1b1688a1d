"""
Bounds on a response: how long it may take in total, and how large it may be.

Used for requests to the API (``http``) and for reports (``report``).
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

# The timeout of ``requests`` applies to each read, and a slow server may send single bytes.
MAX_ANSWER_TIMEOUTS: Final = 2
READ_BYTES: Final = 64 * 1024
USER_AGENT: Final = "django-complycube-sessions"


class BoundedAdapter(HTTPAdapter):
    """Give up on a response that is not complete, including its headers, after two timeouts."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **kwargs)
        _bound(manager)
        return manager


def bound_time(connection: HTTPConnection, seconds: float) -> None:
    """Give up on a response on this connection that is not complete, including its headers, after this time."""
    connection.response_class = partial(_Answer, seconds=seconds)  # type: ignore[assignment]


def pieces(
    response: urllib3.BaseHTTPResponse, max_bytes: int, too_large: Exception
) -> Iterator[bytes]:
    """Yield a body as it arrives, in pieces of at most 64 KiB; raise if it is larger than allowed."""
    size_bytes = 0
    # `read1` returns after one read of the socket; `stream` would wait for a full piece.
    while piece := response.read1(READ_BYTES, decode_content=True):
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise too_large
        yield piece


class _Reads(io.RawIOBase):
    """Reads one response; the timeout of each read is the remaining time."""

    def __init__(self, sock: socket.socket, seconds: float | None) -> None:
        self._sock = sock
        self._timeout = sock.gettimeout()
        if seconds is None:
            seconds = MAX_ANSWER_TIMEOUTS * (self._timeout or 0)
        self._deadline = time.monotonic() + seconds
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._timeout is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(min(self._timeout, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(
        self, sock: socket.socket, *args: Any, seconds: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_Reads(sock, seconds))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _bound(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
