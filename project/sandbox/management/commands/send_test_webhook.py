from __future__ import annotations

from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse

from complycube_sessions.conf import webhook_secrets
from project.sandbox.deliver import deliver
from project.sandbox.samples import NoSampleError, sample_event


class Command(BaseCommand):
    help = (
        "Sign an event as the vendor would send it of something in the sandbox, and send it to the "
        "receiver of a running demo site."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "session_id",
            nargs="?",
            help="a sandbox session; by default the newest one of which there is such an event",
        )
        parser.add_argument(
            "--type", dest="event_type", default="workflow.session.updated", help="the event's type"
        )
        parser.add_argument("--url", help="the receiver; the demo site on this machine by default")
        parser.add_argument("--repeat", type=int, default=1, help="send the same event so often")

    def handle(
        self,
        *,
        session_id: str | None,
        event_type: str,
        url: str | None,
        repeat: int,
        **options: Any,
    ) -> None:
        try:
            event = sample_event(event_type, session_id or "")
        except NoSampleError as error:
            raise CommandError(str(error)) from None
        secrets = webhook_secrets("default")
        if not secrets:
            raise CommandError("Set COMPLYCUBE_WEBHOOK_SECRET.")
        path = reverse("complycube_sessions:webhook", args=["default"])
        target = url or f"http://127.0.0.1:{getattr(settings, 'DEMO_PORT', 8000)}{path}"
        for _ in range(repeat):
            try:
                status = deliver(target, secrets[0], event)
            except requests.RequestException as error:
                raise CommandError(
                    f"{target} does not answer ({error.__class__.__name__}). Start the site with: "
                    "make demo"
                ) from None
            self.stdout.write(f"{event['type']} of {event['payload']['id']}: answered {status}.")
            if status // 100 != 2:
                raise CommandError("The receiver refused the event.")
