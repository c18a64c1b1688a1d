from django.db import migrations, models, transaction

import complycube_sessions.db.fields
from complycube_sessions.api.cutting import without_files, without_oversized_text
from complycube_sessions.db.migration_steps import AddFieldOnce, RepeatableMigration

BATCH = 100
COLUMNS = {
    'WorkflowSession': (
        'raw',
        'tasks',
        'compliance_policies',
        'policy_assurance',
        'workflow_description',
        'workflow_template_description',
    ),
    'RelatedCheck': ('result',),
}


def cut_files(apps, schema_editor):
    """Cut images and oversized text out of what is stored, as the parser does now with every answer."""
    for name, columns in COLUMNS.items():
        cut_rows(apps.get_model('complycube_sessions', name), columns, schema_editor.connection.alias)


def cut_rows(model, columns, alias):
    """Go through all rows in batches that may be repeated; writers of a batch wait for it."""
    rows, last = model.objects.using(alias).order_by('pk').only('pk', *columns), None
    while True:
        with transaction.atomic(using=alias):
            after = rows if last is None else rows.filter(pk__gt=last)
            batch = list(after.select_for_update()[:BATCH])
            if not batch:
                return
            changed = [row for row in batch if cut_row(row, columns)]
            model.objects.using(alias).bulk_update(changed, columns)
        last = batch[-1].pk


def cut_row(row, columns):
    """Cut the columns of a row and return whether anything was cut."""
    before = [getattr(row, column) for column in columns]
    after = [cut_value(column, value) for column, value in zip(columns, before)]
    for column, value in zip(columns, after):
        setattr(row, column, value)
    return before != after


def cut_value(column, value):
    """Cut a column as the parser does: plain text of the answer's own fields stays whole."""
    if column == 'raw' and isinstance(value, dict):
        return without_files(value)
    if isinstance(value, str):
        return without_files({column: value})[column]
    return without_oversized_text(value)


class Migration(RepeatableMigration):

    # Each batch is stored by itself: in one transaction it would keep writers waiting to its end.
    atomic = False

    dependencies = [
        ('complycube_sessions', '0010_missing_index'),
    ]

    operations = [
        AddFieldOnce(
            model_name='relatedcheck',
            name='document_id',
            field=complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='document id'),
        ),
        AddFieldOnce(
            model_name='relatedcheck',
            name='monitored',
            field=models.BooleanField(blank=True, null=True, verbose_name='monitored'),
        ),
        AddFieldOnce(
            model_name='relatedcheck',
            name='raw',
            field=models.JSONField(blank=True, default=dict, verbose_name='answer as received'),
        ),
        migrations.RunPython(cut_files, migrations.RunPython.noop),
    ]
