"""What PostgreSQL does for each page over tables that are large enough to have a choice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from complycube_sessions.statistics.by_day import store_day_statistics
from tests.admin.builders import make_staff
from tests.reliability.conftest import OpenDatabase
from tests.reliability.processes import ROOT

pytestmark = pytest.mark.databases
SIZE = 30_000
MOST_QUERIES = 12
BIG = {"complycube_sessions_workflowsession", "complycube_sessions_relatedcheck"}


class Router:
    """Sends all rows to the test's own database."""

    alias = "default"

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return self.alias

    db_for_write = db_for_read


@pytest.fixture
def client(open_database: OpenDatabase, settings: Any) -> Iterator[Client]:
    """Return the browser of an administrator of a copy in believable proportions."""
    database = open_database("postgresql")
    call_command("migrate", database=database.alias, verbosity=0)
    Router.alias = database.alias
    settings.DATABASE_ROUTERS = ["tests.reliability.test_plans.Router"]
    account = settings.COMPLYCUBE_ACCOUNTS["default"]
    settings.COMPLYCUBE_ACCOUNTS = {"default": account, "second": account}
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        scale_data = import_module("scale_data")  # a script of the benchmarks, which are no package
        scale_data.fill(connections[database.alias], SIZE)
        scale_data.tidy(connections[database.alias])
        store_day_statistics()
        browser = Client()
        browser.force_login(make_staff(superuser=True))
        yield browser
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
        Router.alias = "default"


def scanned(plan: dict[str, Any]) -> set[str]:
    """Return the tables that a plan reads from their beginning."""
    own = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" else set()
    return own.union(*map(scanned, plan.get("Plans", [])))


def test_pages__no_scan_of_a_big_table(client: Client) -> None:
    """No page, filter, search or figure scans the sessions or the checks, or takes more than 12 queries."""
    admin_scale = import_module("admin_scale")
    connection = connections[Router.alias]
    faults = []
    for name, (url, _stock) in admin_scale.pages(SIZE).items():
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        captured = list(queries.captured_queries)
        assert response.status_code == 200, url
        assert captured, "the page was read from another database"
        if len(captured) > MOST_QUERIES:
            faults.append(f"{name}: {len(captured)} queries")
        for query in captured:
            if query["sql"].lstrip("( ").startswith(("SELECT", "WITH")):
                with connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}", None)
                    plan = cursor.fetchone()[0][0]["Plan"]
                faults += [f"{name}: {table}: {query['sql']}" for table in scanned(plan) & BIG]
    assert not faults, "\n".join(faults)


def test_scanned__sees_a_scan(client: Client) -> None:
    """A count of the whole table, as Django's own paginator makes it, would be noticed."""
    sql = "SELECT COUNT(*) FROM complycube_sessions_workflowsession WHERE workflow_description LIKE '%a%'"
    with connections[Router.alias].cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", None)
        assert scanned(cursor.fetchone()[0][0]["Plan"]) & BIG
