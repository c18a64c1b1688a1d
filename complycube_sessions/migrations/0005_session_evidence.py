import complycube_sessions.db.fields
import django.utils.timezone
from django.db import migrations, models

from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    dependencies = [
        ('complycube_sessions', '0004_privacy'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='workflowsession',
            options={'default_permissions': ('view',), 'permissions': [('refresh_workflowsession', 'Can refresh workflow sessions from ComplyCube'), ('export_workflowsession', 'Can export workflow sessions'), ('view_sensitive_workflowsession', 'Can view answers, check results and tasks'), ('evidence_workflowsession', "Can export evidence and the vendor's reports")], 'verbose_name': 'workflow session', 'verbose_name_plural': 'workflow sessions'},
        ),
        migrations.CreateModel(
            name='SessionEvidence',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('session_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='session id')),
                ('sha256', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='SHA-256 of the JSON file')),
                ('page_sha256', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='SHA-256 of the HTML file')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='exported')),
                ('actor', models.CharField(max_length=255, verbose_name='actor')),
                ('app_version', models.CharField(max_length=64, verbose_name='app version')),
            ],
            options={
                'verbose_name': 'session evidence',
                'verbose_name_plural': 'session evidence',
                'default_permissions': (),
                'indexes': [models.Index(fields=['session_id', 'created_at'], name='ccs_evidence_session'), models.Index(fields=['sha256'], name='ccs_evidence_sha256'), models.Index(fields=['page_sha256'], name='ccs_evidence_page_sha256')],
            },
        ),
    ]
