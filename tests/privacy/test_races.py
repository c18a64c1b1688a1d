from __future__ import annotations

import json

import pytest

from tests.reliability.conftest import OpenDatabase


@pytest.mark.databases
@pytest.mark.parametrize("first", ["writer", "erasure"])
@pytest.mark.parametrize("writer", ["store", "event", "queue"])
@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "sqlite"])
def test_races__erasure_meets_writer(
    open_database: OpenDatabase, kind: str, writer: str, first: str
) -> None:
    """
    Of an erasure and a writer in the middle of their transactions one waits, and nobody comes back.

    Neither is a writer that has found nobody erased overtaken before it commits, nor does one that
    comes while an erasure is going on miss it.
    """
    database = open_database(kind)
    process = database.start(
        "http://127.0.0.1:9/v1", writer, first, module="tests.privacy.race_worker"
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    left = json.loads(out)
    assert left["errors"] == []
    assert left["waited"]
    assert left["rows"] == 0
    sessions = 2 if writer == "store" else 1
    assert left["hashes"] == ["check", "client", *["session"] * sessions]
