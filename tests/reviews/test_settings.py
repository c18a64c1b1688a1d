"""The settings of case work: wrong ones are found, and right ones are used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from complycube_sessions.conf import conf
from complycube_sessions.exceptions import ComplyCubeConfigurationError
from complycube_sessions.models import Review
from complycube_sessions.setting_rules import REVIEW_REASONS
from complycube_sessions.system_checks import check_settings
from tests.reviews.builders import store


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("COMPLYCUBE_REVIEW_REASONS", "Fraud", "E050"),
        ("COMPLYCUBE_REVIEW_REASONS", ["x" * 256], "E050"),
        ("COMPLYCUBE_REVIEW_REASONS", [""], "E050"),
        ("COMPLYCUBE_REVIEW_REASONS", {"maybe": ["x"]}, "E050"),
        ("COMPLYCUBE_REVIEW_REASONS", {"approved": "x"}, "E050"),
        ("COMPLYCUBE_REVIEW_DUE", 2, "E051"),
        ("COMPLYCUBE_REVIEW_DUE", timedelta(0), "E051"),
        ("COMPLYCUBE_REVIEW_DUE", timedelta.max, "E051"),
        ("COMPLYCUBE_FOUR_EYES", True, "E052"),
        ("COMPLYCUBE_FOUR_EYES", "approved", "E052"),
        ("COMPLYCUBE_FOUR_EYES", [1], "E052"),
    ],
)
def test_settings__wrong(settings: Settings, name: str, value: Any, number: str) -> None:
    """Each is found under an id of its own with a hint, and raises an error when it is used."""
    setattr(settings, name, value)
    (message,) = check_settings()
    assert message.id == f"complycube_sessions.{number}"
    assert message.hint
    with pytest.raises(ComplyCubeConfigurationError):
        getattr(conf, name)


def test_settings__right(settings: Settings) -> None:
    settings.COMPLYCUBE_REVIEW_REASONS = {"approved": ("Seen",), "declined": []}
    settings.COMPLYCUBE_REVIEW_DUE = None
    settings.COMPLYCUBE_FOUR_EYES = {"approved", "a word not known yet"}
    assert check_settings() == []


def test_reasons__of_each_decision() -> None:
    """The built-in ones have some for every decision."""
    assert set(REVIEW_REASONS) == set(Review.Decision.values)
    assert all(REVIEW_REASONS.values())


@pytest.mark.django_db
@pytest.mark.parametrize("due", [None, timedelta(hours=4)])
def test_due__by_the_setting(settings: Settings, due: timedelta | None) -> None:
    settings.COMPLYCUBE_REVIEW_DUE = due
    store()
    review = Review.objects.get()
    assert review.due_at == (review.opened_at + due if due else None)
