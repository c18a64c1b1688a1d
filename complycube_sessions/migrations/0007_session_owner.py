from django.db import migrations, models

from complycube_sessions.db.indexes import AddIndexOnline
from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    # PostgreSQL builds an index beside writers only outside of a transaction.
    atomic = False

    dependencies = [
        ('complycube_sessions', '0006_day_figures'),
    ]

    operations = [
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['account', 'environment'], name='ccs_session_owner'),
        ),
    ]
