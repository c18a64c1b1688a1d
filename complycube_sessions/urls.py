from __future__ import annotations

from django.urls import path

from complycube_sessions.views import webhook

app_name = "complycube_sessions"
urlpatterns = [path("webhook/<str:account>/", webhook, name="webhook")]
