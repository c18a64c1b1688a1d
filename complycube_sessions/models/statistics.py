"""Stored statistics by day."""

from __future__ import annotations

from django.db import models

from complycube_sessions.db.fields import ExactCharField


class DayFigures(models.Model):
    """
    The figures of the sessions created on one day.

    They are valid as long as no ``ChangedDay`` marks the day; see ``statistics/by_day.py``.
    """

    id = models.BigAutoField(primary_key=True)
    # The time zone of the day.
    zone = ExactCharField(max_length=64)
    day = models.DateField()
    figures = models.JSONField()
    # Unique for each count, so that a process can cache the figures.
    mark = ExactCharField(max_length=32, default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["zone", "day"], name="ccs_figures_per_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.zone}"


class ChangedDay(models.Model):
    """A UTC day whose figures are outdated, as sessions created on it were written."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="ccs_changed_day")]

    def __str__(self) -> str:
        return str(self.day)
