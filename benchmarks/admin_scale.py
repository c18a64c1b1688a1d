"""
How fast every admin page is over a million sessions and three million checks, beside a stock ``ModelAdmin``.

Fills a database in bulk, opens every page, filter, search and deep page through the test client, and the
most used ones through gunicorn; prints queries, times and the rows that the database read. The stock admin
stands on the same tables in the same process. ``--export`` measures an export of all rows instead.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import harness

ROUNDS: Final = 15
STOCK_ROUNDS: Final = 1
SLOWEST_MS: Final = 100
MOST_QUERIES: Final = 12
TIMES_FASTER: Final = 10
PORT: Final = 8970
APP: Final = "/admin/complycube_sessions/"
STOCK: Final = "/stock/complycube_sessions/"
FIGURES: Final = harness.ROOT / "docs" / "benchmarks-admin.json"
PICTURE: Final = harness.ROOT / "docs" / "benchmarks-admin.svg"
GROWTH: Final = "Milliseconds on the server, by the number of sessions"
WORKED: Final = "python + database"
GROWN: Final = (
    "list", "queue", "search by name", "search by two names", "search by id", "overview",
)  # fmt: skip
MOST_GROWTH: Final = 2


def pages(size: int) -> dict[str, tuple[str, str]]:
    """Return the pages by name: our address, and that of the stock admin or ``""``."""
    import scale_data

    session, check = scale_data.session_id(size // 2), scale_data.check_id(size // 2)
    month = "created_from=2026-01-01&created_to=2026-01-31"
    deep, far = max(size // 200, 1), scale_data.last_review_page(at_most=9)
    s, k = "workflowsession/", "relatedcheck/"
    named = {
        "list": (s, s),
        "list, page 2": (f"{s}?p=2", f"{s}?p=2"),
        f"list, page {deep:,}": (f"{s}?p={deep}", f"{s}?p={deep}"),
        "list, last page": (f"{s}?before=end", ""),
        "queue": (f"{s}?review=yes", f"{s}?needs_review__exact=1"),
        "outcome attention": (f"{s}?outcome=attention", f"{s}?outcome=attention"),
        "outcome clear": (f"{s}?outcome=clear", f"{s}?outcome=clear"),
        "outcome of another word": (f"{s}?outcome=(other)", ""),
        "outcome that none has": (f"{s}?outcome=nope", ""),
        "status started": (f"{s}?status=started", f"{s}?status=started"),
        "a month": (f"{s}?{month}", ""),
        "template": (f"{s}?template={7:024x}", ""),
        "check: document": (f"{s}?check_type=document_check", ""),
        "check: document, attention": (
            f"{s}?check_type=document_check&check_outcome=attention",
            f"{s}?checks__type=document_check&checks__outcome=attention",
        ),
        "check: rejected": (f"{s}?check_outcome=rejected", ""),
        "check: eID, match": (f"{s}?check_type=eid_check&check_outcome=match_confirmed", ""),
        "changed, 24 hours": (f"{s}?changed=24h", ""),
        "changed, 7 days": (f"{s}?changed=7d", ""),
        "missing": (f"{s}?missing=yes", ""),
        "not missing": (f"{s}?missing=no", ""),
        "stale": (f"{s}?stale=yes", ""),
        "environment live": (f"{s}?environment=live", ""),
        "environment unknown": (f"{s}?environment=(none)", ""),
        "account": (f"{s}?account=second", ""),
        "search by name": (f"{s}?q=garcia", f"{s}?q=garc"),
        "search by a frequent name": (f"{s}?q=maria", f"{s}?q=maria"),
        "search by two names": (f"{s}?q=Maria+Garc%C3%ADa", f"{s}?q=Maria+Garc%C3%ADa"),
        "search by two letters": (f"{s}?q=m+g", ""),
        "search by no name": (f"{s}?q=zzzz", f"{s}?q=zzzz"),
        "search by id": (f"{s}?q={session}", f"{s}?q={session}"),
        "search by check id": (f"{s}?q={check}", f"{s}?q={check}"),
        "search in the queue": (f"{s}?q=maria&review=yes", ""),
        "sorted by name": (f"{s}?o=1", f"{s}?o=1"),
        "sorted by outcome": (f"{s}?o=2", ""),
        "sorted by update": (f"{s}?o=8", ""),
        "reviews unassigned": (f"{s}?case=unassigned", ""),
        "reviews of mine": (f"{s}?case=mine", ""),
        "reviews waiting": (f"{s}?case=waiting", ""),
        "reviews open": (f"{s}?case=open", ""),
        f"reviews open, page {far}": (f"{s}?case=open&p={far}", ""),
        "reviews open, last page": (f"{s}?case=open&before=end", ""),
        "reviews open, attention": (f"{s}?case=open&outcome=attention", ""),
        "reviews decided": (f"{s}?case=decided", ""),
        "reviews decided, a month": (f"{s}?case=decided&{month}", ""),
        "reviews in figures": (f"{s}reviews/", ""),
        "reviews in figures, 90 days": (f"{s}reviews/?days=90", ""),
        "session under review": (f"{s}{scale_data.reviewed_id()}/change/", ""),
        "overview": (f"{s}overview/", ""),
        "overview, 90 days": (f"{s}overview/?days=90", ""),
        "session": (f"{s}{session}/change/", f"{s}{session}/change/"),
        "checks": (k, k),
        "checks, deep page": (f"{k}?p={deep}", f"{k}?p={deep}"),
        "checks of a type": (f"{k}?type=eid_check", f"{k}?type=eid_check"),
        "checks of an outcome": (f"{k}?outcome=match_confirmed", ""),
        "checks that failed": (f"{k}?status=failed", ""),
        "checks of a month": (f"{k}?{month}", ""),
        "checks of a session": (f"{k}?q={session}", f"{k}?q={session}"),
        "changes": ("sessionchange/", ""),
        "changes by source": ("sessionchange/?source=admin", ""),
        "changes of a session": (f"sessionchange/?q={session}", ""),
        "runs": ("refreshrun/", ""),
        "runs that failed": ("refreshrun/?state=failed", ""),
        "events": ("webhookevent/", ""),
        "events given up": ("webhookevent/?state=given_up", ""),
        "events of a session": (f"webhookevent/?q={session}", ""),
        "due": ("pendingrefresh/", ""),
        "due after a failure": ("pendingrefresh/?failing=yes", ""),
    }
    return {name: (APP + ours, stock and STOCK + stock) for name, (ours, stock) in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--size", type=int, default=1_000_000, help="sessions, with 3 checks each")
    parser.add_argument(
        "--database", choices=["postgresql", "sqlite", "mariadb"], default="postgresql"
    )
    parser.add_argument("--url", help="a database to use and to keep; filled where it is empty")
    parser.add_argument("--export", action="store_true", help="measure an export of all rows")
    parser.add_argument(
        "--grow", type=int, nargs="*", help="also at these sizes; draws the picture"
    )
    parser.add_argument("--no-stock", action="store_true", help="leave the stock admin out")
    arguments = parser.parse_args()
    print(f"{harness.machine()}, load {os.getloadavg()[0]:.1f} at the start")
    with _database(arguments.database, arguments.url) as database:
        if arguments.export:
            _print_export(_run("export", arguments.size, database))
            return
        figures = _run("measure", arguments.size, database, stock=not arguments.no_stock)
    _print(figures)
    if arguments.grow:
        grown = {str(arguments.size): figures["pages"]}
        for size in arguments.grow:
            with _database(arguments.database, None) as smaller:
                grown[str(size)] = _run("measure", size, smaller, stock=False)["pages"]
        _draw(grown)


def _run(task: str, size: int, database: dict[str, Any], *, stock: bool = False) -> Any:
    return harness.run_worker(Path(__file__), task, size, int(stock), database=database)


@contextmanager
def _database(vendor: str, url: str | None) -> Any:
    """Yield the settings of a database: the one that is named, or one that lives as long as this run."""
    if url:
        import environ

        yield environ.Env.db_url_config(url)
    elif vendor == "mariadb":
        raise SystemExit(
            "Name a MariaDB database with --url mysql://…; it is filled where it is empty."
        )
    else:
        with harness.temporary_database(vendor) as settings:
            yield settings


# In the worker: a process with Django.


def setup_django() -> None:
    """Configure Django with both admin sites."""
    import django
    from django.conf import settings

    given = json.loads(os.environ["COMPLYCUBE_BENCHMARK"])
    apps = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
    middleware = (
        "sessions.middleware.SessionMiddleware",
        "auth.middleware.AuthenticationMiddleware",
        "messages.middleware.MessageMiddleware",
    )
    processors = ("auth.context_processors.auth", "messages.context_processors.messages")
    settings.configure(
        SECRET_KEY="only-for-benchmarks",  # noqa: S106 - guards nothing
        USE_TZ=True,
        ALLOWED_HOSTS=["*"],
        STATIC_URL="/static/",
        ROOT_URLCONF=_urls(),
        INSTALLED_APPS=[*(f"django.contrib.{app}" for app in apps), "complycube_sessions"],
        MIDDLEWARE=[f"django.contrib.{name}" for name in middleware],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        *(f"django.contrib.{name}" for name in processors),
                    ]
                },
            }
        ],
        DATABASES={"default": {**given["database"], "CONN_MAX_AGE": 60}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        COMPLYCUBE_ACCOUNTS={"default": given["account"], "second": given["account"]},
    )
    django.setup()


def _urls() -> Any:
    """Return the addresses as a module whose content is made when Django asks for it."""
    from types import ModuleType

    class Urls(ModuleType):
        @property
        def urlpatterns(self) -> list[Any]:
            from django.contrib import admin
            from django.urls import path

            if "stock" not in self.__dict__:
                self.stock = _stock_site()
            return [path("admin/", admin.site.urls), path("stock/", self.stock.urls)]

    module = Urls("scale_urls")
    sys.modules["scale_urls"] = module
    return "scale_urls"


def _stock_site() -> Any:
    """Return the admin as one writes it without further thought: Django's own, on the same tables."""
    from django.contrib import admin

    from complycube_sessions.models import RelatedCheck, WorkflowSession

    class Sessions(admin.ModelAdmin):
        list_display = (
            "entity_name", "outcome", "status", "workflow_template_name", "check_outcomes", "created_at",
            "updated_at", "fetched_at",
        )  # fmt: skip
        list_filter = ("needs_review", "outcome", "status", "checks__type", "checks__outcome")
        search_fields = ("id", "client_id", "entity_name", "checks__check_id")
        ordering = ("-created_at",)

        def check_outcomes(self, session: Any) -> str:
            return ", ".join(check.outcome for check in session.checks.all())

    class Checks(admin.ModelAdmin):
        list_display = ("check_id", "type", "outcome", "status", "session", "updated_at")
        list_filter = ("type", "outcome", "status")
        search_fields = ("check_id", "session__id")
        raw_id_fields = ("session",)

    site = admin.AdminSite("stock")
    site.register(WorkflowSession, Sessions)
    site.register(RelatedCheck, Checks)
    return site


