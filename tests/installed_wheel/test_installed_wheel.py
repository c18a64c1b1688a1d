"""Three projects of others install the wheel and run refresh, webhook and admin over real HTTP."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.builders import CHECK_IDS, SESSION_ID, UNKNOWN_ID, check_payload, vendor_example
from tests.fake_api import KEY, FakeAPI, served
from tests.installed_wheel.conftest import MakeHost
from tests.installed_wheel.host import Browser, Host, rows_of, send_event

# One after the other: each worker would build the wheel in the same folder.
pytestmark = [pytest.mark.hosts, pytest.mark.xdist_group("wheel")]

SECRET = "the-secret-of-the-webhook"
COLUMNS = {
    "client_id": "clientId",
    "entity_name": "entityName",
    "status": "status",
    "outcome": "outcome",
    "workflow_template_id": "workflowTemplateId",
    "workflow_template_name": "workflowTemplateName",
    "workflow_id": "workflowId",
    "workflow_version": "workflowVersion",
    "workflow_description": "workflowDescription",
    "compliance_policies": "compliancePolicies",
    "policy_assurance": "policyAssurance",
    "tasks": "tasks",
    "last_completed_task_id": "lastCompletedTaskId",
}
LOOK = f"""
import json
from complycube_sessions.models import WorkflowSession
row = WorkflowSession.objects.get(pk={SESSION_ID!r})
stamp = lambda time: time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
print(json.dumps({{
    "columns": {{name: getattr(row, name) for name in {list(COLUMNS)!r}}},
    "raw": row.raw,
    "times": [stamp(row.created_at), stamp(row.completed_at), stamp(row.updated_at)],
    "checks": [[c.check_id, c.type, c.task_id] for c in row.checks.all()],
}}))
"""
URLS = """
from django.urls import include
urlpatterns.append(path("complycube/", include("complycube_sessions.urls")))
"""


def account(url: str, *, key: str = KEY, secret: str = SECRET) -> dict[str, object]:
    return {
        "API_KEY": key,
        "WEBHOOK_SECRETS": [secret],
        "BASE_URL": url,
        "REQUESTS_PER_SECOND": 100,
    }


def use(host: Host, url: str, browser: Browser, api: FakeAPI, *, name: str, secret: str) -> None:
    """Go through an account's day: an event, a page, the button."""
    first, second, *_ = [pk for pk in api.sessions if pk != SESSION_ID]
    api.touch(first, outcome="attention")
    for wrong, status in (("wrong", 400), (secret, 200)):
        sent = send_event(url, first, account=name, secret=wrong, path="/complycube/")
        assert sent == status, host.log()
    host.manage("process_webhook_events")
    listed = browser.get("workflowsession/")
    assert {first, second} <= rows_of(listed)
    assert "Attention" in browser.get(f"workflowsession/{first}/change/")
    api.touch(second, outcome="rejected")
    assert "Rejected" in browser.refresh(second)
    for page in ("workflowsession/overview/", "refreshrun/", "webhookevent/", "relatedcheck/"):
        browser.get(page)


def test_host__stock(make_host: MakeHost) -> None:
    """A stock project needs two settings and a line of addresses; the vendor's example arrives whole."""
    api = FakeAPI()
    api.sessions[SESSION_ID] = vendor_example()
    for check_id in CHECK_IDS:
        api.checks[check_id] = check_payload(check_id, result={"outcome": "clear"})
    for number in (1, 2):
        api.add_session(number)
    host = make_host()
    with served(api) as base_url:
        host.add("host/settings.py", '\nINSTALLED_APPS += ["complycube_sessions"]\n')
        accounts = {"default": account(base_url)}
        host.add("host/settings.py", f"COMPLYCUBE_ACCOUNTS = {accounts!r}\n")
        host.add("host/urls.py", URLS)
        host.set_up()
        host.manage("refresh_workflow_sessions", SESSION_ID)
        assert host.ask(LOOK) == {
            "columns": {column: vendor_example()[name] for column, name in COLUMNS.items()},
            "raw": vendor_example(),
            "times": [vendor_example()[name] for name in ("createdAt", "completedAt", "updatedAt")],
            "checks": [
                [c["checkId"], c["type"], c["taskId"]] for c in vendor_example()["allRelatedChecks"]
            ],
        }
        failed = host.manage("refresh_workflow_sessions", UNKNOWN_ID, code=1)
        assert f"id '{UNKNOWN_ID}'" in failed
        host.manage("refresh_workflow_sessions")
        host.manage(
            "createsuperuser", "--noinput", "--username", "boss", "--email", "boss@example.com"
        )
        with host.serving() as url:
            browser = Browser(url)
            browser.sign_in("boss")
            assert "John Doe" in browser.get(f"workflowsession/{SESSION_ID}/change/")
            use(host, url, browser, api, name="default", secret=SECRET)


