"""
Invented sessions and checks, the same ones for the same seed.

Pure: no database, no clock, no Django. A session depends on the seed, its number and ``now`` only, so
a longer run begins with the shorter one, and times alone move when ``now`` does.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from project.sandbox.breakdowns import breakdown
from project.sandbox.people import entity_name
from project.sandbox.workflows import BY_ID, WORKFLOWS, Workflow

Body = dict[str, Any]

DAYS: Final = 90

# The first sessions, so that even a small sandbox shows every status and every outcome.
FIRST_SCENARIOS: Final = (
    ("complete", "clear"),
    ("complete", "attention"),
    ("complete", "review"),
    ("complete", "decline"),
    ("complete", "rejected"),
    ("complete", "match_confirmed"),
    ("complete", "not_processed"),
    ("started", ""),
    ("processing", ""),
    ("abandoned", ""),
    ("cancelled", ""),
    ("monitored", "clear"),
    ("unfinished", "attention"),
    ("repeated", "clear"),
)
SCENARIOS: Final = (
    (("complete", "clear"), 60),
    (("complete", "attention"), 8),
    (("complete", "review"), 5),
    (("complete", "decline"), 3),
    (("complete", "rejected"), 2),
    (("complete", "match_confirmed"), 2),
    (("complete", "not_processed"), 1),
    # Clear when it ended; monitoring re-opened its screening later.
    (("monitored", "clear"), 3),
    # Complete, although one of its checks failed or still runs.
    (("unfinished", "attention"), 2),
    # A document that was refused, and taken again.
    (("repeated", "clear"), 3),
    (("started", ""), 4),
    (("processing", ""), 3),
    (("abandoned", ""), 5),
    (("cancelled", ""), 2),
)
OPEN_STATUSES: Final = frozenset({"started", "processing", "abandoned", "cancelled"})

# Which outcome the check has that explains a session's outcome.
TELLING_OUTCOMES: Final = {
    "attention": ("attention",),
    "review": ("attention", "not_processed"),
    "decline": ("attention", "rejected"),
    "rejected": ("rejected",),
    "match_confirmed": ("match_confirmed",),
    "not_processed": ("not_processed",),
}
SOURCES: Final = {
    "documentId": (
        "document_check",
        "identity_check",
        "enhanced_identity_check",
        "proof_of_address_check",
        "driving_license_check",
    ),
    "addressId": ("multi_bureau_check", "identity_fraud_check"),
    "livePhotoId": ("identity_check", "age_estimation_check", "face_authentication_check"),
    "liveVideoId": ("enhanced_identity_check",),
}


def generate(count: int, seed: int | str, now: datetime) -> Iterator[tuple[Body, list[Body]]]:
    """
    Yield that many sessions, each with its checks, as GET by id shows them.

    Args:
        count: How many, from number 0.
        seed: Another one gives other people, ids and stories.
        now: An aware time; everything happened in the 90 days before it.
    """
    for number in range(count):
        yield _session(number, seed, now)


def pending_checks(session: Body, now: datetime) -> list[tuple[Body, str]]:
    """Return a new pending check for each step of a session's workflow, with the id of its task."""
    workflow = BY_ID.get(session.get("workflowTemplateId", ""))
    client: Body = {name: session[name] for name in ("clientId", "entityName") if name in session}
    return [
        (
            {
                "id": secrets.token_hex(12),
                **client,
                "type": kind,
                "enableMonitoring": False,
                "status": "pending",
                "createdAt": iso(now),
                "updatedAt": iso(now),
            },
            _task_id(kind),
        )
        for kind in (workflow.checks if workflow else ())
    ]


def assurance(session: Body, checks: list[Body], outcome: str, at: datetime) -> list[Body]:
    """Return how the policies of a session are met under an outcome that it was given later."""
    workflow = BY_ID.get(session.get("workflowTemplateId", ""))
    return _assurance(workflow, checks, outcome, at) if workflow else []


