"""A project of django-tenants installs the wheel: each tenant has a copy of its own, all share a budget."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.docs.pages import host_module
from tests.fake_api import KEY, FakeAPI, served
from tests.installed_wheel.conftest import MakeHost
from tests.installed_wheel.host import Host
from tests.webhook_requests import SECRET, encoded, event, signature

pytestmark = pytest.mark.hosts

SECONDS = 30
TENANTS = ("one", "two")
SETTINGS = """
SHARED_APPS = ["django_tenants", "customers", *INSTALLED_APPS]
TENANT_APPS = [*INSTALLED_APPS]
INSTALLED_APPS = [*SHARED_APPS]
TENANT_MODEL, TENANT_DOMAIN_MODEL = "customers.Customer", "customers.Domain"
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware", *MIDDLEWARE]
DATABASES = {"default": SERVER | {"ENGINE": "django_tenants.postgresql_backend"}}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
ALLOWED_HOSTS = ["*"]
"""
DOCUMENTED = {
    "host/settings.py": host_module("settings.py, with django-tenants"),
    "shop/routers.py": host_module("shop/routers.py, with django-tenants"),
}
CUSTOMERS = """
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

class Customer(TenantMixin):
    auto_create_schema = True

class Domain(DomainMixin):
    pass
"""
URLS = """
from django.urls import include
urlpatterns.append(path("complycube/", include("complycube_sessions.urls")))
"""
MAKE = """
from customers.models import Customer
for name in ("one", "two"):
    customer = Customer.objects.create(schema_name=name)
    customer.domains.create(domain=f"{name}.example.com", is_primary=True)
"""
LOOK = """
import json
from django.db import connection
from django_tenants.utils import schema_context
from complycube_sessions.models import WebhookEvent, WorkflowSession
found = {}
for name in ("one", "two", "public"):
    with schema_context(name), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM complycube_sessions_requestbudget")
        waiting = WebhookEvent.objects.filter(processed_at=None).count()
        sessions = list(WorkflowSession.objects.values_list("pk", flat=True))
        found[name] = {"sessions": sessions, "waiting": waiting, "budgets": cursor.fetchone()[0]}
print(json.dumps(found))
"""


@pytest.fixture
def host(make_host: MakeHost, postgres: str) -> Host:
    made = make_host("psycopg[binary]~=3.2", "django-tenants~=4.0")
    parts = urlsplit(postgres)
    server = {
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
        "NAME": parts.path.removeprefix("/"),
    }
    made.add("host/settings.py", f"\nSERVER = {server!r}{SETTINGS}")
    for path, text in DOCUMENTED.items():
        made.add(path, text)
    made.add("host/urls.py", URLS)
    made.add("customers/__init__.py", "")
    made.add("customers/models.py", CUSTOMERS)
    return made


def send(url: str, tenant: str, session_id: str) -> int:
    body = encoded(event(f"event-of-{tenant}", id=session_id))
    headers = {
        "Host": f"{tenant}.example.com",
        "ComplyCube-Signature": signature(body, SECRET),
        "Content-Type": "application/json",
    }
    address = f"{url}/complycube/webhook/default/"
    return requests.post(address, data=body, headers=headers, timeout=30).status_code


def processed(host: Host) -> dict[str, Any]:
    """Return what each schema holds once no event waits any more."""
    deadline = time.monotonic() + SECONDS
    while True:
        found: dict[str, Any] = host.ask(LOOK)
        if not any(one["waiting"] for one in found.values()):
            return found
        assert time.monotonic() < deadline, host.log()


def test_host__tenants(host: Host) -> None:
    """An event is processed in the schema that received it, and the requests of all share one budget."""
    api = FakeAPI()
    for number in range(len(TENANTS)):
        api.add_session(number)
    sessions = dict(zip(TENANTS, api.sessions, strict=True))
    with served(api) as base_url:
        account = {"API_KEY": KEY, "BASE_URL": base_url, "WEBHOOK_SECRETS": [SECRET]}
        host.add("host/settings.py", f"COMPLYCUBE_ACCOUNTS = {{'default': {account!r}}}\n")
        host.manage("makemigrations", "customers")
        host.manage("migrate_schemas", "--shared", "--verbosity", "0")
        host.manage("shell", "--no-imports", "-c", MAKE)
        with host.serving() as url:
            for tenant, session_id in sessions.items():
                assert send(url, tenant, session_id) == 200, host.log()
            found = processed(host)
            assert "The inbox waits" not in host.log()
        host.manage("tenant_command", "refresh_workflow_sessions", "--schema=one")
    assert set(host.ask(LOOK)["one"]["sessions"]) == set(api.sessions)
    for tenant, session_id in sessions.items():
        assert found[tenant] == {"sessions": [session_id], "waiting": 0, "budgets": 0}
    assert found["public"] == {"sessions": [], "waiting": 0, "budgets": 1}
