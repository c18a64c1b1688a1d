"""A project that exports with import-export and gives permissions on single sessions with guardian."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import host_module
from tests.fake_api import KEY, FakeAPI, served
from tests.installed_wheel.conftest import MakeHost
from tests.installed_wheel.host import Browser, Host

pytestmark = pytest.mark.hosts

SETTINGS = """
INSTALLED_APPS += ["import_export", "guardian", "complycube_sessions", "people"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend",
]
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"
"""
ADMIN = host_module("people/admin.py, with django-import-export")
RECEIVERS = host_module("people/receivers.py, with django-guardian")
APPS = """
from django.apps import AppConfig

class PeopleConfig(AppConfig):
    name = "people"

    def ready(self):
        from people import receivers
"""
PERMIT = """
from complycube_sessions.models import WorkflowSession
from django.contrib.auth import get_user_model
from guardian.shortcuts import assign_perm
users = get_user_model().objects
user = users.create_user("someone")
for session in WorkflowSession.objects.all():
    assign_perm("view_workflowsession", user, session)
viewer = users.create_user("viewer", password="secret", is_staff=True)
assign_perm("complycube_sessions.view_workflowsession", viewer)
"""
LEFT = """
import json
from guardian.models import UserObjectPermission
print(json.dumps(sorted(UserObjectPermission.objects.values_list("object_pk", flat=True))))
"""


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    made = make_host("django-import-export~=4.3", "django-guardian~=3.2")
    made.add("host/settings.py", SETTINGS)
    for name, text in (
        ("__init__", ""),
        ("admin", ADMIN),
        ("receivers", RECEIVERS),
        ("apps", APPS),
    ):
        made.add(f"people/{name}.py", text)
    return made


def test_host__packages(host: Host) -> None:
    """Both exports and the tabs are on the list, and what names an erased session goes with it."""
    api = FakeAPI()
    for number in (1, 2):
        api.add_session(number)
    erased, kept = api.sessions
    with served(api) as base_url:
        accounts = {"default": {"API_KEY": KEY, "BASE_URL": base_url}}
        host.add("host/settings.py", f"COMPLYCUBE_ACCOUNTS = {accounts!r}\n")
        host.set_up()
        host.manage("refresh_workflow_sessions")
    host.manage("createsuperuser", "--noinput", "--username", "boss", "--email", "b@example.com")
    host.manage("shell", "--no-imports", "-c", PERMIT)
    with host.serving() as url:
        boss, viewer = Browser(url), Browser(url)
        boss.sign_in("boss")
        listed = boss.get("workflowsession/")
        assert "Needs review" in listed
        assert 'class="export_link"' in listed
        (address,) = set(re.findall(r'action="([^"]*export[^"]*)"', listed))
        exported = boss.post(f"{url}{address}", format="csv")
        assert exported.headers["Content-Type"].startswith("text/csv")
        assert exported.text.count("\n") == 3
        assert "resource" in boss.get("workflowsession/export/")
        viewer.sign_in("viewer")
        assert "export" not in viewer.get("workflowsession/")
        for page in ("export/", "export_list/"):
            refused = viewer.post(f"{viewer.admin}complycube_sessions/workflowsession/{page}")
            assert refused.status_code == 403
    client = api.sessions[erased]["clientId"]
    assert host.ask(LEFT) == sorted([erased, kept])
    host.manage("erase_complycube_client", client)
    assert host.ask(LEFT) == [kept]
