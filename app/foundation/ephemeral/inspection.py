"""A look at a store that somebody else runs: is it new enough, and does it keep what it is given?"""

from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.foundation.refusals import StoreAway

OLDEST = (7, 0)
KEEPS = "noeviction"


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What the store says of itself. ``version`` is Redis' own or, for Valkey, the one it is compatible with."""

    version: str
    policy: str
    used: int  # bytes
    most: int  # bytes; 0: as much as the machine has

    @property
    def new_enough(self) -> bool:
        """Whether it has the commands that are used."""
        numbers = [int(part) for part in self.version.split(".")[:2] if part.isdigit()]
        return tuple(numbers) >= OLDEST


def inspect(url: str) -> StoreFacts:
    """Ask an external store. Raises StoreAway; the cause says why and may name the URL's host."""
    try:
        with redis.Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=3.0, socket_connect_timeout=3.0
        ) as client:
            # INFO instead of CONFIG GET: providers switch CONFIG off
            told = cast("dict[str, Any]", client.info("server")) | cast("dict[str, Any]", client.info("memory"))
    except (redis.RedisError, ValueError, OSError) as error:
        raise StoreAway("ephemeral store") from error
    return StoreFacts(
        version=str(told.get("redis_version", "")),
        policy=str(told.get("maxmemory_policy", "")),
        used=int(told.get("used_memory", 0)),
        most=int(told.get("maxmemory", 0)),
    )
