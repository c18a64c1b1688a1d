from __future__ import annotations

import secrets
from io import StringIO
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

REVIEWERS: Final = "Compliance reviewer"
# What the demo's reviewer needs beyond the group to finish a case in the sandbox.
UPSTREAM: Final = "change_upstream_workflowsession"


def create_users() -> dict[str, str]:
    """
    Make the two users of the demo, or give them new passwords.

    Returns:
        User name to password; nothing else ever shows the passwords.
    """
    call_command("create_complycube_groups", verbosity=0, stdout=StringIO())
    group = Group.objects.get(name=REVIEWERS)
    passwords = {}
    for name in ("admin", "reviewer"):
        user, _created = get_user_model().objects.get_or_create(username=name)
        user.is_active = user.is_staff = True
        user.is_superuser = name == "admin"
        passwords[name] = secrets.token_urlsafe(12)
        user.set_password(passwords[name])
        user.save()
        if name == "reviewer":
            user.groups.set([group])
            user.user_permissions.set(Permission.objects.filter(codename=UPSTREAM))
    return passwords
