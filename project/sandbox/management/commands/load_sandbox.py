from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from project.sandbox.loading import DEFAULT_COUNT, load


class Command(BaseCommand):
    help = "Fill the sandbox with the vendor's example and invented sessions; what is there stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count",
            type=int,
            default=DEFAULT_COUNT,
            help=f"how many invented sessions to have, {DEFAULT_COUNT} unless told",
        )

    def handle(self, *, count: int, **options: Any) -> None:
        added, total = load(count)
        self.stdout.write(f"The sandbox has {total} sessions, {added} of them new.")
