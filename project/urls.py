from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_title = "ComplyCube sessions demo"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("complycube/", include("complycube_sessions.urls")),
]
if apps.is_installed("project.sandbox"):
    urlpatterns.append(path("sandbox/v1/", include("project.sandbox.urls")))