PEOPLE = """
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
import uuid

class Manager(BaseUserManager):
    def create_superuser(self, email, password=None):
        person = self.model(email=email, is_staff=True, is_superuser=True)
        person.set_password(password)
        person.save()
        return person

class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    objects = Manager()
    USERNAME_FIELD = "email"
"""
DESK = """
from django.contrib import admin
from django.contrib.admin.apps import AdminConfig

class Desk(admin.AdminSite):
    site_header = "The desk of the host"

class DeskConfig(AdminConfig):
    default_site = "people.desk.Desk"
"""
GUARDED = """
INSTALLED_APPS = ["people", "people.desk.DeskConfig", *INSTALLED_APPS[1:], "complycube_sessions"]
AUTH_USER_MODEL = "people.Person"
MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
LOGIN_URL = "/admin/login/"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
LANGUAGE_CODE, TIME_ZONE = "en-nz", "Pacific/Auckland"
DEBUG, ALLOWED_HOSTS = False, ["127.0.0.1"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": HOST, "PORT": PORT, "USER": USER, "PASSWORD": PASSWORD, "NAME": NAME,
    "ATOMIC_REQUESTS": True,
}}
COMPLYCUBE_ACCOUNTS = ACCOUNTS
"""


def test_host__guarded(make_host: MakeHost, postgres: str) -> None:
    """Own people, own admin site, PostgreSQL, a transaction for each request, nobody in unseen."""
    api = FakeAPI()
    for number in (1, 2, 3):
        api.add_session(number)
    host = make_host("psycopg[binary]~=3.2")
    parts = urlsplit(postgres)
    with served(api) as base_url:
        values = {
            "HOST": parts.hostname,
            "PORT": parts.port,
            "USER": parts.username,
            "PASSWORD": parts.password or "",
            "NAME": parts.path.removeprefix("/"),
            "ACCOUNTS": {"default": account(base_url)},
        }
        host.add("host/settings.py", "".join(f"\n{k} = {v!r}" for k, v in values.items()) + GUARDED)
        host.add("host/urls.py", URLS)
        for name, text in (("__init__", ""), ("models", PEOPLE), ("desk", DESK)):
            host.add(f"people/{name}.py", text)
        host.manage("makemigrations", "people")
        host.set_up()
        host.manage("refresh_workflow_sessions")
        host.manage("createsuperuser", "--noinput", "--email", "boss@example.com")
        with host.serving() as url:
            stranger = Browser(url)
            answer = stranger.session.get(
                f"{url}/admin/complycube_sessions/workflowsession/", timeout=30
            )
            assert urlsplit(answer.url).path == "/admin/login/"
            browser = Browser(url)
            browser.sign_in("boss@example.com")
            assert "The desk of the host" in browser.get("workflowsession/")
            use(host, url, browser, api, name="default", secret=SECRET)


ROUTER = """
APP = "complycube_sessions"

class Router:
    def db_for_read(self, model, **hints):
        return "kyc" if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (db == "kyc") == (app_label == APP)
"""
ROUTED = """
INSTALLED_APPS += ["complycube_sessions"]
DATABASES["kyc"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "kyc.sqlite3"}
DATABASE_ROUTERS = ["host.routers.Router"]
COMPLYCUBE_ACCOUNTS = ACCOUNTS
"""


def test_host__accounts(make_host: MakeHost) -> None:
    """Two accounts with keys of their own, in a database that a router keeps apart."""
    main, branch = FakeAPI(), FakeAPI(key="test_key-of-the-branch")
    for number in (1, 2):
        main.add_session(number)
        branch.add_session(number + 10)
    host = make_host()
    with served(main) as main_url, served(branch) as branch_url:
        accounts = {
            "main": account(main_url),
            "branch": account(branch_url, key=branch.key, secret="another-secret"),
        }
        host.add("host/settings.py", f"\nACCOUNTS = {accounts!r}\n{ROUTED}")
        host.add("host/routers.py", ROUTER)
        host.add("host/urls.py", URLS)
        host.set_up("default", "kyc")
        for name in accounts:
            host.manage("refresh_workflow_sessions", "--account", name)
        host.manage(
            "createsuperuser", "--noinput", "--username", "boss", "--email", "boss@example.com"
        )
        with host.serving() as url:
            browser = Browser(url)
            browser.sign_in("boss")
            both = set(main.sessions) | set(branch.sessions)
            assert rows_of(browser.get("workflowsession/")) == both
            use(host, url, browser, main, name="main", secret=SECRET)
            use(host, url, browser, branch, name="branch", secret="another-secret")
            first, *_ = branch.sessions
            sent = send_event(url, first, account="branch", secret=SECRET, path="/complycube/")
            assert sent == 400
