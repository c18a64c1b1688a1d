from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import PendingRefresh, RefreshRun, SessionChange
from tests.admin.builders import NOON, make_session
from tests.admin.conftest import SignIn
from tests.builders import by_hand


def page(client: Client, name: str, pk: object = None) -> str:
    address = reverse(f"admin:complycube_sessions_{name}", args=[pk] if pk else [])
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def test_change__on_its_pages_and_in_the_timeline(viewer: Client) -> None:
    """A recorded change stands in the list, on its page and in the timeline of its session."""
    session = make_session()
    with by_hand():
        change = SessionChange.objects.create(
            session=session,
            check_id="check-1",
            field="status",
            old="pending",
            new="failed",
            changed_at=NOON,
            observed_at=NOON + timedelta(hours=1),
            source="webhook",
        )
    for html in (
        page(viewer, "sessionchange_changelist"),
        page(viewer, "sessionchange_change", change.pk),
        page(viewer, "workflowsession_change", session.pk),
    ):
        assert "Status of check" in html
        assert "Pending" in html
        assert "Failed to run" in html
        assert "check-1" in html


def test_timeline__durations(viewer: Client) -> None:
    """Each event says how long after the one before it happened."""
    session = make_session(
        created_at=NOON,
        completed_at=NOON + timedelta(minutes=90),
        updated_at=NOON + timedelta(days=2, hours=1, minutes=30),
        fetched_at=NOON + timedelta(days=3),
    )
    html = page(viewer, "workflowsession_change", session.pk)
    assert "+ 1 h 30 min" in html
    assert "+ 2 d" in html
    assert "Time to complete: 1 h 30 min" in html


def test_run__counts_duration_and_failures(sign_in: SignIn) -> None:
    """The page of a run has its counts, how long it took, and each failing id with its reason."""
    client = sign_in("view_refreshrun", "view_workflowsession")
    run = RefreshRun.objects.create(
        account="default",
        mode="full",
        state="partial",
        started_at=NOON,
        finished_at=NOON + timedelta(minutes=2, seconds=5),
        requests=4321,
        failed=1,
        errors={"5eb-broken": "ComplyCubeServerError: 503"},
        error_count=1200,
    )
    html = page(client, "refreshrun_change", run.pk)
    for text in ("2 min 5 s", "4321", "Partial", "5eb-broken", "ComplyCubeServerError: 503"):
        assert text in html
    assert "The first 1 of 1200." in html
    assert reverse("admin:complycube_sessions_workflowsession_change", args=["5eb-broken"]) in html
    assert "2 min 5 s" in page(client, "refreshrun_changelist")


def test_run__operator_gets_no_dead_links(sign_in: SignIn) -> None:
    """One who may not see sessions reads the failing ids as text."""
    run = RefreshRun.objects.create(account="default", mode="ids", errors={"a": "b"})
    html = page(sign_in("view_refreshrun"), "refreshrun_change", run.pk)
    assert "/workflowsession/" not in html


def test_run__still_running(sign_in: SignIn) -> None:
    """A run that is alive counts its time until now; one that was killed has no duration."""
    client = sign_in("view_refreshrun")
    started = timezone.now() - timedelta(hours=3, minutes=1)
    RefreshRun.objects.create(account="default", mode="full", started_at=started)
    assert "3 h 1 min" in page(client, "refreshrun_changelist")


def test_pending__list_page_and_session(sign_in: SignIn) -> None:
    """What is due stands in the list of operators and on the page of its session."""
    session = make_session()
    pending = PendingRefresh.objects.create(
        account="default", session_id=session.pk, reason="failed", attempts=4, error="503 again"
    )
    operator = sign_in("view_pendingrefresh")
    assert "503 again" in page(operator, "pendingrefresh_changelist")
    assert "503 again" in page(operator, "pendingrefresh_change", pending.pk)
    html = page(sign_in("view_workflowsession"), "workflowsession_change", session.pk)
    assert "4 tries so far" in html


def test_run__tells_what_it_left(sign_in: SignIn) -> None:
    """The page and the list of runs tell what is still due."""
    run = RefreshRun.objects.create(account="default", mode="full", remaining=4711, still_due=8151)
    client = sign_in("view_refreshrun")
    html = page(client, "refreshrun_change", run.pk)
    for text in ("Remaining", "4711", "Still due", "8151"):
        assert text in html
    assert "8151" in page(client, "refreshrun_changelist")


def test_texts__one_and_many_and_no_repeats(sign_in: SignIn, viewer: Client) -> None:
    """One try is no tries, and an error does not repeat the id that stands beside it."""
    session = make_session()
    reason = "the API answered 503."
    pending = PendingRefresh.objects.create(
        account="default",
        session_id=session.pk,
        reason="failed",
        attempts=1,
        error=f"{session.pk}: {reason}",
    )
    run = RefreshRun.objects.create(
        account="default", mode="full", errors={session.pk: f"{session.pk}: {reason}"}
    )
    html = page(viewer, "workflowsession_change", session.pk)
    assert "1 try so far" in html
    operator = sign_in("view_pendingrefresh", "view_refreshrun")
    for text in (
        html,
        page(operator, "pendingrefresh_changelist"),
        page(operator, "pendingrefresh_change", pending.pk),
        page(operator, "refreshrun_change", run.pk),
    ):
        assert reason in text
        assert f"{session.pk}: {reason}" not in text


def test_log__that_is_empty(viewer: Client) -> None:
    """A log without a line says that nothing was done, not that something is wrong with it."""
    html = page(viewer, "workflowsession_history", make_session().pk)
    assert "Nothing is logged yet" in html
    assert "change history" not in html
