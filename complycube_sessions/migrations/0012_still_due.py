from django.db import models

from complycube_sessions.db.migration_steps import AddFieldOnce, RepeatableMigration


class Migration(RepeatableMigration):
    """What a run left to a later one."""

    dependencies = [("complycube_sessions", "0011_check_answers")]

    operations = [
        AddFieldOnce(
            "refreshrun",
            "remaining",
            models.PositiveIntegerField(default=0, verbose_name="remaining"),
        ),
        AddFieldOnce(
            "refreshrun",
            "still_due",
            models.PositiveIntegerField(default=0, verbose_name="still due"),
        ),
    ]
