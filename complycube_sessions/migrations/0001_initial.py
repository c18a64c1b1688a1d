import complycube_sessions.db.fields
import complycube_sessions.db.indexes
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='RequestBudget',
            fields=[
                ('key_digest', complycube_sessions.db.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ('reservations', models.BigIntegerField(default=0)),
                ('next_slot_at', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Erasure',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='account')),
                ('kind', models.CharField(choices=[('client', 'Client'), ('session', 'Session'), ('check', 'Check')], max_length=16, verbose_name='kind')),
                ('digest', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='keyed hash')),
                ('erased_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='erased')),
                ('actor', models.CharField(max_length=255, verbose_name='actor')),
                ('reason', models.TextField(blank=True, default='', verbose_name='reason')),
                ('client_digest', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='keyed hash of the client')),
                ('key_fingerprint', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=16, verbose_name='key fingerprint')),
                ('override', models.TextField(blank=True, default='', verbose_name='reason for the override')),
                ('removed', models.JSONField(blank=True, default=dict, verbose_name='removed')),
            ],
            options={
                'verbose_name': 'erasure',
                'verbose_name_plural': 'erasures',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['account', 'client_digest'], name='ccs_erasure_client'), models.Index(fields=['key_fingerprint'], name='ccs_erasure_key')],
                'constraints': [models.UniqueConstraint(fields=('account', 'kind', 'digest'), name='ccs_erasure_once')],
            },
        ),
        migrations.CreateModel(
            name='ErasureGate',
            fields=[
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='PruneRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('actor', models.CharField(max_length=255, verbose_name='actor')),
                ('override', models.TextField(blank=True, default='', verbose_name='reason for the override')),
                ('removed', models.JSONField(blank=True, default=dict, verbose_name='removed')),
                ('protected', models.PositiveIntegerField(default=0, verbose_name='protected')),
            ],
            options={
                'verbose_name': 'retention run',
                'verbose_name_plural': 'retention runs',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='PendingRefresh',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='account')),
                ('session_id', complycube_sessions.db.fields.ExactCharField(max_length=128, verbose_name='session id')),
                ('reason', models.CharField(max_length=64, verbose_name='reason')),
                ('requested_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='requested')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('next_try_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='next try')),
                ('error', models.TextField(blank=True, default='', verbose_name='error')),
            ],
            options={
                'verbose_name': 'pending refresh',
                'verbose_name_plural': 'pending refreshes',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['account', 'next_try_at'], name='ccs_pending_due'), models.Index(fields=['next_try_at', 'id'], name='ccs_pending_next'), models.Index(fields=['session_id'], name='ccs_pending_session'), complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('attempts__gt', 0)), fields=['next_try_at', 'id'], instead=['attempts'], name='ccs_pending_failing')],
                'constraints': [models.UniqueConstraint(fields=('account', 'session_id'), name='ccs_pending_per_session')],
            },
        ),
        migrations.CreateModel(
            name='RefreshRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='account')),
                ('environment', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=8, verbose_name='environment')),
                ('mode', models.CharField(choices=[('incremental', 'Incremental'), ('full', 'Full'), ('since', 'Since a given time'), ('ids', 'By id')], max_length=16, verbose_name='mode')),
                ('state', models.CharField(choices=[('running', 'Running'), ('succeeded', 'Succeeded'), ('partial', 'Partial'), ('failed', 'Failed'), ('interrupted', 'Interrupted')], default='running', max_length=16, verbose_name='state')),
                ('started_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
                ('watermark', models.DateTimeField(blank=True, null=True, verbose_name='watermark')),
                ('listed', models.PositiveIntegerField(default=0, verbose_name='listed')),
                ('fetched', models.PositiveIntegerField(default=0, verbose_name='fetched')),
                ('created', models.PositiveIntegerField(default=0, verbose_name='created')),
                ('updated', models.PositiveIntegerField(default=0, verbose_name='updated')),
                ('unchanged', models.PositiveIntegerField(default=0, verbose_name='unchanged')),
                ('missing', models.PositiveIntegerField(default=0, verbose_name='missing')),
                ('failed', models.PositiveIntegerField(default=0, verbose_name='failed')),
                ('requests', models.PositiveIntegerField(default=0, verbose_name='requests')),
                ('errors', models.JSONField(blank=True, default=dict, verbose_name='errors')),
                ('error_count', models.PositiveIntegerField(default=0, verbose_name='number of errors')),
                ('remaining', models.PositiveIntegerField(default=0, verbose_name='remaining')),
                ('still_due', models.PositiveIntegerField(default=0, verbose_name='still due')),
                ('kept_out', models.PositiveIntegerField(default=0, verbose_name='blocked by an erasure')),
            ],
            options={
                'verbose_name': 'refresh run',
                'verbose_name_plural': 'refresh runs',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['account', 'started_at'], name='ccs_run_account_started'), models.Index(fields=['started_at', 'id'], name='ccs_run_started'), models.Index(fields=['state', 'started_at', 'id'], name='ccs_run_state'), models.Index(fields=['account', 'mode', 'id'], name='ccs_run_mode'), models.Index(fields=['account', 'state', 'mode', 'id'], name='ccs_run_latest')],
            },
        ),
        migrations.CreateModel(
            name='RefreshLease',
            fields=[
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, primary_key=True, serialize=False)),
                ('expires_at', models.DateTimeField(null=True)),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='complycube_sessions.refreshrun')),
            ],
            options={
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='WebhookEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='account')),
                ('event_id', complycube_sessions.db.fields.ExactCharField(max_length=128, verbose_name='event id')),
                ('type', complycube_sessions.db.fields.ExactCharField(max_length=128, verbose_name='type')),
                ('resource_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='resource id')),
                ('status', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='status')),
                ('outcome', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='outcome')),
                ('occurred_at', models.DateTimeField(blank=True, null=True, verbose_name='occurred')),
                ('received_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='received')),
                ('processed_at', models.DateTimeField(blank=True, null=True, verbose_name='processed')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('error', models.TextField(blank=True, default='', verbose_name='error')),
                ('client_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='client id')),
                ('next_try_at', models.DateTimeField(blank=True, null=True, verbose_name='next try')),
            ],
            options={
                'verbose_name': 'webhook event',
                'verbose_name_plural': 'webhook events',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['processed_at', 'id'], name='ccs_event_unprocessed'), models.Index(fields=['resource_id'], name='ccs_event_resource'), models.Index(fields=['client_id'], name='ccs_event_client'), models.Index(fields=['event_id'], name='ccs_event_event'), models.Index(fields=['received_at', 'id'], name='ccs_event_received'), complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('processed_at__isnull', False), models.Q(('error', ''), _negated=True)), fields=['id'], instead=['processed_at'], name='ccs_event_given_up')],
                'constraints': [models.UniqueConstraint(fields=('account', 'event_id'), name='ccs_event_once')],
            },
        ),
        migrations.CreateModel(
            name='WorkflowSession',
            fields=[
                ('id', complycube_sessions.db.fields.ExactCharField(max_length=128, primary_key=True, serialize=False, verbose_name='session id')),
                ('account', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='account')),
                ('environment', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=8, verbose_name='environment')),
                ('client_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='client id')),
                ('entity_name', models.CharField(blank=True, default='', max_length=255, verbose_name='name')),
                ('status', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='status')),
                ('outcome', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='outcome')),
                ('workflow_template_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='workflow template id')),
                ('workflow_template_name', models.CharField(blank=True, default='', max_length=255, verbose_name='workflow template')),
                ('workflow_template_description', models.TextField(blank=True, default='', verbose_name='workflow template description')),
                ('workflow_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='workflow id')),
                ('workflow_version', models.BigIntegerField(blank=True, null=True, verbose_name='workflow version')),
                ('workflow_description', models.TextField(blank=True, default='', verbose_name='workflow description')),
                ('compliance_policies', models.JSONField(blank=True, default=list, verbose_name='compliance policies')),
                ('policy_assurance', models.JSONField(blank=True, default=list, verbose_name='policy assurance')),
                ('tasks', models.JSONField(blank=True, default=list, verbose_name='tasks')),
                ('last_completed_task_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=255, verbose_name='last completed task')),
                ('created_at', models.DateTimeField(blank=True, null=True, verbose_name='created')),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed')),
                ('updated_at', models.DateTimeField(blank=True, null=True, verbose_name='updated')),
                ('raw', models.JSONField(blank=True, default=dict, verbose_name='API response')),
                ('first_seen_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='first seen')),
                ('fetched_at', models.DateTimeField(verbose_name='fetched')),
                ('missing_since', models.DateTimeField(blank=True, null=True, verbose_name='missing upstream since')),
                ('needs_review', models.BooleanField(default=False, verbose_name='needs review')),
                ('announced_outcome', complycube_sessions.db.fields.ExactCharField(blank=True, default=None, max_length=64, null=True, verbose_name='announced outcome')),
            ],
            options={
                'verbose_name': 'workflow session',
                'verbose_name_plural': 'workflow sessions',
                'permissions': [('refresh_workflowsession', 'Can refresh workflow sessions from ComplyCube'), ('export_workflowsession', 'Can export workflow sessions'), ('view_sensitive_workflowsession', 'Can view answers, check results and tasks'), ('evidence_workflowsession', "Can export evidence and the vendor's reports")],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['created_at', 'id'], name='ccs_session_created'), models.Index(fields=['client_id'], name='ccs_session_client'), models.Index(fields=['account', 'environment', 'updated_at'], name='ccs_session_updated'), complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('needs_review', True)), fields=['created_at', 'id'], instead=['needs_review', 'created_at', 'id'], name='ccs_session_queue'), models.Index(fields=['outcome', 'created_at', 'id'], name='ccs_session_outcome'), models.Index(fields=['status', 'created_at', 'id'], name='ccs_session_status'), models.Index(fields=['workflow_template_id', 'created_at', 'id'], name='ccs_session_template'), models.Index(fields=['environment', 'created_at', 'id'], name='ccs_session_env'), models.Index(fields=['account', 'created_at', 'id'], name='ccs_session_account'), models.Index(fields=['entity_name', 'id'], name='ccs_session_name'), models.Index(fields=['updated_at', 'id'], name='ccs_session_moved'), models.Index(fields=['fetched_at', 'id'], name='ccs_session_fetched'), models.Index(fields=['account', 'environment'], name='ccs_session_owner'), complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('missing_since__isnull', False)), fields=['created_at', 'id'], instead=['missing_since', 'created_at', 'id'], name='ccs_session_missing')],
            },
        ),
        migrations.CreateModel(
            name='SessionNameWord',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('words', complycube_sessions.db.fields.ExactCharField(max_length=512)),
                ('session', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='name_words', to='complycube_sessions.workflowsession')),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['words', 'session'], name='ccs_words_start', opclasses=['varchar_pattern_ops', 'varchar_pattern_ops'])],
            },
        ),
        migrations.CreateModel(
            name='SessionChange',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('check_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='check id')),
                ('field', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='field')),
                ('old', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='old')),
                ('new', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='new')),
                ('changed_at', models.DateTimeField(blank=True, null=True, verbose_name='changed')),
                ('observed_at', models.DateTimeField(verbose_name='observed')),
                ('source', complycube_sessions.db.fields.ExactCharField(max_length=64, verbose_name='source')),
                ('session', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='complycube_sessions.workflowsession')),
            ],
            options={
                'verbose_name': 'session change',
                'verbose_name_plural': 'session changes',
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['observed_at', 'id', 'session'], name='ccs_change_newest'), models.Index(fields=['field', 'observed_at', 'id'], name='ccs_change_field'), models.Index(fields=['source', 'observed_at', 'id'], name='ccs_change_source')],
            },
        ),
        migrations.CreateModel(
            name='RelatedCheck',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('check_id', complycube_sessions.db.fields.ExactCharField(max_length=128, verbose_name='check id')),
                ('type', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='type')),
                ('task_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=255, verbose_name='task')),
                ('position', models.PositiveIntegerField(default=0, verbose_name='position')),
                ('status', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='status')),
                ('outcome', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=64, verbose_name='outcome')),
                ('result', models.JSONField(blank=True, default=dict, verbose_name='result')),
                ('created_at', models.DateTimeField(blank=True, null=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(blank=True, null=True, verbose_name='updated')),
                ('fetched_at', models.DateTimeField(blank=True, null=True, verbose_name='fetched')),
                ('result_fetched_at', models.DateTimeField(blank=True, null=True, verbose_name='result fetched')),
                ('missing_since', models.DateTimeField(blank=True, null=True, verbose_name='no longer listed since')),
                ('session', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='checks', to='complycube_sessions.workflowsession')),
                ('document_id', complycube_sessions.db.fields.ExactCharField(blank=True, default='', max_length=128, verbose_name='document id')),
                ('monitored', models.BooleanField(blank=True, null=True, verbose_name='monitored')),
                ('raw', models.JSONField(blank=True, default=dict, verbose_name='API response')),
            ],
            options={
                'verbose_name': 'check',
                'verbose_name_plural': 'checks',
                'ordering': ['position', 'id'],
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['check_id'], name='ccs_check_check_id'), models.Index(fields=['type', 'outcome', 'session'], name='ccs_check_kind'), models.Index(fields=['outcome', 'session'], name='ccs_check_outcome'), models.Index(fields=['status', 'id'], name='ccs_check_status'), models.Index(fields=['updated_at', 'id'], name='ccs_check_updated')],
                'constraints': [models.UniqueConstraint(fields=('session', 'check_id'), name='ccs_check_per_session')],
            },
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
        migrations.CreateModel(
            name='ChangedDay',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('day', models.DateField()),
            ],
            options={
                'default_permissions': (),
                'indexes': [models.Index(fields=['day'], name='ccs_changed_day')],
            },
        ),
        migrations.CreateModel(
            name='DayFigures',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('zone', complycube_sessions.db.fields.ExactCharField(max_length=64)),
                ('day', models.DateField()),
                ('figures', models.JSONField()),
                ('mark', complycube_sessions.db.fields.ExactCharField(default='', max_length=32)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('zone', 'day'), name='ccs_figures_per_day')],
            },
        ),
    ]
