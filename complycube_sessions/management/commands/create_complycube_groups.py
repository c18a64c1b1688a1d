"""Create the groups of the people who use the admin; can be run again."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand, CommandError

VIEW: Final = ("view_workflowsession", "view_relatedcheck", "view_sessionchange")
REVIEWER: Final = (*VIEW, "view_sensitive_workflowsession", "view_review", "work_review")
GROUPS: Final = {
    "Compliance reviewer": REVIEWER,
    "Compliance lead": (
        *REVIEWER,
        "refresh_workflowsession",
        "export_workflowsession",
        "evidence_workflowsession",
        "change_upstream_workflowsession",
        "assign_review",
        "confirm_review",
    ),
    "Operator": (
        "view_refreshrun",
        "view_webhookevent",
        "view_pendingrefresh",
        "view_erasure",
        "view_prunerun",
        "refresh_workflowsession",
    ),
}


class Command(BaseCommand):
    help = (
        "Create the groups Compliance reviewer, Compliance lead and Operator, and add to each "
        "its permissions. No permission is removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        codenames_needed = {name for names in GROUPS.values() for name in names}
        permissions = {
            permission.codename: permission
            for permission in Permission.objects.filter(
                content_type__app_label="complycube_sessions", codename__in=codenames_needed
            )
        }
        if missing := codenames_needed - set(permissions):
            raise CommandError(
                f"Permissions are missing ({', '.join(sorted(missing))}). Run migrate first."
            )
        for name, codenames in GROUPS.items():
            group, created = Group.objects.get_or_create(name=name)
            # Only add permissions, to keep those that were added by hand.
            group.permissions.add(*(permissions[codename] for codename in codenames))
            self.stdout.write(f"{name}: {'created' if created else 'up to date'}")
