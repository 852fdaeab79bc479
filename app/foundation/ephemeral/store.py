"""The client of the ephemeral store. Each step is one atomic call; the store being away raises StoreAway.

Only commands of Redis 7.0 are used, so that Valkey and Redis serve alike. The time is given, not taken:
whatever is decided by time is decided by the caller's clock; the store's own expiry only sweeps up.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.foundation.refusals import StoreAway


class _Script:
    """A Lua script by its digest."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_SWAP = _Script("""
local held = redis.call('GET', KEYS[1])
if ARGV[1] == '' then
  if held then return 0 end
elseif held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
""")

# what was under the first key stands under the second afterwards; the first keeps a mark of the move
_MOVE = _Script("""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return 1
""")

# A new entry is refused, not an old one pushed out: the caps are what keeps strangers from filling the store. What
# a census holds in reserve is for those who have few entries in the first census, so that the many of one
# stranger do not shut everybody else out.
_ADMIT = _Script("""
local first = 0
for i = 2, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ARGV[3])
  local living = redis.call('ZCARD', KEYS[i])
  if i == 2 then first = living end
  local most, reserve = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  if first >= 5 then most = most - reserve end
  if living >= most then return i - 1 end
end
for i = 2, #KEYS do
  redis.call('ZADD', KEYS[i], ARGV[4], KEYS[1])
  redis.call('EXPIRE', KEYS[i], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 0
""")

# The times of the last hits that passed, one list for each limit. Counters of fixed windows, weighed by age or
# not, take less memory and let up to twice as many pass in a window that lies across two of them.
_HIT = _Script("""
local now = tonumber(ARGV[1])
local wait = 0
for i = 1, #KEYS do
  local most, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local earliest = redis.call('LINDEX', KEYS[i], -most)
  if earliest then wait = math.max(wait, math.min(tonumber(earliest) + window - now, window)) end
end
if wait > 0 or ARGV[#ARGV] == '0' then return wait end
for i = 1, #KEYS do
  redis.call('RPUSH', KEYS[i], now)
  redis.call('LTRIM', KEYS[i], -tonumber(ARGV[2 * i]), -1)
  redis.call('EXPIRE', KEYS[i], ARGV[2 * i + 1])
end
return 0
""")

_TAKE = _Script("""
local taken = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return taken
""")

_GIVE = _Script("""
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[2]), -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
""")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` hits on ``key`` in any ``window`` seconds."""

    key: str
    most: int
    window: int


@dataclass(frozen=True, slots=True)
class Census:
    """At most ``most`` living entries in the set ``key``, ``reserve`` of them for those who have few."""

    key: str
    most: int
    reserve: int = 0


class Ephemeral:
    """One store by URL. No call is repeated: a lost reply must not count or spend twice.

    Commands go straight to a connection of the pool: what the client does around each, for retries and
    measurements of its own, takes as long as the command.
    """

    def __init__(self, url: str) -> None:
        pool: redis.ConnectionPool = redis.ConnectionPool.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=1.0, socket_connect_timeout=1.0, max_connections=256
        )
        self._pool = pool
        self._redis = redis.Redis(connection_pool=pool)

    def _ask(self, *words: str | bytes | int) -> Any:
        """One command and its answer. A connection that failed closes itself, and the pool opens it anew."""
        try:
            connection = self._pool.get_connection()
            try:
                connection.send_command(*words)  # type: ignore[no-untyped-call]
                return connection.read_response()
            finally:
                self._pool.release(connection)
        except redis.exceptions.NoScriptError:
            raise
        except redis.RedisError as error:
            raise StoreAway("ephemeral store") from error

    def _run(self, script: _Script, keys: Sequence[str], args: Sequence[str | bytes | int]) -> int:
        try:
            return int(self._ask("EVALSHA", script.digest, len(keys), *keys, *args))
        except redis.exceptions.NoScriptError:  # a store that was started anew; nothing was done
            return int(self._ask("EVAL", script.text, len(keys), *keys, *args))

    def ping(self) -> None:
        """Raise StoreAway unless the store answers."""
        self._ask("PING")

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        return cast("bytes | None", self._ask("GET", key))

    def put(self, key: str, value: bytes, ttl: int) -> None:
        """Write, whatever was there, to be swept up after ``ttl`` seconds."""
        self._ask("SET", key, value, "EX", ttl)

    def drop(self, *keys: str) -> None:
        """Forget keys."""
        self._ask("DEL", *keys)

    def swap(self, key: str, held: bytes | None, value: bytes, ttl: int) -> bool:
        """Compare and set: write only where ``held`` (None: nothing) still is the value."""
        return self._run(_SWAP, [key], [held or b"", value, ttl]) == 1

    def move(self, key: str, held: bytes, new_key: str, value: bytes, mark: bytes, ttl: int) -> bool:
        """Compare and move: the value goes to ``new_key``, ``mark`` stays behind. False where somebody was faster."""
        return self._run(_MOVE, [key, new_key], [held, value, mark, ttl]) == 1

    def admit(self, key: str, value: bytes, ttl: int, *, now: int, censuses: Sequence[Census]) -> int:
        """Write a new entry if every census has room. 0, or the 1-based place of the census that is full."""
        keys = [key, *(census.key for census in censuses)]
        caps = [number for census in censuses for number in (census.most, census.reserve)]
        return self._run(_ADMIT, keys, [value, ttl, now, now + ttl, *caps])

    def hit(self, limits: Sequence[Limit], now: int, *, count: bool = True) -> int:
        """Count one hit against every limit, or against none: 0, or the seconds to wait. May only look instead."""
        args: list[str | bytes | int] = [now]
        for limit in limits:
            args += [limit.most, limit.window]
        args.append(int(count))
        return self._run(_HIT, [limit.key for limit in limits], args)

    def take(self, limit: Limit, count: int, now: int) -> int:
        """Count so many hits at once in the fixed window of a moment. How many were counted before them."""
        place = f"{limit.key}:{now // limit.window}"
        return self._run(_TAKE, [place], [count, limit.window]) - count

    def give(self, key: str, value: bytes, *, most: int, ttl: int) -> None:
        """Append to a list that keeps the newest ``most``."""
        self._run(_GIVE, [key], [value, most, ttl])

    def listed(self, key: str) -> list[bytes]:
        """A list, oldest first."""
        return list(cast("list[bytes]", self._ask("LRANGE", key, 0, -1)))

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()
