from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    # A browser asks for it unasked, and logs an error where there is none.
    path("favicon.ico", lambda request: HttpResponse(status=204)),
    path("admin/", admin.site.urls),
    path("complycube/", include("complycube_sessions.urls")),
    path("sandbox/v1/", include("project.sandbox.urls")),
]
