"""Short-lived state: flows, limits, decoys. Valkey or Redis 7, embedded by default, external by REDIS_URL."""

from app.foundation.ephemeral.store import Census, Ephemeral, Limit

__all__ = ["Census", "Ephemeral", "Limit"]
