from __future__ import annotations

import secrets
from typing import Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

REVIEWERS: Final = "Compliance reviewer"
REVIEWER_PERMISSIONS: Final = (
    "view_workflowsession",
    "view_relatedcheck",
    "view_sessionchange",
    "view_sensitive_workflowsession",
)


def create_users() -> dict[str, str]:
    """
    Make the two users of the demo, or give them new passwords.

    Returns:
        User name to password; nothing else ever shows the passwords.
    """
    group = _reviewers()
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
    return passwords


def _reviewers() -> Group:
    group, _created = Group.objects.get_or_create(name=REVIEWERS)
    group.permissions.set(
        Permission.objects.filter(
            content_type__app_label="complycube_sessions", codename__in=REVIEWER_PERMISSIONS
        )
    )
    return group
