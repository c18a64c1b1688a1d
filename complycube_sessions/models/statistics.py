"""Statistics that are kept by day."""

from __future__ import annotations

from django.db import models

from complycube_sessions.db.fields import ExactCharField


class DayFigures(models.Model):
    """
    The figures of the sessions created on one day, counted once.

    They hold as long as no ``ChangedDay`` names the day; see ``statistics/by_day.py``.
    """

    id = models.BigAutoField(primary_key=True)
    # A day of this time zone.
    zone = ExactCharField(max_length=64)
    day = models.DateField()
    figures = models.JSONField()
    # Of this counting and no other, so that a process may remember what it has read.
    mark = ExactCharField(max_length=32, default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["zone", "day"], name="ccs_figures_per_day"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.zone}"


class ChangedDay(models.Model):
    """A UTC day of creation whose sessions were written since its figures were counted."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["day"], name="ccs_changed_day")]

    def __str__(self) -> str:
        return str(self.day)
