from django.db import migrations, models, transaction

from complycube_sessions.db.indexes import AddIndexOnline
from complycube_sessions.models.name_words import name_rotations, name_words
from complycube_sessions.db.migration_steps import RepeatableMigration

BATCH = 2000


def follow_words(apps, schema_editor):
    """Let each word of a name be followed by the others."""
    write_words(apps, schema_editor, name_rotations)


def single_words(apps, schema_editor):
    write_words(apps, schema_editor, name_words)


def write_words(apps, schema_editor, words_of):
    """Write the words of all names anew, in batches that may be repeated; writers of a batch wait for it."""
    alias = schema_editor.connection.alias
    Session = apps.get_model('complycube_sessions', 'WorkflowSession')
    Word = apps.get_model('complycube_sessions', 'SessionNameWord')
    sessions, last = Session.objects.using(alias).order_by('pk').only('pk', 'entity_name'), ''
    while True:
        with transaction.atomic(using=alias):
            batch = list(sessions.filter(pk__gt=last).select_for_update()[:BATCH])
            if not batch:
                return
            Word.objects.using(alias).filter(session__in=batch).delete()
            Word.objects.using(alias).bulk_create(
                Word(session_id=session.pk, words=words)
                for session in batch
                for words in words_of(session.entity_name)
            )
        last = batch[-1].pk


class Migration(RepeatableMigration):

    # Each batch is stored by itself, and PostgreSQL builds an index beside writers only outside of a transaction.
    atomic = False

    dependencies = [
        ('complycube_sessions', '0008_words_and_marks'),
    ]

    operations = [
        migrations.RunPython(follow_words, single_words),
        AddIndexOnline(
            model_name='sessionnameword',
            index=models.Index(fields=['words', 'session'], name='ccs_words_start', opclasses=['varchar_pattern_ops', 'varchar_pattern_ops']),
        ),
    ]
