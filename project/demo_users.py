from __future__ import annotations

import secrets
from io import StringIO
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

GROUPS: Final = {
    "admin": "",
    "reviewer": "Compliance reviewer",
    "lead": "Compliance lead",
    "operator": "Operator",
}
# What the demo's reviewer needs beyond the group to finish a case in the sandbox.
UPSTREAM: Final = "change_upstream_workflowsession"


def create_users() -> dict[str, str]:
    """
    Make the users of the demo, one for each group, or give them new passwords.

    Returns:
        User name to password; nothing else ever shows the passwords.
    """
    call_command("create_complycube_groups", verbosity=0, stdout=StringIO())
    passwords = {}
    for name, group in GROUPS.items():
        user, _created = get_user_model().objects.get_or_create(username=name)
        user.is_active = user.is_staff = True
        user.is_superuser = name == "admin"
        passwords[name] = secrets.token_urlsafe(12)
        user.set_password(passwords[name])
        user.save()
        user.groups.set(Group.objects.filter(name=group))
        if name == "reviewer":
            user.user_permissions.set(Permission.objects.filter(codename=UPSTREAM))
    return passwords
