from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from project.secret_key import read_or_create


def test_read_or_create__makes_a_private_file_once(tmp_path: Path) -> None:
    """The key is random, kept, and readable by its owner alone."""
    path = tmp_path / "key"
    key = read_or_create(path)
    assert len(key) >= 50
    assert read_or_create(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_create(tmp_path / "other") != key


def test_read_or_create__racing_starters_agree(tmp_path: Path) -> None:
    """All that start at the same moment get one key, and nothing else is left in the folder."""
    starters = 8
    barrier = Barrier(starters)

    def start(number: int) -> str:
        barrier.wait(timeout=10)
        return read_or_create(tmp_path / "key")

    for _round in range(20):
        (tmp_path / "key").unlink(missing_ok=True)
        with ThreadPoolExecutor(starters) as pool:
            assert len(set(pool.map(start, range(starters)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
