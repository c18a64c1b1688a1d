"""Check that a wheel carries all of the app and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "complycube_sessions"
ROOT = Path(__file__).resolve().parent.parent


def main(wheel: str) -> str | None:
    """Return what is wrong with a wheel, or None."""
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    listed = subprocess.run(  # noqa: S603 - a fixed command
        ["git", "ls-files", "-z", PACKAGE],  # noqa: S607 - the git of whoever runs it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tracked = {name for name in listed.stdout.split("\0") if name}
    # Sources of translations are for translators; everything else in the package is needed.
    missing = sorted(name for name in tracked - packed if not name.endswith(".po"))
    foreign = sorted(packed - tracked)
    if f"{PACKAGE}/py.typed" not in packed:
        missing.append(f"{PACKAGE}/py.typed")
    if missing or foreign:
        return f"{wheel}: missing {missing}, not ours {foreign}"
    sys.stdout.write(f"{wheel}: {len(packed)} files, all of the package and nothing else\n")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
