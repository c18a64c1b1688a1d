from __future__ import annotations

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "project.sandbox"
    label = "sandbox"
    verbose_name = "ComplyCube sandbox"
    default_auto_field = "django.db.models.BigAutoField"
