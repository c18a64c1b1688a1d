"""
Build the release, check what is in it, and try it in an environment that holds nothing else.

Usage: python .ci/check_release.py [FOLDER], where the two files shall lie in the end.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

PACKAGE: Final = "complycube_sessions"
ROOT: Final = Path(__file__).resolve().parent.parent
# Each has to be there, whatever git says.
NEEDED: Final = (
    "py.typed",
    "templates/complycube_sessions/list.html",
    "static/complycube_sessions/admin.css",
    "locale/de/LC_MESSAGES/django.mo",
    "migrations/0001_initial.py",
)
# What the source distribution holds beside the package.
SOURCES: Final = frozenset(
    {
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "setup.cfg",
    }
)
SMOKE: Final = Path(__file__).with_name("smoke.py")


def main(folder: Path) -> str | None:
    """Return what is wrong with the release, or None."""
    run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    fault = wheel_fault(wheel) or source_fault(source)
    if fault:
        return fault
    version = wheel.name.split("-")[1]
    with tempfile.TemporaryDirectory() as bare:
        run([sys.executable, "-m", "venv", bare])
        python = str(Path(bare) / "bin" / "python")
        run([python, "-m", "pip", "install", "--quiet", str(wheel.resolve())])
        run([python, "-W", "error", str(SMOKE), version], cwd=bare)
    say(f"{wheel.name} and {source.name} are complete, and the app runs from them")
    return None


def wheel_fault(wheel: Path) -> str | None:
    """Return what the wheel lacks or holds too much of."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tracked = tracked_files()
    # Sources of translations are for translators; everything else in the package is needed.
    missing = sorted(name for name in tracked - packed if not name.endswith(".po"))
    missing += [name for name in NEEDED if f"{PACKAGE}/{name}" not in packed]
    foreign = sorted(packed - tracked)
    if missing or foreign:
        return f"{wheel.name}: missing {missing}, not ours {foreign}"
    say(f"{wheel.name}: {len(packed)} files, all of the package and nothing else")
    return None


def source_fault(source: Path) -> str | None:
    """Return what the source distribution lacks or holds too much of."""
    with tarfile.open(source) as archive:
        paths = [PurePosixPath(member.name) for member in archive if member.isfile()]
    packed = {str(PurePosixPath(*path.parts[1:])) for path in paths}
    missing = sorted((tracked_files() | {"LICENSE", "README.md", "pyproject.toml"}) - packed)
    foreign = sorted(
        name
        for name in packed - tracked_files() - SOURCES
        if not name.startswith("django_complycube_sessions.egg-info/")
    )
    if missing or foreign:
        return f"{source.name}: missing {missing}, not ours {foreign}"
    say(f"{source.name}: {len(packed)} files, no tests and no demo site")
    return None


def tracked_files() -> set[str]:
    """Return the files of the package that git knows."""
    command = ["git", "ls-files", "-z", PACKAGE]
    return {name for name in run(command, cwd=str(ROOT)).split("\0") if name}


def run(command: list[str], cwd: str | None = None) -> str:
    """Run a command and return its output; end with both of its outputs where it fails."""
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
