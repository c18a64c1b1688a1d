from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from complycube_sessions.admin import register
from tests.themes import settings
from tests.urls import urlpatterns as usual

urlpatterns = [*usual]
if settings.THEME == "grappelli":
    urlpatterns = [path("grappelli/", include("grappelli.urls")), *usual]
if settings.THEME == "jet":
    urlpatterns = [path("jet/", include("jet.urls", "jet")), *usual]
if settings.THEME == "unfold-base":
    from unfold.admin import ModelAdmin

    register(admin.site, base=ModelAdmin)
