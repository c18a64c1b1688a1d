from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _

from complycube_sessions.system_checks import check_deployment, check_settings


class ComplyCubeSessionsConfig(AppConfig):
    name = "complycube_sessions"
    verbose_name = _("ComplyCube sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported here because it needs the models, which are not loaded before.
        from complycube_sessions.database_checks import (
            check_accounts_are_apart,
            check_accounts_are_configured,
            check_environments_apart,
            check_erasures_are_comparable,
            check_events_arrive,
        )

        checks.register(check_settings)
        checks.register(check_deployment, deploy=True)
        checks.register(check_events_arrive, checks.Tags.database)
        checks.register(check_erasures_are_comparable, checks.Tags.database)
        checks.register(check_accounts_are_configured, checks.Tags.database)
        checks.register(check_accounts_are_apart, checks.Tags.database)
        checks.register(check_environments_apart, checks.Tags.database, deploy=True)
