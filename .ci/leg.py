"""
Run the tests of one pair of Python and Django on each database.

Usage: python .ci/leg.py PAIR FOLDER [ARGUMENT...], in the environment of the pair, such as
``py312-django60``. For each database, or those whose legs ``COMPLYCUBE_LEGS`` names, a report is written
to the folder. Further arguments are pytest's.

What meets no database (parsing, requests, the handling of the key, the documentation) needs no server, and
what `make test` runs with the oldest pair need not run twice. So the newest pair runs everything; for the
others a part stands for the rest, with the admin once for the Django between the oldest and the newest. The tests that are marked start processes on
databases of their own; .ci/run runs them apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

DATABASES: Final = {
    "sqlite": "sqlite://:memory:",
    "postgres": os.environ.get("POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
}
# What every pair runs on every database.
PART: Final = (
    "tests/sync",
    "tests/mirror",
    "tests/webhooks",
    "tests/evidence",
    "tests/statistics",
    "tests/db",
    "tests/models",
    "tests/management",
    "tests/privacy",
    "tests/test_migrations.py",
    "tests/test_views.py",
)
ADMIN: Final = (*PART, "tests/admin", "tests/test_tasks.py")
WITHOUT_DATABASE: Final = ("api", "security", "typing", "docs", "project", "test_project.py")
ALL: Final = ("tests",)
ON_SERVERS: Final = (*ALL, *(f"--ignore=tests/{name}" for name in WITHOUT_DATABASE))
# All but what .ci/run runs apart, the other host projects too.
APART: Final = "not browser and not databases and not engines and not node and not hosts and not themes and not demo"
EVERYTHING: Final = (*ALL, "-m", f"{APART} and not thorough")
# Whole grids, and thousands of random examples: in the workflow, whose legs run beside each other.
THOROUGH: Final = (*ALL, "--hypothesis-profile=thorough", "-m", APART)
SELECTIONS: Final = {
    ("py312-django60", "sqlite"): ADMIN,
    ("py313-django61", "sqlite"): THOROUGH
    if os.environ.get("COMPLYCUBE_THOROUGH") == "1"
    else EVERYTHING,
    ("py313-django61", "postgres"): ON_SERVERS,
    ("py313-django61", "mariadb"): ON_SERVERS,
}


def main(pair: str, folder: Path, *arguments: str) -> int:
    """Run each database though another one has failed, and return the first exit code that is not 0."""
    chosen = os.environ.get("COMPLYCUBE_LEGS", "").split()
    databases = [name for name in DATABASES if not chosen or f"{pair}-{name}" in chosen]
    codes = [run(pair, database, folder, *arguments) for database in databases]
    return next(filter(None, codes), 0)


def run(pair: str, database: str, folder: Path, *arguments: str) -> int:
    """Run the tests of a leg, write its report and return pytest's exit code."""
    report = folder / f"{pair}-{database}.xml"
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-n",
        "auto",
        "--dist=loadgroup",
    ]
    command += [f"--junitxml={report}", *selection(pair, database), *arguments]
    environment = {**os.environ, "DATABASE_URL": DATABASES[database]}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - our own command


def selection(pair: str, database: str) -> tuple[str, ...]:
    """Return what a pair runs on a database, as arguments of pytest."""
    return SELECTIONS.get((pair, database), PART)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]))
