"""Sending a file while it is made, behind WSGI and ASGI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, Final, Self

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, HttpRequest, StreamingHttpResponse

BLOCK_BYTES: Final = 65_536


def streamed(
    request: HttpRequest, pieces: Iterator[bytes], content_type: str, *, reads_database: bool
) -> StreamingHttpResponse:
    """
    Return a response that sends each piece when it is there.

    Behind ASGI every piece is made in a thread, while the server's loop answers others.

    Args:
        request: Which of the two it came by.
        pieces: What to send. Its ``close``, if it has one, is called however the download ends.
        content_type: That of the response.
        reads_database: Whether a piece needs the thread of the request, which has its connections.
    """
    sent: Any = pieces
    if isinstance(request, ASGIRequest):
        sent = _AsyncPieces(pieces, thread_sensitive=reads_database)
    return StreamingHttpResponse(sent, content_type=content_type)


def streamed_file(
    request: HttpRequest, file: IO[bytes], name: str, content_type: str
) -> FileResponse:
    """Return a file as a download, which the response closes."""
    response = FileResponse(file, as_attachment=True, filename=name, content_type=content_type)
    if isinstance(request, ASGIRequest):
        # Django would read the whole file into memory, with a warning.
        blocks: Any = iter(partial(file.read, BLOCK_BYTES), b"")
        response.streaming_content = _AsyncPieces(blocks, thread_sensitive=True)
    return response


class _AsyncPieces:
    """Pieces of which each is waited for in a thread."""

    def __init__(self, pieces: Iterator[bytes], *, thread_sensitive: bool) -> None:
        self._pieces = pieces
        self._in_thread: Any = sync_to_async(self._next, thread_sensitive=thread_sensitive)
        self.close: Callable[[], None] = getattr(pieces, "close", lambda: None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece: bytes = await self._in_thread()
        if not piece:
            raise StopAsyncIteration
        return piece

    def _next(self) -> bytes:
        return next(self._pieces, b"")
