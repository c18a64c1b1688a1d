from django.db import models

from complycube_sessions.db.migration_steps import AddFieldOnce, RepeatableMigration


class Migration(RepeatableMigration):

    dependencies = [
        ('complycube_sessions', '0012_still_due'),
    ]

    operations = [
        AddFieldOnce(
            model_name='erasure',
            name='removed',
            field=models.JSONField(blank=True, default=dict, verbose_name='removed'),
        ),
        AddFieldOnce(
            model_name='refreshrun',
            name='kept_out',
            field=models.PositiveIntegerField(default=0, verbose_name='kept out by an erasure'),
        ),
    ]
