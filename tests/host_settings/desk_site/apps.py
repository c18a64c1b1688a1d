from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class DeskConfig(AdminConfig):
    default_site = "tests.host_settings.desk_site.site.Desk"
