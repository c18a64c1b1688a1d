"""On which port a demo of this folder is up, for commands that are started beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path


def read_port(path: Path) -> int | None:
    """Return the port that a demo has noted, or None where none has."""
    try:
        port = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 65_536 else None


@contextlib.contextmanager
def noted_port(path: Path, port: int) -> Iterator[None]:
    """Note the port while the block runs; a folder that cannot be written has no note."""
    with contextlib.suppress(OSError):
        path.write_text(str(port), encoding="ascii")
    try:
        yield
    finally:
        if read_port(path) == port:  # a demo that was started since has noted its own
            path.unlink(missing_ok=True)
