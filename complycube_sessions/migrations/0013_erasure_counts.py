from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('complycube_sessions', '0012_still_due'),
    ]

    operations = [
        migrations.AddField(
            model_name='erasure',
            name='removed',
            field=models.JSONField(blank=True, default=dict, verbose_name='removed'),
        ),
        migrations.AddField(
            model_name='refreshrun',
            name='kept_out',
            field=models.PositiveIntegerField(default=0, verbose_name='kept out by an erasure'),
        ),
    ]
