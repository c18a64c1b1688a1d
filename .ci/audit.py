"""
Look for known vulnerabilities in what is installed here: pip-audit, by PyPI's advisories or OSV's.

Exit code 1: there is one. Where neither service answers, nothing was audited: that is said, and is no
failure, since a lint without network has to work.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

OURS: Final = "django-complycube-sessions"
SERVICES: Final = ("pypi", "osv")
TIMEOUT_SECONDS: Final = 15


def main() -> int:
    """Audit with the first service that answers."""
    for service in SERVICES:
        found = audit(service)
        audited = [package for package in found if "vulns" in package]
        if audited:
            return report(service, audited, len(found) - len(audited))
    sys.stdout.write(
        "pip-audit: NOT AUDITED. No service of advisories can be reached from here "
        f"({', '.join(SERVICES)}); run `make lint` again where one can.\n"
    )
    return 0


def audit(service: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package; nothing where the service does not answer."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    command += ["--vulnerability-service", service, "--timeout", str(TIMEOUT_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        # Its last line names the fault; those above are a traceback.
        fault = (done.stderr.strip().splitlines() or ["no output"])[-1]
        sys.stdout.write(f"pip-audit with {service}: {fault[:300]}\n")
        return []
    return [package for package in found if package["name"] != OURS]


def report(service: str, audited: list[dict[str, Any]], unknown: int) -> int:
    """Print each vulnerability and return 1 if there is one."""
    vulnerable = [package for package in audited if package["vulns"]]
    for package in vulnerable:
        for vulnerability in package["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "nothing yet"
            name = f"{package['name']} {package['version']}"
            sys.stdout.write(f"{name}: {vulnerability['id']}, fixed by {fixed}\n")
    sys.stdout.write(
        f"pip-audit with {service}: {len(audited)} packages, {len(vulnerable)} of them vulnerable, "
        f"{unknown} unknown to the service\n"
    )
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
