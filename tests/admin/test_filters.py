from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from complycube_sessions.models import RefreshRun, SessionChange, WorkflowSession
from tests.admin.builders import NOON, make_check, make_session
from tests.admin.test_sessions import LIST, listed
from tests.builders import by_hand


def ids(*sessions: WorkflowSession) -> list[str]:
    return sorted(session.pk for session in sessions)


def found(client: Client, query: str) -> list[str]:
    return sorted(listed(client, query))


@pytest.mark.parametrize("field", ["outcome", "status"])
def test_words__known_none_other_and_unlisted(viewer: Client, field: str) -> None:
    """A known word, none, any other, and a word that only the address names all filter exactly."""
    known = make_session(**{field: {"outcome": "attention", "status": "started"}[field]})
    none = make_session(**{field: ""})
    other = make_session(**{field: "brand_new"})
    assert found(viewer, f"{field}={getattr(known, field)}") == ids(known)
    assert found(viewer, f"{field}=(none)") == ids(none)
    assert found(viewer, f"{field}=(other)") == ids(other)
    assert found(viewer, f"{field}=brand_new") == ids(other)
    assert found(viewer, f"{field}=BRAND_NEW") == []


def test_queue__oldest_first_with_age(viewer: Client) -> None:
    """The queue has only what needs a review, who waits longest on top, with the age in days."""
    now = timezone.now()
    newer = make_session(needs_review=True, created_at=now - timedelta(days=1))
    older = make_session(needs_review=True, created_at=now - timedelta(days=9))
    make_session()
    assert listed(viewer, "review=yes") == [older.pk, newer.pk]
    html = viewer.get(reverse(LIST), {"review": "yes"}).content.decode()
    assert "9 days" in html
    assert "1 day" in html
    assert "column-age" in html
    assert "column-age" not in viewer.get(reverse(LIST)).content.decode()


def test_template__exact_and_none(viewer: Client) -> None:
    """Templates are offered by name and matched by id."""
    first = make_session(workflow_template_id="t1", workflow_template_name="First flow")
    bare = make_session(workflow_template_id="", workflow_template_name="")
    assert found(viewer, "template=t1") == ids(first)
    assert found(viewer, "template=(none)") == ids(bare)
    assert found(viewer, "template=gone") == []
    assert "First flow" in viewer.get(reverse(LIST)).content.decode()


def test_check__type_and_outcome_of_the_same_check(viewer: Client) -> None:
    """Type and outcome must be those of one check, not of two."""
    one = make_session()
    make_check(one, type="document_check", outcome="attention")
    two = make_session()
    make_check(two, type="document_check", outcome="clear")
    make_check(two, type="identity_check", outcome="attention")
    assert found(viewer, "check_type=document_check") == ids(one, two)
    assert found(viewer, "check_outcome=attention") == ids(one, two)
    assert found(viewer, "check_type=document_check&check_outcome=attention") == ids(one)
    assert found(viewer, "check_type=&check_outcome=") == ids(one, two)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("created_from=2026-11-01", True),
        ("created_from=2026-11-02", False),
        ("created_to=2026-11-01", True),
        ("created_to=2026-10-31", False),
        ("created_from=2026-11-01&created_to=2026-11-01", True),
        ("created_from=(none)", False),
        ("created_from=nonsense", False),
        ("created_from=0001-01-01", False),
        ("created_to=9999-12-31", False),
        ("created_from=&created_to=", True),
    ],
)
def test_created__days_are_included(viewer: Client, query: str, shown: bool) -> None:
    """Both days of a range are part of it; what is no date finds nothing and says so."""
    session = make_session(created_at=NOON)
    assert found(viewer, query) == (ids(session) if shown else [])
    if "nonsense" in query:
        response = viewer.get(f"{reverse(LIST)}?{query}")
        assert "That is not a date." in response.content.decode()


def test_created__days_of_the_site_s_zone(viewer: Client, settings: Any) -> None:
    """A day begins at midnight of the site's time zone."""
    settings.TIME_ZONE = "Asia/Tokyo"
    session = make_session(created_at=datetime(2026, 11, 1, 16, 0, tzinfo=UTC))
    assert found(viewer, "created_from=2026-11-02&created_to=2026-11-02") == ids(session)
    assert "Times in Asia/Tokyo" in viewer.get(reverse(LIST)).content.decode()


def test_created__unknown(viewer: Client) -> None:
    """Sessions without a time of creation can be asked for."""
    session = make_session(created_at=None)
    make_session()
    assert found(viewer, "created_from=(none)") == ids(session)


def test_changed__recorded_lately(viewer: Client) -> None:
    """Only a recorded change counts, and only within the time."""
    now = timezone.now()
    changed, old = make_session(), make_session()
    for session, age in ((changed, 1), (old, 48)):
        with by_hand():
            SessionChange.objects.create(
                session=session,
                field="outcome",
                old="",
                new="clear",
                observed_at=now - timedelta(hours=age),
                source="refresh",
            )
    make_session()
    assert found(viewer, "changed=24h") == ids(changed)
    assert found(viewer, "changed=7d") == ids(changed, old)
    assert found(viewer, "changed=nonsense") == []


def test_missing_stale_environment(viewer: Client) -> None:
    """Missing upstream, not heard of, and the environment each have a filter."""
    now = timezone.now()
    gone = make_session(missing_since=now, fetched_at=now)
    fresh = make_session(fetched_at=now, environment="live")
    stale = make_session(fetched_at=now - timedelta(days=3), environment="")
    assert found(viewer, "missing=yes") == ids(gone)
    assert found(viewer, "missing=no") == ids(fresh, stale)
    assert found(viewer, "stale=yes") == ids(stale)
    assert found(viewer, "environment=live") == ids(fresh)
    assert found(viewer, "environment=(none)") == ids(stale)
    RefreshRun.objects.create(account="default", mode="incremental", state="succeeded")
    assert found(viewer, "stale=yes") == []


def test_account__only_where_there_are_several(viewer: Client, settings: Any) -> None:
    """The filter by account appears when the settings have more than one."""
    mine = make_session(account="second")
    make_session()
    assert "By account" not in viewer.get(reverse(LIST)).content.decode()
    key = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": key, "second": key}
    assert "By account" in viewer.get(reverse(LIST)).content.decode()
    assert found(viewer, "account=second") == ids(mine)


def test_chips__say_what_is_on(viewer: Client) -> None:
    """Each filter that is on is named above the list, with a link that takes it away."""
    make_session()
    query = {"outcome": "clear", "created_from": "2026-11-01", "check_type": "<i>"}
    response = viewer.get(reverse(LIST), query)
    chips = {str(chip.title): (str(chip.value), chip.url) for chip in response.context["chips"]}
    assert chips["outcome"][0] == "Clear"
    assert chips["created"] == (
        "from 2026-11-01",
        "?check_type=%3Ci%3E&outcome=clear",
    )
    assert chips["check"][0] == "<i>"
    assert "<i>" not in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "raw__has_key=x",
        "raw__id__startswith=x",
        "tasks__0__name=x",
        "checks__result__outcome=clear",
        "entity_name__startswith=A",
    ],
)
@pytest.mark.parametrize("model", ["workflowsession", "relatedcheck", "sessionchange"])
def test_foreign_lookups__refused(reviewer: Client, query: str, model: str) -> None:
    """An address cannot look into columns that the list does not offer, and so guess what is in them."""
    address = reverse(f"admin:complycube_sessions_{model}_changelist")
    for lookup in (query, f"session__{query}"):
        assert reviewer.get(f"{address}?{lookup}").status_code == 400
