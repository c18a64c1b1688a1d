from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from io import StringIO

import pytest
import responses
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from complycube_sessions.models import PendingRefresh, RefreshLease, RefreshRun, WorkflowSession
from tests.builders import SESSION_ID, UNKNOWN_ID, vendor_example
from tests.fake_api import KEY, FakeAPI

pytestmark = pytest.mark.django_db


def run(*args: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error, as a shell would see them."""
    out, err = StringIO(), StringIO()
    try:
        call_command("refresh_workflow_sessions", *args, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}\n"
    return 0, out.getvalue(), err.getvalue()


def without_seconds(text: str) -> str:
    return re.sub(r"in \d+\.\d s\.", "in … s.", text)


def test_command__all_stored(api: FakeAPI) -> None:
    """A run that stores all prints one summary line and exits 0."""
    for n in range(3):
        api.add_session(n)
    code, out, err = run()
    assert (code, err) == (0, "")
    assert without_seconds(out) == (
        "Incremental refresh of default succeeded: 3 listed, 3 fetched, 3 created, 0 updated, "
        "0 unchanged, 0 missing, 0 failed, 6 requests in … s.\n"
    )


def test_command__unknown_id(api: FakeAPI) -> None:
    """An id that the API does not know is named with the vendor's words, exit 1."""
    code, out, err = run(UNKNOWN_ID)
    assert code == 1
    assert f"Invalid workflow session id '{UNKNOWN_ID}'" in err
    assert "1 session failed; all others are stored." in err
    assert out.startswith("By id refresh of default partial")


@pytest.mark.parametrize("bad_id", ["../checks/1", "", "   "])
def test_command__malformed_id(api: FakeAPI, bad_id: str) -> None:
    """A malformed id alone exits 2 without a request; among good ones it exits 1, these stored."""
    api.sessions[SESSION_ID] = vendor_example()
    code, _, err = run(bad_id)
    assert code == 2
    assert "letters, digits" in err
    assert api.requests == []
    code, _, err = run(SESSION_ID, bad_id)
    assert code == 1
    assert repr(bad_id) in err
    assert WorkflowSession.objects.get().pk == SESSION_ID


def test_command__no_key(api: FakeAPI, settings: Settings) -> None:
    """Without a key it exits 2 and says what to type."""
    settings.COMPLYCUBE_ACCOUNTS = {}
    code, _, err = run()
    assert code == 2
    assert 'COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "test_…"}}' in err
    assert run("--account", "other")[0] == 2


def test_command__wrong_key(api: FakeAPI) -> None:
    """A key that the API refuses exits 2, says where to look, and is not shown."""
    api.key = "test_the-right-one"
    for args in [(), (SESSION_ID,)]:
        code, out, err = run(*args)
        assert code == 2
        assert 'header is invalid". ' in err
        assert "Check API_KEY in COMPLYCUBE_ACCOUNTS." in err
        assert KEY not in out + err
    assert KEY not in str(list(RefreshRun.objects.values()))


def test_command__locked(api: FakeAPI) -> None:
    """While another run of the account lives, it exits 3."""
    other = RefreshRun.objects.create(account="default", mode="full")
    expires = timezone.now() + timedelta(seconds=10)
    RefreshLease.objects.create(account="default", run=other, expires_at=expires)
    assert run()[0] == 3
    api.sessions[SESSION_ID] = vendor_example()
    assert run(SESSION_ID)[0] == 0


def test_command__interrupted(api: FakeAPI) -> None:
    """Ctrl-C stores what was fetched, marks the run, and exits 130."""
    ids = [api.add_session(n) for n in range(30)]

    def interrupt(path: str, page: int) -> None:
        if path == "/workflowSessions" and page == 2:
            raise KeyboardInterrupt

    api.page_size_limit = 10
    api.before_page = interrupt
    code, _, err = run()
    assert code == 130
    assert "Interrupted" in err
    assert RefreshRun.objects.get().state == "interrupted"
    assert set(WorkflowSession.objects.values_list("pk", flat=True)) == set(ids[-10:])
    assert RefreshLease.objects.get().run is None


def test_command__json(api: FakeAPI) -> None:
    """``--json`` prints one object and nothing else, also when some fail."""
    api.add_session(1)
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["state"] == "succeeded"
    assert (told["created"], told["requests"], told["errors"]) == (1, 4, {})
    assert told["watermark"].endswith("+00:00")
    code, out, _ = run("--json", UNKNOWN_ID)
    assert code == 1
    assert list(json.loads(out)["errors"]) == [UNKNOWN_ID]


def test_command__missing(api: FakeAPI) -> None:
    """A session that is gone upstream is named, exit 0."""
    api.sessions[SESSION_ID] = vendor_example()
    run(SESSION_ID)
    del api.sessions[SESSION_ID]
    code, out, _ = run(SESSION_ID)
    assert code == 0
    assert out.startswith(f"{SESSION_ID}: no longer known to the API; marked as missing.\n")


def test_command__limit_and_dry_run(api: FakeAPI) -> None:
    for n in range(5):
        api.add_session(n)
    code, out, _ = run("--dry-run")
    assert code == 0
    assert out.startswith("Dry run, nothing stored; would be: ")
    assert not WorkflowSession.objects.exists()
    code, out, _ = run("--limit", "2")
    assert code == 0
    assert "partial" in out
    assert WorkflowSession.objects.count() == 2


@pytest.mark.parametrize("age", ["2d", "6h", "30m", "1w", "2026-01-01", "2026-01-01T00:00:00Z"])
def test_command__since(api: FakeAPI, age: str) -> None:
    api.add_session(1)
    assert run("--since", age)[0] == 0


@pytest.mark.parametrize(
    "args",
    [
        ("--since", "yesterday"),
        ("--since", "2026-13-01T00:00:00Z"),
        ("--limit", "0"),
        ("--limit", "many"),
        (SESSION_ID, "--full"),
        ("--full", "--since", "2d"),
        (SESSION_ID, "--since", "2d"),
    ],
)
def test_command__bad_arguments(api: FakeAPI, args: tuple[str, ...]) -> None:
    """Arguments that make no sense are refused before anything runs."""
    with pytest.raises(CommandError) as caught:
        call_command("refresh_workflow_sessions", *args, stdout=StringIO())
    assert caught.value.returncode in {1, 2}
    assert api.requests == []
    assert not RefreshRun.objects.exists()


def test_command__json_without_a_run(api: FakeAPI, settings: Settings) -> None:
    """``--json`` prints one object also where the command could not run."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": "test_wrong", "MAX_RETRIES": 0}}
    code, out, _ = run("--json")
    told = json.loads(out)
    assert (code, told["state"]) == (2, "failed")
    assert "401" in told["errors"]["default"]
    code, out, _ = run("--json", "../checks/1")
    assert (code, json.loads(out)["state"]) == (2, "failed")


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "99999w", "9999-12-31T23:59:59Z"]
)
def test_command__since_at_the_ends_of_time(api: FakeAPI, time: str) -> None:
    """A time that is centuries off is asked for as the API writes times."""
    api.add_session(1)
    run()
    assert run("--since", time)[0] == 0
    assert re.search(r"updatedAfter=(1899|1900|2026)-", api.requests[-1])


def test_command__tells_what_is_still_due(api: FakeAPI, settings: Settings) -> None:
    """What a limited run left, and what waits for its next try, stands in the summary and the JSON."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }
    ids = [api.add_session(n) for n in range(8)]
    api.fail(f"/workflowSessions/{ids[-1]}", 500)
    code, out, err = run("--limit", "3")
    assert (code, "1 session failed; what was fetched is stored." in err) == (1, True)
    assert "8 listed, 2 fetched, 2 created" in out
    assert "1 failed, 5 remaining" in out
    assert out.endswith("s. 1 session is still due.\n")
    code, out, _ = run()
    assert (code, "1 remaining" in out, "1 session is still due." in out) == (0, True, True)
    told = json.loads(run("--json")[1])
    assert (told["state"], told["remaining"], told["still_due"]) == ("succeeded", 1, 1)


@pytest.mark.parametrize(
    ("terminal", "args", "failed"),
    [
        (False, (), 0),
        (True, (), 1),
        (False, ("--retry-failed",), 1),
        (True, ("--no-retry-failed",), 0),
    ],
)
def test_command__retry_failed(
    api: FakeAPI,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    args: tuple[str, ...],
    failed: int,
) -> None:
    """A person on a terminal sees at once whether a failure is healed; a schedule keeps the delay."""
    settings.COMPLYCUBE_ACCOUNTS = {
        "default": {"API_KEY": KEY, "REQUESTS_PER_SECOND": 10_000, "MAX_RETRIES": 0}
    }
    api.fail(f"/workflowSessions/{api.add_session(1)}", 500)
    run("--no-retry-failed")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: terminal)
    assert run(*args)[0] == failed


@pytest.mark.parametrize("status", [None, 404, 502])
def test_command__list_cannot_be_read(
    mocked: responses.RequestsMock, settings: Settings, status: int | None
) -> None:
    """Where the list itself fails, it says that nothing could be read, from which host, and what to look at."""
    url = "http://127.0.0.1:8123/sandbox/v1"
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY, "BASE_URL": url, "MAX_RETRIES": 0}}
    if status:
        mocked.get(re.compile(f"{url}/.*"), status=status, body="<html>")
    PendingRefresh.objects.create(account="default", session_id=SESSION_ID, reason="failed")
    code, out, err = run()
    assert code == 1
    assert "Nothing could be read from 127.0.0.1:8123. Check BASE_URL and PROXIES" in err
    assert err.endswith("Nothing was fetched or changed.\n")
    assert KEY not in out + err


def test_command__real_api(api: FakeAPI, settings: Settings) -> None:
    """Who typed a key and no address is told that it went to the real API."""
    api.key = "test_the-right-one"
    assert "The key went to the real API, api.complycube.com" in run()[2]
