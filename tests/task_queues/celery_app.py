"""A Celery application as a host project has one."""

from __future__ import annotations

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.task_queues.settings")
django.setup()

from complycube_sessions.contrib.celery import beat_schedule  # noqa: E402 - after the set-up

app = Celery("engines", broker=os.environ.get("ENGINE_BROKER", "memory://"))
app.conf.task_default_queue = os.environ.get("ENGINE_QUEUE", "complycube-tests")
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_connection_retry_on_startup = True
app.conf.beat_schedule = beat_schedule()
app.autodiscover_tasks(["complycube_sessions"], related_name="contrib.celery")