def iso(moment: datetime) -> str:
    """Return a time as the API writes it, in UTC with milliseconds and ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _session(number: int, seed: int | str, now: datetime) -> tuple[Body, list[Body]]:
    rng = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable on purpose
    scenario, outcome = _scenario(number, rng)
    workflow = _workflow(number, scenario, outcome, rng)
    version = rng.randint(1, len(workflow.versions))
    client_id, name = _client(number, seed, rng)
    # Drawn as a share of the 90 days, with room for all that follows the creation.
    created_at = now - timedelta(days=DAYS) * rng.uniform(0.01, 1) ** 1.1
    room = now - created_at
    spent = min(timedelta(seconds=rng.randint(50, 1500)), room * 0.4)
    ended_at = created_at + spent
    status = scenario if scenario in OPEN_STATUSES else "complete"

    session: Body = {
        "id": f"{rng.getrandbits(96):024x}",
        "clientId": client_id,
        "entityName": name,
        "status": status,
        "workflowTemplateId": workflow.id,
        "workflowTemplateName": workflow.name,
        "workflowTemplateDescription": workflow.description,
        "workflowId": workflow.version_id(version),
        "workflowVersion": version,
        "workflowDescription": workflow.versions[version - 1],
        "createdAt": iso(created_at),
    }
    checks = _checks(session, workflow, scenario, outcome, created_at, ended_at, rng)
    later = timedelta()
    if scenario == "monitored" or (status == "complete" and rng.random() < 0.1):
        later = (room - spent) * rng.uniform(0.2, 0.9)
    if scenario == "monitored":
        _reopen(checks, ended_at + later, rng)
    # In the vendor's example a session is updated a little after it completed.
    updated_at = ended_at + max(later, min(timedelta(seconds=rng.randint(1, 120)), room * 0.1))
    session["compliancePolicies"] = _policies(workflow)
    session["tasks"] = _tasks(workflow, checks, status, created_at, ended_at)
    done = [task["id"] for task in session["tasks"] if task["status"] == "complete"]
    session["lastCompletedTaskId"] = done[-1] if done else ""
    session["allRelatedChecks"] = [
        {"checkId": check["id"], "type": check["type"], "taskId": _task_id(check["type"])}
        for check in checks
    ]
    if status == "complete":
        session["outcome"] = outcome
        session["completedAt"] = iso(ended_at)
        session["policyAssurance"] = _assurance(workflow, checks, outcome, ended_at)
    session["updatedAt"] = iso(updated_at)
    # The vendor leaves out what is empty.
    return {key: value for key, value in session.items() if value not in ("", [])}, checks


def _scenario(number: int, rng: random.Random) -> tuple[str, str]:
    if number < len(FIRST_SCENARIOS):
        return FIRST_SCENARIOS[number]
    scenarios, weights = zip(*SCENARIOS, strict=True)
    drawn: tuple[str, str] = rng.choices(scenarios, weights)[0]
    return drawn


def _workflow(number: int, scenario: str, outcome: str, rng: random.Random) -> Workflow:
    if outcome == "match_confirmed" or scenario in {"monitored", "repeated"}:
        return WORKFLOWS[0]  # it screens, and it takes a document
    if number < 4 * len(WORKFLOWS):
        return WORKFLOWS[number % len(WORKFLOWS)]
    return rng.choices(WORKFLOWS, (34, 24, 10, 9, 8, 7, 8))[0]


def _client(number: int, seed: int | str, rng: random.Random) -> tuple[str, str]:
    """Return the id and name of a session's client; some come back, one of them again and again."""
    owner = number
    if number % 41 == 40:
        owner = 3
    elif number and rng.random() < 0.14:
        owner = rng.randrange(number)
    client_rng = random.Random(f"{seed}:client:{owner}")  # noqa: S311 - repeatable on purpose
    return f"{client_rng.getrandbits(96):024x}", entity_name(client_rng, owner)


def _checks(
    session: Body,
    workflow: Workflow,
    scenario: str,
    outcome: str,
    started_at: datetime,
    ended_at: datetime,
    rng: random.Random,
) -> list[Body]:
    """Return the checks of a session in the order of its steps."""
    kinds = list(workflow.checks)
    if scenario in {"started", "cancelled"}:
        kinds = []
    elif scenario == "abandoned":
        kinds = kinds[: rng.randint(0, 1)]
    results = ["clear"] * len(kinds)
    if outcome in TELLING_OUTCOMES:
        word = rng.choice(TELLING_OUTCOMES[outcome])
        results[_telling_step(kinds, word, rng)] = word
    if outcome in {"review", "decline"}:
        results[rng.randrange(len(kinds))] = "attention"
    if scenario == "processing":
        results[rng.randrange(len(kinds)) :] = ["pending"] * len(kinds)
        del results[len(kinds) :]
    elif scenario == "unfinished":
        results[-1] = rng.choice(["pending", "failed"])
    elif scenario == "repeated":
        step = kinds.index("document_check")
        kinds.insert(step, "document_check")
        results.insert(step, rng.choice(["not_processed", "attention"]))
    step_time = (ended_at - started_at) / (len(kinds) + 1)
    return [
        _check(session, kind, result, started_at + step_time * step, step_time, rng)
        for step, (kind, result) in enumerate(zip(kinds, results, strict=True), start=1)
    ]


