import complycube_sessions.db.fields
import complycube_sessions.db.indexes
import complycube_sessions.db.people
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

from complycube_sessions.conf import conf
from complycube_sessions.db.migration_steps import RepeatableMigration

BATCH = 2000


def open_reviews(apps, schema_editor):
    """Open a review for each session that needs one, in batches that may be repeated; writers do not wait."""
    alias = schema_editor.connection.alias
    Review = apps.get_model('complycube_sessions', 'Review')
    sessions = apps.get_model('complycube_sessions', 'WorkflowSession').objects.using(alias)
    waiting = sessions.filter(needs_review=True).order_by('pk')
    columns = ('pk', 'outcome', 'completed_at', 'updated_at')
    due, now, last = conf.COMPLYCUBE_REVIEW_DUE, timezone.now(), ''
    while batch := list(waiting.filter(pk__gt=last).values_list(*columns)[:BATCH]):
        rows = []
        for pk, outcome, completed_at, updated_at in batch:
            # A clear session waits since a check of it turned, any other since it completed.
            since = updated_at if outcome == 'clear' else completed_at
            opened_at = min(since or now, now)
            due_at = opened_at + due if due else None
            rows.append(Review(session_id=pk, opened_at=opened_at, due_at=due_at))
        Review.objects.using(alias).bulk_create(rows, ignore_conflicts=True)
        last = batch[-1][0]


class Migration(RepeatableMigration):

    dependencies = [
        ('complycube_sessions', '0002_audit'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Review',
            fields=[
                ('session', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='review', serialize=False, to='complycube_sessions.workflowsession')),
                ('state', complycube_sessions.db.fields.ExactCharField(choices=[('open', 'Unassigned'), ('assigned', 'In work'), ('awaiting_confirmation', 'Waiting for a second person'), ('decided', 'Decided')], default='open', max_length=64, verbose_name='state')),
                ('decision', complycube_sessions.db.fields.ExactCharField(blank=True, choices=[('approved', 'Approved'), ('declined', 'Declined'), ('more_information', 'More information needed'), ('escalated', 'Escalated')], default='', max_length=64, verbose_name='decision')),
                ('reason', models.CharField(blank=True, default='', max_length=255, verbose_name='reason')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='confirmed')),
                ('opened_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='opened')),
                ('due_at', models.DateTimeField(blank=True, null=True, verbose_name='due')),
                ('reopened_at', models.DateTimeField(blank=True, null=True, verbose_name='reopened')),
                ('reopened_because', models.TextField(blank=True, default='', verbose_name='reopened because')),
                ('seen_fingerprint', models.TextField(blank=True, default='', verbose_name='what the decision was about')),
                ('owes_decided', models.BooleanField(default=False)),
                ('owes_reopened', models.BooleanField(default=False)),
                ('assignee', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='assignee')),
                ('confirmed_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='confirmed by')),
                ('decided_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='decided by')),
            ],
            options={
                'verbose_name': 'review',
                'indexes': [
                    models.Index(fields=['state', 'opened_at', 'session'], name='ccs_review_state'),
                    complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('state__in', ('open', 'assigned', 'awaiting_confirmation'))), fields=['opened_at', 'session', 'assignee', 'state'], instead=['opened_at', 'session', 'assignee', 'state'], name='ccs_review_open'),
                    models.Index(fields=['assignee', 'state', 'opened_at', 'session'], name='ccs_review_mine'),
                    models.Index(fields=['decided_at', 'session', 'state', 'decision', 'confirmed_at'], name='ccs_review_decided'),
                    complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('state__in', ('open', 'assigned', 'awaiting_confirmation'))), fields=['due_at', 'session'], instead=['due_at', 'session', 'state'], name='ccs_review_due'),
                    complycube_sessions.db.indexes.PartialIndex(condition=models.Q(('owes_decided', True), ('owes_reopened', True), _connector='OR'), fields=['session'], instead=['owes_decided', 'owes_reopened'], name='ccs_review_owed'),
                ],
                'verbose_name_plural': 'reviews',
                'permissions': [('work_review', 'Can take, note on and decide reviews'), ('assign_review', 'Can assign reviews to others'), ('confirm_review', 'Can confirm the decisions of others')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ReviewEvent',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('actor_name', models.CharField(blank=True, default='', max_length=255, verbose_name='name of the actor')),
                ('action', complycube_sessions.db.fields.ExactCharField(choices=[('taken', 'Taken'), ('assigned', 'Assigned'), ('released', 'Released'), ('noted', 'Noted'), ('decided', 'Decided'), ('confirmed', 'Confirmed'), ('sent_back', 'Sent back'), ('reopened', 'Reopened'), ('withdrawn', 'No longer needed')], max_length=64, verbose_name='action')),
                ('at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='at')),
                ('detail', models.TextField(blank=True, default='', verbose_name='detail')),
                ('actor', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='actor')),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='events', to='complycube_sessions.review')),
            ],
            options={
                'verbose_name': 'event of a review',
                'indexes': [
                    models.Index(fields=['action', 'at'], name='ccs_review_event_day'),
                ],
                'verbose_name_plural': 'events of reviews',
                'ordering': ['at', 'id'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ReviewNote',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('author_name', models.CharField(max_length=255, verbose_name='name of the author')),
                ('text', models.TextField(verbose_name='text')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='written')),
                ('author', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='author')),
                ('review', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notes', to='complycube_sessions.review')),
            ],
            options={
                'verbose_name': 'note on a review',
                'verbose_name_plural': 'notes on reviews',
                'ordering': ['created_at', 'id'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('is_shared', models.BooleanField(default=False, verbose_name='shared')),
                ('query', models.CharField(max_length=1000, verbose_name='filters')),
                ('owner', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=complycube_sessions.db.people.forget_person, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='owner')),
            ],
            options={
                'verbose_name': 'saved view',
                'verbose_name_plural': 'saved views',
                'default_permissions': (),
                'indexes': [models.Index(fields=['is_shared', 'name'], name='ccs_view_shared')],
            },
        ),
        migrations.RunPython(open_reviews, migrations.RunPython.noop),
    ]
