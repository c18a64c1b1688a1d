"""The people of the project as reviews name them; their table may be in another database."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import Q, QuerySet

from complycube_sessions.admin.base import APP_LABEL
from complycube_sessions.models import Review

LISTED: Final = 200


def with_people(reviews: QuerySet[Review], *names: str) -> dict[str, Review]:
    """
    Return reviews by session with the people that their columns name; who is gone is None.

    A database that holds both tables tells it in one query, two databases in one each.
    """
    model: Any = get_user_model()
    if router.db_for_read(model) == reviews.db:
        return {review.pk: review for review in reviews.select_related(*names)}
    found = {review.pk: review for review in reviews}
    ids = {getattr(review, f"{name}_id") for review in found.values() for name in names}
    people = model._default_manager.in_bulk([pk for pk in ids if pk is not None])
    for review in found.values():
        for name in names:
            person = people.get(getattr(review, f"{name}_id"))
            review._state.fields_cache[name] = person
    return found


def reviewers() -> list[Any]:
    """Return the first 200 active people who may work on reviews, by their names."""
    model: Any = get_user_model()
    known = {field.name for field in model._meta.get_fields()}
    users = model._default_manager.order_by(model.USERNAME_FIELD)
    if "is_active" in known:
        users = users.filter(is_active=True)
    if {"groups", "user_permissions", "is_superuser"} <= known:
        users = users.filter(
            Q(is_superuser=True) | _may("user_permissions") | _may("groups__permissions")
        ).distinct()
    return list(users[:LISTED])


def _may(path: str) -> Q:
    right = {"codename": "work_review", "content_type__app_label": APP_LABEL}
    return Q(**{f"{path}__{name}": value for name, value in right.items()})