def prepare(size: int) -> dict[str, Any]:
    """Fill the database where it is empty, migrate it with its rows, and keep the overview's figures."""
    import scale_data
    from django.core.management import call_command
    from django.db import connection

    took: dict[str, Any] = {}
    tables = connection.introspection.table_names()
    call_command("migrate", verbosity=0)
    from complycube_sessions.models import DayFigures, WorkflowSession
    from complycube_sessions.statistics.by_day import store_day_statistics

    if "complycube_sessions_workflowsession" not in tables or not WorkflowSession.objects.exists():
        began = time.perf_counter()
        # The reviews come after the rows: so the migration that opens them is timed on tables with rows.
        call_command("migrate", "complycube_sessions", "0002", verbosity=0)
        scale_data.fill(connection, size)
        took["filled"] = time.perf_counter() - began
        began = time.perf_counter()
        call_command("migrate", verbosity=0)
        took["migrated"] = time.perf_counter() - began
        scale_data.work_reviews(size)
        scale_data.tidy(connection)
    began = time.perf_counter()
    took["days"] = store_day_statistics()
    took["kept"] = time.perf_counter() - began
    took["figures"] = DayFigures.objects.count()
    return took


def measure(size: int, *, stock: bool) -> dict[str, Any]:
    """Open every page and return what each cost."""
    from django.conf import settings

    setup_django()
    took = prepare(size)
    client = _client()
    named = pages(size)
    own = {name: ours for name, (ours, _) in named.items()}
    found = {name: {"ours": cost} for name, cost in _costs(client, own, ROUNDS).items()}
    others = {name: other for name, (_, other) in named.items() if other and stock}
    for name, cost in _costs(client, others, STOCK_ROUNDS).items():
        found[name]["stock"] = cost
    served = _served(client.cookies[settings.SESSION_COOKIE_NAME].value, pages(size))
    return {"took": took, "pages": found, "served": served, "load": os.getloadavg()[0]}


