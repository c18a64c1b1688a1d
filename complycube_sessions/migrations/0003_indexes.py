from django.db import migrations, models

from complycube_sessions.db.indexes import AddIndexOnline, PartialIndex, RemoveIndexOnline
from complycube_sessions.db.migration_steps import RepeatableMigration


class Migration(RepeatableMigration):

    # PostgreSQL builds an index beside writers only outside of a transaction.
    atomic = False

    dependencies = [
        ('complycube_sessions', '0002_webhook_event_turns'),
    ]

    operations = [
        AddIndexOnline(
            model_name='pendingrefresh',
            index=models.Index(fields=['next_try_at', 'id'], name='ccs_pending_next'),
        ),
        AddIndexOnline(
            model_name='pendingrefresh',
            index=models.Index(fields=['session_id'], name='ccs_pending_session'),
        ),
        AddIndexOnline(
            model_name='pendingrefresh',
            index=PartialIndex(condition=models.Q(('attempts__gt', 0)), fields=['next_try_at', 'id'], instead=['attempts'], name='ccs_pending_failing'),
        ),
        AddIndexOnline(
            model_name='refreshrun',
            index=models.Index(fields=['started_at', 'id'], name='ccs_run_started'),
        ),
        AddIndexOnline(
            model_name='refreshrun',
            index=models.Index(fields=['state', 'started_at', 'id'], name='ccs_run_state'),
        ),
        AddIndexOnline(
            model_name='refreshrun',
            index=models.Index(fields=['account', 'mode', 'id'], name='ccs_run_mode'),
        ),
        AddIndexOnline(
            model_name='refreshrun',
            index=models.Index(fields=['account', 'state', 'mode', 'id'], name='ccs_run_latest'),
        ),
        AddIndexOnline(
            model_name='relatedcheck',
            index=models.Index(fields=['type', 'outcome', 'session'], name='ccs_check_kind'),
        ),
        AddIndexOnline(
            model_name='relatedcheck',
            index=models.Index(fields=['outcome', 'session'], name='ccs_check_outcome'),
        ),
        AddIndexOnline(
            model_name='relatedcheck',
            index=models.Index(fields=['status', 'id'], name='ccs_check_status'),
        ),
        AddIndexOnline(
            model_name='relatedcheck',
            index=models.Index(fields=['updated_at', 'id'], name='ccs_check_updated'),
        ),
        AddIndexOnline(
            model_name='sessionchange',
            index=models.Index(fields=['observed_at', 'id', 'session'], name='ccs_change_newest'),
        ),
        AddIndexOnline(
            model_name='sessionchange',
            index=models.Index(fields=['field', 'observed_at', 'id'], name='ccs_change_field'),
        ),
        AddIndexOnline(
            model_name='sessionchange',
            index=models.Index(fields=['source', 'observed_at', 'id'], name='ccs_change_source'),
        ),
        AddIndexOnline(
            model_name='sessionnameword',
            index=models.Index(fields=['word', 'session'], name='ccs_word_start', opclasses=['varchar_pattern_ops', 'varchar_pattern_ops']),
        ),
        AddIndexOnline(
            model_name='webhookevent',
            index=models.Index(fields=['client_id'], name='ccs_event_client'),
        ),
        AddIndexOnline(
            model_name='webhookevent',
            index=models.Index(fields=['event_id'], name='ccs_event_event'),
        ),
        AddIndexOnline(
            model_name='webhookevent',
            index=models.Index(fields=['received_at', 'id'], name='ccs_event_received'),
        ),
        AddIndexOnline(
            model_name='webhookevent',
            index=PartialIndex(condition=models.Q(('processed_at__isnull', False), models.Q(('error', ''), _negated=True)), fields=['id'], instead=['processed_at'], name='ccs_event_given_up'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=PartialIndex(condition=models.Q(('needs_review', True)), fields=['created_at', 'id'], instead=['needs_review', 'created_at', 'id'], name='ccs_session_queue'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=PartialIndex(condition=models.Q(('missing_since__isnull', False)), fields=['created_at', 'id'], instead=['missing_since'], name='ccs_session_missing'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['outcome', 'created_at', 'id'], name='ccs_session_outcome'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['status', 'created_at', 'id'], name='ccs_session_status'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['workflow_template_id', 'created_at', 'id'], name='ccs_session_template'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['environment', 'created_at', 'id'], name='ccs_session_env'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['account', 'created_at', 'id'], name='ccs_session_account'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['entity_name', 'id'], name='ccs_session_name'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['updated_at', 'id'], name='ccs_session_moved'),
        ),
        AddIndexOnline(
            model_name='workflowsession',
            index=models.Index(fields=['fetched_at', 'id'], name='ccs_session_fetched'),
        ),
        # Last, so that what they served is served all the while.
        RemoveIndexOnline(
            model_name='sessionchange',
            name='ccs_change_observed',
        ),
        RemoveIndexOnline(
            model_name='sessionnameword',
            name='ccs_word_session',
        ),
        RemoveIndexOnline(
            model_name='workflowsession',
            name='ccs_session_review',
        ),
    ]
