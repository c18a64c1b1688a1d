"""The status for other packages: a health check and metrics."""

from __future__ import annotations

import pytest
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import RequestFactory
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.views import HealthCheckView
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from complycube_sessions.contrib.health import MirrorHealth
from complycube_sessions.contrib.prometheus import metrics
from complycube_sessions.models import RefreshRun
from complycube_sessions.operations import status
from tests.fake_api import KEY
from tests.operations.test_status import failing, late, ran

pytestmark = pytest.mark.django_db


def samples(response: HttpResponse) -> dict[tuple[str, str], float]:
    """Return each value by its metric and account."""
    return {
        (sample.name, sample.labels.get("account", "")): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def scraped() -> dict[tuple[str, str], float]:
    return samples(metrics(RequestFactory().get("/metrics/")))


def test_health__healthy_and_late(settings: Settings) -> None:
    """A late mirror fails a check that asks for it, and not one that would end the process."""
    ran()
    MirrorHealth().run()
    RefreshRun.objects.all().delete()
    late(settings)
    MirrorHealth(account="default").run()
    with pytest.raises(ServiceWarning, match=r"default: No refresh has succeeded since"):
        MirrorHealth(fails_from="attention").run()


def test_health__broken(settings: Settings) -> None:
    """A broken one fails every check."""
    settings.COMPLYCUBE_ACCOUNTS = {}
    with pytest.raises(ServiceUnavailable, match="COMPLYCUBE_ACCOUNTS is empty"):
        MirrorHealth().run()


def test_health__named_in_a_view() -> None:
    """The view of django-health-check takes it by its path, with its options."""
    path = "complycube_sessions.contrib.health.MirrorHealth"
    view = HealthCheckView(checks=[(path, {"account": "default", "fails_from": "attention"})])
    (check,) = view.get_checks()
    assert check.labels == {
        "check": "MirrorHealth",
        "account": "default",
        "fails_from": "attention",
    }


def test_metrics__of_each_account(settings: Settings) -> None:
    """Each account has its values; of one whose settings are wrong only the state is known."""
    settings.COMPLYCUBE_ACCOUNTS = {"default": {"API_KEY": KEY}, "second": {"API_KEY": ""}}
    failing(settings)
    run = ran("partial")
    RefreshRun.objects.filter(pk=run.pk).update(requests=7, fetched=3)
    found = scraped()
    assert found["complycube_database_up", ""] == 1
    assert found["complycube_state", "default"] == 1
    assert found["complycube_problem_failing", "default"] == 1
    assert found["complycube_problem_late", "default"] == 0
    assert found["complycube_failing_sessions", "default"] == 1
    assert found["complycube_last_day_runs", "default"] == 2
    assert found["complycube_last_day_failed_runs", "default"] == 1
    assert found["complycube_last_day_requests", "default"] == 7
    assert ("complycube_lease_since_timestamp_seconds", "default") not in found
    assert found["complycube_state", "second"] == 2
    assert found["complycube_problem_settings", "second"] == 1
    assert ("complycube_failing_sessions", "second") not in found


def test_metrics__database_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then one metric says so, in place of values that would look like news."""

    def refuse(names: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(status, "account_freshness", refuse)
    assert scraped() == {("complycube_database_up", ""): 0}
