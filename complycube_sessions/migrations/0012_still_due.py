from django.db import migrations, models


class Migration(migrations.Migration):
    """What a run left to a later one."""

    dependencies = [("complycube_sessions", "0011_check_answers")]

    operations = [
        migrations.AddField(
            "refreshrun",
            "remaining",
            models.PositiveIntegerField(default=0, verbose_name="remaining"),
        ),
        migrations.AddField(
            "refreshrun",
            "still_due",
            models.PositiveIntegerField(default=0, verbose_name="still due"),
        ),
    ]
