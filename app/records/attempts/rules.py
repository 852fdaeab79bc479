"""How many tries there are and how long one waits: pure arithmetic over a History.

The numbers are those of product.md section 5 and security rules 1 to 3. The 24 hours slide: no midnight
gives tries back, and neither does a success in between, a new flow or another door.
"""

from app.records.attempts.model import FOREVER, Door, Factor, History, Lockout, Standing, Verdict

DAY = 86_400
HARD_CAP = 100  # consecutive failures an authenticator survives (NIST SP 800-63B-4 sec. 3.2.2)
_HARD_CAPS = {Factor.ANSWER: 20}  # an answer is guessed more easily: what it survives is less
STRANGERS_CAP = 50  # of these, what browsers that we do not know may spend, over all doors
# a door's part of it; a password is tried at one door alone
_STRANGERS_AT: dict[Factor, int] = {
    Factor.PASSWORD: STRANGERS_CAP,
    Factor.APP: 25,
    Factor.PIN: 25,
    Factor.ANSWER: 10,
}
FREE = 5  # failures before the first wait
APP_WINDOW_CODES = 3  # codes acceptable at once for one app
_FORGIVEN = "forgiven"
APP_DAY = 60  # wrong codes times codes acceptable at once, a day

# the most that a door may use in 24 hours, and the most for all doors of the factor together
_DOORS: dict[Factor, dict[Door, int]] = {
    # each success ends the waits, and a program that asks every minute has many: a guesser's day ends all the same
    Factor.PASSWORD: {Door.SIGN_IN: 100},
    Factor.APP: {Door.SIGN_IN: 8, Door.RECOVERY: 6, Door.LANE: 6},
    Factor.PIN: {Door.SIGN_IN: 10, Door.RECOVERY: 15, Door.LANE: 15},
    Factor.ANSWER: dict.fromkeys(Door, 5),
    Factor.SEND: {Door.SIGN_IN: 7, Door.RECOVERY: 10, Door.LANE: 10},
    Factor.RESET: {Door.RECOVERY: 10},
}
_ALL_DOORS: dict[Factor, int] = {
    Factor.PASSWORD: 150,  # what a door has, and half as much again after an operator's unlock
    Factor.APP: 20,
    Factor.PIN: 15,
    Factor.ANSWER: 5,
    Factor.SEND: 10,
    Factor.RESET: 10,
}

# short windows: at most so many in so many seconds
_BURST: dict[Factor, tuple[int, int]] = {Factor.SEND: (3, 900), Factor.RESET: (3, 900)}
_MAILS = frozenset({Factor.SEND, Factor.RESET})  # nothing is guessed by these


def wait_after(consecutive: int) -> int:
    """Seconds to wait after so many failures in a row: 30 s doubling to 300 s until the tenth, then to one hour."""
    if consecutive < FREE:
        return 0
    if consecutive <= 10:
        return min(30 << (consecutive - FREE), 300)
    return min(300 << (consecutive - 10), 3_600)


