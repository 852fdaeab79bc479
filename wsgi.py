"""The portal as a WSGI application, for a server of one's own; `keyturn serve` builds the same.

It starts neither store nor worker: REDIS_URL must be set, the database must be migrated (`keyturn init`), and
`keyturn worker` must run beside it.
"""

from app.foundation.log import configure
from app.foundation.settings import BadSetting, load_settings
from app.foundation.sql import migrations
from app.wiring import admit, build_foundation, build_means, build_web

settings = load_settings()
if not settings.redis_url:
    raise BadSetting("REDIS_URL: must be set, because only `keyturn serve` starts the embedded store")
configure(settings.log_level)
base = build_foundation(settings, ephemeral_url=settings.redis_url)
if not migrations.at_head(base.database):
    raise migrations.NotMigrated("the database is not made, or not up to date; run: keyturn init")
admit(base)
application = build_web(base, build_means(base))
