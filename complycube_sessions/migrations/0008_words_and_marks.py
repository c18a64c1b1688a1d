import complycube_sessions.db.fields
from django.db import migrations

from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    dependencies = [
        ('complycube_sessions', '0007_session_owner'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='sessionnameword',
            name='ccs_word_start',
        ),
        migrations.RenameField(
            model_name='sessionnameword',
            old_name='word',
            new_name='words',
        ),
        migrations.AlterField(
            model_name='sessionnameword',
            name='words',
            field=complycube_sessions.db.fields.ExactCharField(max_length=512),
        ),
        migrations.AddField(
            model_name='dayfigures',
            name='mark',
            field=complycube_sessions.db.fields.ExactCharField(default='', max_length=32),
        ),
    ]
