from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("complycube/", include("complycube_sessions.urls"))]
