"""The portal as a WSGI application, for `keyturn serve` and for any other server."""

import os

from app.foundation.log import configure
from app.foundation.settings import load_settings
from app.wiring import build_foundation, build_means, build_web

settings = load_settings()
configure(settings.log_level)
base = build_foundation(settings, ephemeral_url=os.environ.get("KEYTURN_REDIS_URL") or settings.redis_url)
application = build_web(base, build_means(base))