def spend(
    history: History,
    factor: Factor,
    door: Door,
    now: int,
    *,
    codes_at_once: int = APP_WINDOW_CODES,
    lockout: Lockout | None = None,
) -> Verdict:
    """Count a try before it is judged. Where it may not be judged the history stays as it was.

    ``codes_at_once`` is how many app codes are right at this moment (three for each app). What a visitor can
    see depends on nothing about the person (security rule 14), so with several apps the tries beyond the
    person's smaller share are answered like wrong ones and never judged. So are those while a ``lockout`` holds: what
    is counted, refused and told goes on as it does for everybody.
    """
    days = {name: tuple(at for at in times if at > now - DAY) for name, times in history.days.items()}
    here = days.get(door.value, ())
    everywhere = sorted(at for times in days.values() for at in times)
    run, blocked_until = history.runs.get(door.value, (0, 0))
    waits = [blocked_until - now]
    closed = _dead(history, factor) or _closed_at(history, factor, door)
    if closed and factor not in _MAILS:
        waits.append(DAY)
    door_cap = _DOORS[factor].get(door)
    if door_cap is not None:
        waits.append(_until_room(here, door_cap, now, DAY))
        waits.append(_until_room(everywhere, _ALL_DOORS[factor], now, DAY))
    if factor in _BURST:
        most, window = _BURST[factor]
        waits.append(_until_room([at for at in everywhere if at > now - window], most, now, window))
    retry_after = max(waits)
    if retry_after > 0:
        return Verdict(history, allowed=False, retry_after=retry_after)
    judged = True
    if factor is Factor.APP and codes_at_once > APP_WINDOW_CODES:
        judged = len(here) < (door_cap or 0) * (APP_DAY // codes_at_once) // _ALL_DOORS[factor]
    if factor in _MAILS:
        return Verdict(History({**days, door.value: (*here, now)}), allowed=True)
    failures, until = history.locks.get(door.value, (0, 0))
    locks, begins = history.locks, False
    if until > now:
        judged = False
    elif lockout is not None:
        failures = failures + 1 if lockout.each or not until else 1
        begins = failures >= lockout.after
        until = (now + lockout.seconds if lockout.seconds else FOREVER) if begins else 0
        locks = {**history.locks, door.value: (failures, until)}
    strangers = _counted_at(history.strangers, door, 1)
    wait = wait_after(run + 1)
    counted = History(
        days={**days, door.value: (*here, now)} if door_cap is not None else days,
        runs={**history.runs, door.value: (run + 1, now + wait if wait else 0)},
        consecutive=history.consecutive + 1,
        strangers=strangers,
        locks=locks,
    )
    return Verdict(
        counted,
        allowed=True,
        judged=judged,
        closed_to_strangers=_closed_at(counted, factor, door),
        locked_until=until if begins else 0,
        lock_is_news=begins and lockout is not None and (not lockout.each or failures == lockout.after),
    )


def _dead(history: History, factor: Factor) -> bool:
    """Whether it failed so often in a row that it has to be bound again."""
    return history.consecutive >= _HARD_CAPS.get(factor, HARD_CAP)


def _closed_at(history: History, factor: Factor, door: Door) -> bool:
    """Whether strangers have used up what they may spend at a door."""
    return history.strangers.get(door.value, 0) >= _STRANGERS_AT.get(factor, STRANGERS_CAP)


def _counted_at(strangers: dict[str, int], door: Door, by: int) -> dict[str, int]:
    if door is Door.LANE:
        return strangers
    return {**strangers, door.value: max(0, strangers.get(door.value, 0) + by)}


def succeed(history: History, door: Door, at: int, now: int) -> History:
    """The try counted at ``at`` was right: it is taken back, and the run of failures ends.

    The day's earlier failures stay, or an own success in between would refill a guesser's day; and so does the lock of
    another door, which only its time, an unlock or a recovery ends.
    """
    times = list(history.days.get(door.value, ()))
    if at in times:
        times.remove(at)
    return History(
        days={**history.days, door.value: tuple(times)} if door.value in history.days else history.days,
        locks={name: lock for name, lock in history.locks.items() if lock[1] > now and name != door.value},
    )


def take_back(history: History, door: Door, at: int, locked_until: int = 0) -> History:
    """The try counted at ``at`` was never judged: as if it had not been, but for waits and locks that others earned.

    ``locked_until`` is the lock that it began.
    """
    times = list(history.days.get(door.value, ()))
    if at in times:
        times.remove(at)
    run, blocked_until = history.runs.get(door.value, (0, 0))
    run = max(0, run - 1)
    failures, until = history.locks.get(door.value, (0, 0))
    undone = {door.value: (max(0, failures - 1), 0)} if until == locked_until and failures else {}
    return History(
        days={**history.days, door.value: tuple(times)} if door.value in history.days else history.days,
        runs={**history.runs, door.value: (run, blocked_until if wait_after(run) else 0)},
        consecutive=max(0, history.consecutive - 1),
        strangers=_counted_at(history.strangers, door, -1),
        locks={**history.locks, **undone},
    )


def clear(history: History, factor: Factor) -> History:
    """A new password, an unlock: the run of failures and the wait end; the day's tries stay counted.

    But not those of a password: what was tried against the old one tells nothing of the new one, and whoever unlocks
    has just proved two factors.
    """
    return History() if factor is Factor.PASSWORD else History(days=history.days)


def forgive(history: History) -> History:
    """An operator's unlock: waits and each door's share of the day begin anew; the sum over all doors stays."""
    times = sorted(at for door in history.days.values() for at in door)
    return History(days={_FORGIVEN: tuple(times)} if times else {})


def standing(history: History, factor: Factor, now: int) -> Standing:
    """What support and the unlock page may know of a History: the longest wait of a door that strangers use."""
    days = {name: tuple(at for at in times if at > now - DAY) for name, times in history.days.items()}
    everywhere = sorted(at for times in days.values() for at in times)
    waits = [until - now for _, until in history.runs.values()]
    for door, most in _DOORS[factor].items():
        if door is not Door.LANE:
            waits.append(_until_room(days.get(door.value, ()), most, now, DAY))
            waits.append(_until_room(everywhere, _ALL_DOORS[factor], now, DAY))
    wait = max(waits, default=0)
    return Standing(
        consecutive=history.consecutive,
        blocked_until=now + wait if wait > 0 else 0,
        closed_to_strangers=any(_closed_at(history, factor, door) for door in Door),
        disabled=_dead(history, factor),
        locked_until=max((until for _, until in history.locks.values() if until > now), default=0),
    )


def waits(history: History, factor: Factor, now: int) -> dict[Door, int]:
    """Until when each door waits that does: what support is shown. A door that strangers closed waits without an end,
    which ``standing`` says."""
    days = {name: tuple(at for at in times if at > now - DAY) for name, times in history.days.items()}
    everywhere = sorted(at for times in days.values() for at in times)
    found = {}
    for door in Door:
        until = max(history.runs.get(door.value, (0, 0))[1], history.locks.get(door.value, (0, 0))[1])
        if door in _DOORS[factor]:
            here, room = days.get(door.value, ()), _ALL_DOORS[factor]
            until = max(until, now + _until_room(here, _DOORS[factor][door], now, DAY))
            until = max(until, now + _until_room(everywhere, room, now, DAY))
        if until > now:
            found[door] = until
    return found


def closed_doors(history: History, factor: Factor) -> tuple[Door, ...]:
    """The doors at which strangers have used up what they may spend: only lanes are open there."""
    return tuple(door for door in Door if door is not Door.LANE and _closed_at(history, factor, door))


def failures_today(history: History, now: int) -> int:
    """Tries of the last 24 hours that were not right, over all doors."""
    return sum(at > now - DAY for times in history.days.values() for at in times)


def _until_room(times: "tuple[int, ...] | list[int]", most: int, now: int, window: int) -> int:
    if len(times) < most:
        return 0
    return sorted(times)[len(times) - most] + window - now


def count_hour(hours: dict[int, int], now: int) -> dict[int, int]:
    """Count one failure in a tally by hours of the last day."""
    hour = now // 3_600
    kept = {at: count for at, count in hours.items() if at >= hour - 24}
    kept[hour] = kept.get(hour, 0) + 1
    return kept


def total_of_day(hours: dict[int, int], now: int) -> int:
    """The failures of the last 24 hours in such a tally; up to an hour more, never less."""
    hour = now // 3_600
    return sum(count for at, count in hours.items() if at >= hour - 24)


def until_less(hours: dict[int, int], now: int) -> int:
    """Seconds until the oldest hour of such a tally no longer counts."""
    counted = [at for at, count in hours.items() if count and at >= now // 3_600 - 24]
    return (min(counted, default=0) + 25) * 3_600 - now if counted else 0
