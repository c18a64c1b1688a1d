import complycube_sessions.db.fields
from django.db import migrations, models

from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    dependencies = [
        ('complycube_sessions', '0005_session_evidence'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChangedDay',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='DayFigures',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('zone', complycube_sessions.db.fields.ExactCharField(max_length=64)),
                ('day', models.DateField()),
                ('figures', models.JSONField()),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.AddIndex(
            model_name='changedday',
            index=models.Index(fields=['day'], name='ccs_changed_day'),
        ),
        migrations.AddConstraint(
            model_name='dayfigures',
            constraint=models.UniqueConstraint(fields=('zone', 'day'), name='ccs_figures_per_day'),
        ),
    ]
