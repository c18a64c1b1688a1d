from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("complycube/", include("complycube_sessions.urls")),
    path("sandbox/v1/", include("project.sandbox.urls")),
]
