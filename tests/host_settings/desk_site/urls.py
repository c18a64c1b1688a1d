from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from complycube_sessions.admin import register
from tests.host_settings.desk_site.site import Desk

second = Desk(name="second")
register(second)

urlpatterns = [
    path("second/", second.urls),
    path("admin/", admin.site.urls),
    path("complycube/", include("complycube_sessions.urls")),
]
