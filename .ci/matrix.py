"""
Run the legs that this machine can run, and print how many tests each of them ran.

A leg is a pair of Python and Django of tox.ini on one of the databases of leg.py.

Usage: python .ci/matrix.py [--strict] [PART …]. A part such as ``py312`` or ``django61-postgres`` chooses the
legs whose names have all of its factors; without one, all are chosen. With ``--strict`` a chosen leg whose
interpreter or server is missing, and a leg that skipped a test, is a failure.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

from leg import DATABASES

ROOT: Final = Path(__file__).resolve().parent.parent
WORK: Final = ROOT / ".tox"
PYENV: Final = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
SERVERS: Final = {name: url for name, url in DATABASES.items() if name != "sqlite"}


def main(*parts: str, strict: bool) -> int:
    """Return 0 where every leg that ran is green, and with ``strict`` where none was left out."""
    legs = choose(expected_legs(), parts)
    interpreters = {name: find_python(name) for name in {leg.split("-")[0] for leg in legs}}
    left_out = {leg: lack for leg in legs if (lack := lacking(leg, interpreters))}
    for leg, lack in left_out.items():
        say(f"{leg}: not run, there is no {lack}")
    if strict and left_out:
        say("Every leg has to run.")
        return 1
    chosen = [leg for leg in legs if leg not in left_out]
    for leg in chosen:
        (WORK / f"{leg}.xml").unlink(missing_ok=True)
    exit_code = run_tox(chosen, [path for path in interpreters.values() if path])
    counted = [report(leg, strict=strict) for leg in chosen]
    return exit_code or (0 if chosen and all(counted) else 1)


def expected_legs() -> list[str]:
    """Return each environment of tox.ini with each database, in their order."""
    done = subprocess.run(  # noqa: S603 - a fixed command
        [*TOX, "list", "--no-desc", "-qq"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [f"{pair}-{database}" for pair in done.stdout.split() for database in DATABASES]


def choose(legs: list[str], parts: tuple[str, ...]) -> list[str]:
    """Return the legs that have all factors of a part; a part that no leg has ends the run."""
    factors = [set(part.split("-")) for part in parts]
    for part, wanted in zip(parts, factors, strict=True):
        if not any(wanted <= set(leg.split("-")) for leg in legs):
            sys.exit(f"tox.ini has no leg with {part}.")
    return [
        leg for leg in legs if not parts or any(wanted <= set(leg.split("-")) for wanted in factors)
    ]


def find_python(name: str) -> str | None:
    """Return the interpreter of a factor such as ``py312``, on the path or of pyenv, if it runs."""
    version = f"{name[2]}.{name[3:]}"
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, PYENV.glob(f"{version}*/bin/python{version}")), reverse=True)
    for path in filter(None, candidates):
        # A shim of pyenv is there for versions that are not switched on, and fails.
        told = subprocess.run(  # noqa: S603 - an interpreter of this machine
            [path, "-c", "import sys; print(sys.executable)"],
            capture_output=True,
            text=True,
            check=False,
        )
        if told.returncode == 0:
            return told.stdout.strip()
    return None


def lacking(leg: str, interpreters: dict[str, str | None]) -> str:
    """Return what a leg needs and this machine does not have, or ``""``."""
    python, _, database = leg.split("-")
    if interpreters[python] is None:
        return f"Python {python[2]}.{python[3:]}"
    if database not in SERVERS:
        return ""
    parts = urlsplit(SERVERS[database])
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5).close()
    except OSError:
        return f"{database} on {parts.hostname}:{parts.port}"
    return ""


def run_tox(legs: list[str], interpreters: list[str]) -> int:
    """Run the legs, one pair after the other, for each uses all processors, and return the exit code."""
    if not legs:
        return 1
    pairs = dict.fromkeys(leg.rpartition("-")[0] for leg in legs)
    command = [*TOX, "run", "--skip-missing-interpreters", "false", "-e", ",".join(pairs)]
    # Once, with all of them: of several, tox takes the last.
    command += ["--discover", *interpreters]
    environment = {**os.environ, "COMPLYCUBE_LEGS": " ".join(legs)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 - our own command


def report(leg: str, *, strict: bool) -> bool:
    """Print the counts of a leg from its report, and return whether they are good."""
    path = WORK / f"{leg}.xml"
    if not path.is_file():
        say(f"{leg}: no report, so it ran no test")
        return False
    suites = ElementTree.parse(path).getroot()  # noqa: S314 - pytest of this machine wrote it
    total = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    say(f"{leg}: " + ", ".join(f"{count} {name}" for name, count in total.items()))
    bad = total["failures"] + total["errors"] + (total["skipped"] if strict else 0)
    return total["tests"] > 0 and not bad


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


TOX: Final = (sys.executable, "-m", "tox")

if __name__ == "__main__":
    options = sys.argv[1:]
    sys.exit(main(*(part for part in options if part != "--strict"), strict="--strict" in options))