def _telling_step(kinds: list[str], outcome: str, rng: random.Random) -> int:
    """Return the step of the check that explains an outcome: a screening alone has matches to confirm."""
    screens = ["screening" in kind for kind in kinds]
    if outcome == "match_confirmed":
        return screens.index(True)
    steps = [step for step, is_one in enumerate(screens) if outcome != "rejected" or not is_one]
    return rng.choice(steps)


def _check(
    session: Body,
    kind: str,
    result: str,
    created_at: datetime,
    step_time: timedelta,
    rng: random.Random,
) -> Body:
    check: Body = {
        "id": f"{rng.getrandbits(96):024x}",
        "clientId": session["clientId"],
        "entityName": session["entityName"],
        "type": kind,
        "enableMonitoring": "screening" in kind and rng.random() < 0.4,
        "clientConsent": True,
    }
    for name, kinds in SOURCES.items():
        if kind in kinds:
            check[name] = f"{rng.getrandbits(96):024x}"
    check["status"] = result if result in {"pending", "failed"} else "complete"
    if check["status"] == "complete":
        check["result"] = {
            "outcome": result,
            "breakdown": breakdown(kind, result, session["entityName"], rng),
        }
    took = timedelta() if result == "pending" else step_time * rng.uniform(0.2, 0.95)
    check["createdAt"] = iso(created_at)
    check["updatedAt"] = iso(created_at + took)
    return check


def _reopen(checks: list[Body], at: datetime, rng: random.Random) -> None:
    """Let the monitoring of a screening find something, long after the session."""
    check = next(check for check in checks if "screening" in check["type"])
    found = breakdown(check["type"], "attention", check["entityName"], rng)
    check.update(
        enableMonitoring=True,
        result={"outcome": "attention", "breakdown": found},
        updatedAt=iso(at),
    )


def _policies(workflow: Workflow) -> list[Body]:
    return [
        {"id": _policy_id(workflow, step), "version": 1, "title": name, "isCustom": False}
        for step, name in enumerate(workflow.policies)
    ]


def _assurance(workflow: Workflow, checks: list[Body], outcome: str, at: datetime) -> list[Body]:
    """
    Return how the policies were met.

    The vendor documents no words for it, so these are the ones that it documents for checks.
    """
    words = {"clear": "clear", "attention": "attention", "review": "attention"}
    return [
        {
            "id": _policy_id(workflow, step),
            "title": name,
            "status": "complete",
            "outcome": words.get(outcome, "rejected"),
            "checks": [check["id"] for check in checks],
            "createdAt": iso(at),
        }
        for step, name in enumerate(workflow.policies)
    ]


def _policy_id(workflow: Workflow, step: int) -> str:
    return f"{workflow.id[:20]}{int(workflow.id[-4:], 16) + 16 + step:04x}"


def _task_id(kind: str) -> str:
    return f"task_{kind.removesuffix('_check')}"


def _tasks(
    workflow: Workflow, checks: list[Body], status: str, started_at: datetime, ended_at: datetime
) -> list[Body]:
    """Return the steps of a session: the welcome, one a kind of check, and the end."""
    made = {check["type"]: check for check in checks}
    tasks: list[Body] = [
        {
            "id": "task_intro",
            "name": "Welcome and consent",
            "type": "introduction",
            "status": "pending" if status == "cancelled" else "complete",
            "createdAt": iso(started_at),
        }
    ]
    for kind in workflow.checks:
        check = made.get(kind)
        task = {
            "id": _task_id(kind),
            "name": kind.replace("_", " ").capitalize().replace("Ssn", "SSN").replace("Eid", "eID"),
            "type": kind,
            "status": check["status"] if check else "pending",
        }
        if check:
            task["createdAt"] = check["createdAt"]
            if "result" in check:
                task["outcome"] = check["result"]["outcome"]
        tasks.append(task)
    if status == "complete":
        tasks.append(
            {
                "id": "task_finish",
                "name": "Thank you",
                "type": "completion",
                "status": "complete",
                "createdAt": iso(ended_at),
            }
        )
    return tasks
