from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import responses

from tests.installed_wheel.host import ROOT, Host
from tests.reliability.processes import SERVERS

MakeHost = Callable[..., Host]


@pytest.fixture(autouse=True)
def real_requests(mocked: responses.RequestsMock) -> Iterator[None]:
    """Let requests of this process reach the host's own server."""
    mocked.stop(allow_assert=False)
    yield
    mocked.start()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as a release would."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def make_host(tmp_path: Path, wheel: Path) -> MakeHost:
    """Return what makes a project of its own with the wheel and further packages installed."""
    return lambda *packages: Host(tmp_path, wheel, *packages)


@pytest.fixture
def postgres() -> Iterator[str]:
    """Make a PostgreSQL database and drop it; where no server answers, the test fails."""
    import psycopg

    server, name = SERVERS["postgresql"], f"complycube_host_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