def _client() -> Any:
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(
        username="benchmark", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(user)
    return client


def _costs(client: Any, addresses: dict[str, str], rounds: int) -> dict[str, dict[str, Any]]:
    """
    Return what each page costs.

    A round opens all of them, so that a second in which others use the machine spoils one time of each page
    and not all times of one; each in another order, so that Python's search for garbage, which comes after so
    many objects, does not meet the same page in every round.
    """
    captured = {name: _queries(client, url) for name, url in addresses.items()}
    walls: dict[str, list[float]] = {name: [] for name in addresses}
    cpus: dict[str, list[float]] = {name: [] for name in addresses}
    order = list(addresses.items())
    for number in range(rounds):
        random.Random(number).shuffle(order)  # noqa: S311 - guards nothing
        for name, url in order:
            wall, cpu = time.perf_counter(), time.process_time()
            client.get(url)
            walls[name].append(1000 * (time.perf_counter() - wall))
            cpus[name].append(1000 * (time.process_time() - cpu))
    found = {}
    for name, queries in captured.items():
        rows, database_ms = _read(queries)
        found[name] = {
            "queries": len(queries),
            "median": statistics.median(walls[name]),
            "p95": sorted(walls[name])[math.ceil(0.95 * rounds) - 1],
            "cpu": statistics.median(cpus[name]),
            "database": database_ms,
            "rows": rows,
        }
    return found


def _queries(client: Any, url: str) -> list[dict[str, str]]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        response = client.get(url)
    if response.status_code != 200:
        raise SystemExit(f"{url} answered {response.status_code}")
    return list(queries.captured_queries)  # the next request empties the log


def _read(queries: list[dict[str, str]]) -> tuple[int | None, float | None]:
    """Return how many rows PostgreSQL's leaves read for the queries of a page, and its time for them."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return None, None
    rows, milliseconds = 0, 0.0
    with connection.cursor() as cursor:
        for query in queries:
            if not query["sql"].lstrip("( ").startswith(("SELECT", "WITH")):
                continue
            # A clock for every row takes time itself, a seventh of a query that reads many.
            explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
            cursor.execute(f"{explain} {query['sql']}", None)
            plan = cursor.fetchone()[0][0]
            milliseconds += plan["Execution Time"] + plan["Planning Time"]
            rows += _leaves(plan["Plan"])
    return rows, milliseconds


def _leaves(plan: dict[str, Any]) -> int:
    below = plan.get("Plans", [])
    dropped = plan.get("Rows Removed by Filter", 0)
    own = (plan["Actual Rows"] + dropped) * plan["Actual Loops"] if "Relation Name" in plan else 0
    return round(own) + sum(map(_leaves, below))


def _served(session_key: str, addresses: dict[str, tuple[str, str]]) -> dict[str, float]:
    """Return the median milliseconds of the most used pages through gunicorn."""
    with subprocess.Popen(  # noqa: S603 - our own server
        [
            sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{PORT}", "--workers", "1",
            "--log-level", "warning", "--chdir", str(Path(__file__).parent), "admin_scale:application()",
        ]
    ) as server:  # fmt: skip
        try:
            times: dict[str, list[float]] = {}
            requests = {}
            for name in (*GROWN, "overview, 90 days", "session", "checks"):
                url = f"http://127.0.0.1:{PORT}{addresses[name][0]}"
                cookie = {"Cookie": f"sessionid={session_key}"}
                requests[name] = urllib.request.Request(url, headers=cookie)
                _wait(requests[name])
            for _ in range(ROUNDS):
                for name, request in requests.items():
                    began = time.perf_counter()
                    with urllib.request.urlopen(request) as response:  # noqa: S310 - our own server
                        response.read()
                    times.setdefault(name, []).append(1000 * (time.perf_counter() - began))
            return {name: statistics.median(found) for name, found in times.items()}
        finally:
            server.terminate()


def _wait(request: urllib.request.Request) -> None:
    """Open a page until the server is there."""
    give_up = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(request).close()  # noqa: S310 - our own server
        except ConnectionError:
            pass
        except OSError as error:
            if not isinstance(getattr(error, "reason", None), ConnectionError):
                raise
        else:
            return
        if time.monotonic() > give_up:
            raise SystemExit("gunicorn does not answer.")
        time.sleep(0.2)


def application() -> Any:
    """Return the site for gunicorn."""
    from django.core.handlers.wsgi import WSGIHandler

    setup_django()
    return WSGIHandler()


def export(size: int) -> dict[str, Any]:
    """Stream all sessions as CSV and return how long the first byte took and what memory the process."""
    setup_django()
    prepare(size)
    client = _client()
    client.get(f"{APP}workflowsession/")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    response = client.post(f"{APP}workflowsession/export/", {"format": "csv"})
    parts = iter(response.streaming_content)
    next(parts)
    first = time.perf_counter() - began
    next(parts)
    first_row = time.perf_counter() - began
    rows = 1 + sum(1 for _ in parts)
    return {
        "rows": rows,
        "seconds to the first byte": first,
        "seconds to the first row": first_row,
        "seconds": time.perf_counter() - began,
        "MiB before": before,
        "MiB at the peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


# Printing and drawing.


def _print(figures: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value:.1f}" for name, value in figures["took"].items()))
    head = [
        "page",
        "queries",
        "median",
        "95 %",
        "python",
        "database",
        "rows read",
        "stock",
        "queries",
        "rows",
        "times",
    ]
    rows = []
    for name, cost in figures["pages"].items():
        ours, stock = cost["ours"], cost.get("stock")
        row = [
            name,
            ours["queries"],
            *(_short(ours[k]) for k in ("median", "p95", "cpu", "database", "rows")),
        ]
        if stock:
            row += [
                _short(stock["median"]),
                stock["queries"],
                _short(stock["rows"]),
                _short(stock["median"] / ours["median"]),
            ]
        rows.append([*row, *[""] * (len(head) - len(row))])
    harness.table(head, rows)
    costs = [cost["ours"] for cost in figures["pages"].values()]
    slow = [n for n, cost in figures["pages"].items() if cost["ours"]["median"] > SLOWEST_MS]
    busy = [n for n, c in figures["pages"].items() if _worked(c["ours"]) > SLOWEST_MS]
    faster = {
        name: cost["stock"]["median"] / cost["ours"]["median"]
        for name, cost in figures["pages"].items()
        if "stock" in cost and name not in {"session", "checks of a session"}
    }
    print(f"\nload {figures['load']:.1f} at the end")
    met = harness.verdict(met=max(cost["queries"] for cost in costs) <= MOST_QUERIES)
    print(f"at most {MOST_QUERIES} queries: {met}")
    print(f"at most {SLOWEST_MS} ms (median): {harness.verdict(met=not slow)} {', '.join(slow)}")
    print(
        f"the same in time of python and of the database: {harness.verdict(met=not busy)} {', '.join(busy)}"
    )
    if faster:
        less = [f"{name} ({times:.1f})" for name, times in faster.items() if times < TIMES_FASTER]
        print(
            f"{TIMES_FASTER} times faster than stock: {harness.verdict(met=not less)} {', '.join(less)}"
        )
    print("\nthrough gunicorn, median milliseconds")
    harness.table(["page", "ms"], [[n, _short(ms)] for n, ms in figures["served"].items()])


def _print_export(figures: dict[str, Any]) -> None:
    harness.table(["export", ""], [[name, f"{value:,.2f}"] for name, value in figures.items()])


def _worked(cost: dict[str, Any]) -> float:
    """Return the processor's time of Python and the database's time for the queries, of one page."""
    return float(cost["cpu"] + (cost["database"] or 0))


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 20 else f"{value:.1f}"


def _draw(grown: dict[str, Any]) -> None:
    """Write the figures and the picture of how the most used pages grow."""
    import growth

    sizes = sorted(map(int, grown))
    series = {
        name: {
            "median": [grown[str(n)][name]["ours"]["median"] for n in sizes],
            WORKED: [_worked(grown[str(n)][name]["ours"]) for n in sizes],
        }
        for name in GROWN
    }
    figures = {"machine": harness.machine(), "sizes": sizes, "series": series}
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    panels = [growth.Panel(name, sizes, lines, False) for name, lines in series.items()]
    PICTURE.write_text(growth.draw_panels(panels, GROWTH))
    for measure in ("median", WORKED):
        lines = {name: line[measure] for name, line in series.items()}
        print()
        harness.table(
            [f"{measure}, ms", *map(str, sizes), "grown"],
            [[n, *map(_short, line), f"{line[-1] / line[0]:.2f}"] for n, line in lines.items()],
        )
        more = [n for n, line in lines.items() if line[-1] > MOST_GROWTH * line[0]]
        print(f"at most {MOST_GROWTH} times: {harness.verdict(met=not more)} {', '.join(more)}")
    print(f"{PICTURE.relative_to(harness.ROOT)} is drawn.")


def _work_as_told() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["measure", "export"])
    parser.add_argument("size", type=int)
    parser.add_argument("stock", type=int)
    arguments = parser.parse_args()
    work: Callable[[], Any] = {
        "measure": lambda: measure(arguments.size, stock=bool(arguments.stock)),
        "export": lambda: export(arguments.size),
    }[arguments.task]
    harness.report(work())


if __name__ == "__main__":
    _work_as_told() if harness.is_worker() else main()
