from django.db import migrations, models

from complycube_sessions.db.indexes import AddIndexOnline, PartialIndex, RemoveIndexOnline
from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):
    """Only MariaDB and MySQL need it: elsewhere the index is small, and the same as before."""

    atomic = False

    dependencies = [
        ('complycube_sessions', '0009_session_words_index'),
    ]

    operations = [
        RemoveIndexOnline(model_name='workflowsession', name='ccs_session_missing'),
        AddIndexOnline(
            model_name='workflowsession',
            index=PartialIndex(
                condition=models.Q(missing_since__isnull=False),
                fields=['created_at', 'id'],
                instead=['missing_since', 'created_at', 'id'],
                name='ccs_session_missing',
            ),
        ),
    ]
