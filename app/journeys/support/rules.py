"""Why somebody does not get in, what belongs together in what happened, and what helps. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.journeys.support.model import Cause, Ending, Facts, Line, Remedy, Story
from app.records.attempts.model import FOREVER
from app.records.audit.model import Event

DAY = 86_400
RECENT = 7 * DAY  # seconds in which a refusal is taken for what stands in the way now
FLOW = 900  # seconds that a journey lives: a page of the timeline is cut where none is under way
_APP_EVENTS = {Event.APP_OK, Event.APP_FAIL, Event.APP_REUSE}
# what a journey is for
_GOALS = {
    Event.SIGN_IN_OK,
    Event.PASSWORD_CHANGED,
    Event.TEMPORARY_MADE,
    Event.UNLOCKED,
    Event.ACTIVATED,
    Event.REHEARSED,
    Event.USER_UNFROZEN,
    Event.ROLLED_BACK,
    Event.STEPPED_UP,
    Event.SUPPORT_DONE,
}
# what its owner would want to have frozen, if it was not they
_CHANGES = {
    Event.PASSWORD_CHANGED,
    Event.TEMPORARY_MADE,
    Event.APP_ADDED,
    Event.APP_REMOVED,
    Event.APP_DISABLED,
    Event.CODES_MADE,
    Event.CONTACT_ADDED,
    Event.CONTACT_REMOVED,
}
LINKS = ("unlock", "resend-activation", "access-code", "remove-app", "freeze")
_OPERATORS = frozenset(
    {"provider_setup", "provider_certificate", "not_configured", "unreadable", "defect", "not_rendered"}
)
_NO_FAULT = frozenset({"withdrawn"})  # a newer one took its place


# ---- what belongs together


def cut(lines: Sequence[Line], most: int) -> int:
    """How many of some lines, newest first, make a page: as many as there is room for without cutting a journey in
    two, if any page could do that."""
    if len(lines) <= most:
        return len(lines)
    for place in range(most, most // 2, -1):
        if not {one.flow for one in lines[:place] if one.flow} & {one.flow for one in lines[place:] if one.flow}:
            return place
    return most


def stories(lines: Sequence[Line], facts: Facts) -> tuple[Story, ...]:
    """Lines, newest first, as stories, the one that moved last first."""
    told: dict[str, list[Line]] = {}
    for line, before in zip(lines, (*lines[1:], None), strict=False):
        told.setdefault(_flow(line, before) or f"alone {line.id}", []).append(line)
    return tuple(_story(tuple(reversed(one)), facts) for one in told.values())


def gathered(told: Sequence[Story]) -> tuple[Story, ...]:
    """Stories, newest first, in which those that follow one another and are the same single refusal are one, with the
    remedy of the newest. What staff did at any time between two of them keeps them apart."""
    acts = [_place(line) for one in told for line in one.lines if line.actor]
    kept: list[Story] = []
    for story in told:
        newer = kept[-1] if kept else None
        refusal = _refusal(story)
        if newer is None or refusal is None or refusal != _refusal(newer) or _between(story, newer, acts):
            kept.append(story)
        else:
            kept[-1] = replace(newer, lines=(*story.lines, *newer.lines), count=newer.count + 1)
    return tuple(kept)


def _place(line: Line) -> tuple[int, int]:
    return line.at, line.id


def _between(older: Story, newer: Story, acts: Sequence[tuple[int, int]]) -> bool:
    return any(_place(older.lines[-1]) < act < _place(newer.lines[0]) for act in acts)


def _refusal(story: Story) -> tuple[Any, ...] | None:
    """What a story says, but for when and from where, if it is a refusal and nothing else."""
    line = story.lines[0]
    if len(story.lines) != story.count or not line.failed or line.actor:
        return None
    details = {name: value for name, value in line.details.items() if name != "retry_after"}  # no sentence says it
    known = bool(line.address)  # or it would be said of one address that others came from it
    return story.journey, story.ending, line.event, line.reason, details, line.delivery, known


def once(told: Sequence[Story]) -> tuple[Story, ...]:
    """Stories, newest first, in which each remedy stands once: with the newest that asks for it."""
    seen: set[Remedy] = set()
    kept = []
    for story in told:
        kept.append(replace(story, remedy=None) if story.remedy in seen else story)
        if story.remedy:
            seen.add(story.remedy)
    return tuple(kept)


def _flow(line: Line, before: Line | None) -> str:
    """The journey of a line: its own, or that of what the person did just before it in the same moment."""
    if line.flow or line.actor or before is None or before.actor or before.at != line.at:
        return line.flow
    return before.flow


def _story(lines: tuple[Line, ...], facts: Facts) -> Story:
    ending = _ending(lines)
    remedy = None
    if ending is Ending.BADLY:
        remedy = _after(lines, facts)
    elif any(line.event in _CHANGES and not line.actor and line.at > facts.now - RECENT for line in lines):
        remedy = Remedy("freeze") if facts.status == "active" else None
    journey = next((line.journey for line in lines if line.journey), "")
    return Story(journey, lines, ending, remedy)


def _ending(lines: Sequence[Line]) -> Ending:
    if any(line.event in _GOALS for line in lines):
        return Ending.WELL
    last = lines[-1]
    if last.failed or _lost(last):
        return Ending.BADLY
    if last.event in {
        Event.PIN_SENT,
        Event.APP_OK,
        Event.SIGN_IN_PASSWORD_OK,
        Event.PIN_OK,
        Event.CODE_OK,
        Event.ACCESS_CODE_OK,
    }:
        return Ending.OPEN
    return Ending.WELL


def _after(lines: Sequence[Line], facts: Facts) -> Remedy | None:
    """What helps after the last refusal of a story; nothing where it is too long ago to matter."""
    last = lines[-1]
    if last.at <= facts.now - RECENT:
        return None
    if any(line.reason == "clock_off" for line in lines) and last.event in {*_APP_EVENTS, Event.THROTTLED}:
        return Remedy("set_clock")
    waiting = {factor for factor, _, until in facts.waits if until == 0 or until > facts.now}
    if _factor(last) in waiting or (last.reason == _LAPSED and facts.lapsed_at):
        return Remedy("unlock")
    if last.event == Event.PIN_NOT_SENT and last.reason in _NO_SMS:
        return _instead("sms", "", facts)
    if _lost(last):
        return _instead(str(last.details.get("channel", "")), last.delivery.reason if last.delivery else "", facts)
    return Remedy(_ADVICE.get((last.event, last.reason), _ADVICE.get((last.event, ""), "")) or "try_again")


_LAPSED = "lapsed"  # the right password, and a temporary one after its time
_NO_SMS = frozenset({"sms_country", "sms_rests"})  # what the guard over SMS says; e-mail does as well as ever

_ADVICE: Mapping[tuple[str, str], str] = {
    (Event.SIGN_IN_FAIL, ""): "forgotten",
    (Event.SIGN_IN_FAIL, "lapsed"): "new_link",
    (Event.APP_FAIL, ""): "next_code",
    (Event.APP_REUSE, ""): "next_code",
    (Event.CODE_FAIL, ""): "newest_codes",
    (Event.CODE_REUSE, ""): "another_code",
    (Event.CODE_FAIL, "not_allowed"): "other_proof",
    (Event.ACCESS_CODE_FAIL, "not_allowed"): "other_proof",
    (Event.ACCESS_CODE_FAIL, ""): "access_code_again",
    (Event.PIN_FAIL, "expired"): "new_pin",
    (Event.PIN_FAIL, "wrong"): "newest_pin",
    (Event.PIN_FAIL, "removed"): "new_pin",
    (Event.PIN_NOT_SENT, "no_channel"): "no_contact",
    (Event.PIN_NOT_SENT, ""): "wait",
    (Event.PASSWORD_REFUSED, ""): "read_rules",
    (Event.THROTTLED, ""): "wait_over",
    (Event.ACTIVATION_REFUSED, ""): "resend-activation",
    (Event.TOKEN_REFUSED, ""): "change_at_sign_in",
    (Event.TOKEN_REFUSED, "question_required"): "question_at_sign_in",
}


def _factor(line: Line) -> str:
    if line.event == Event.THROTTLED:
        return str(line.details.get("factor", ""))
    if line.event == Event.SIGN_IN_FAIL:
        return "password"
    if line.event in {*_APP_EVENTS, Event.CODE_FAIL, Event.CODE_REUSE, Event.ACCESS_CODE_FAIL}:
        return "app"
    return "pin" if line.event == Event.PIN_FAIL else ""


def _lost(line: Line) -> bool:
    """Whether a message of this line did not arrive."""
    return line.delivery is not None and line.delivery.state == "failed" and line.delivery.reason not in _NO_FAULT


def _instead(channel: str, reason: str, facts: Facts) -> Remedy:
    """What helps where messages by one way do not arrive."""
    if reason in _OPERATORS:
        return Remedy("operator")
    if reason == "opted_out":
        return Remedy("send_start")
    other = facts.mailboxes if channel == "sms" else facts.phones
    if other:
        return Remedy("ask_email" if channel == "sms" else "ask_sms")
    return Remedy("add_phone" if channel == "sms" else "add_email")


# ---- why


def causes(facts: Facts, lines: Sequence[Line]) -> tuple[Cause, ...]:
    """What stands in somebody's way now, the most likely first; ``lines`` newest first. Never empty."""
    return tuple(_causes(facts, lines)) or (Cause("nothing"),)


def _causes(facts: Facts, lines: Sequence[Line]) -> Iterator[Cause]:
    yield from _shut_out(facts)
    if facts.status != "active":
        return
    if not facts.activated:
        yield from _not_activated(facts, lines)
        return
    recent = [line for line in lines if line.at > facts.now - RECENT]
    for factor in ("password", "app", "pin"):
        if factor in facts.dead:
            yield Cause(f"{factor}_dead", Remedy("remove-app" if factor == "app" else "forgotten"))
    if facts.lapsed_at:
        yield Cause("password_lapsed", Remedy("unlock"), {"until": facts.lapsed_at})
    yield from _clock(recent)
    yield from _waiting(facts)
    held_back, nothing = facts.recovered_at > facts.now - DAY, not facts.apps.get("active") and not facts.codes
    if held_back and nothing:
        yield Cause("just_recovered", Remedy("wait"), {"until": facts.recovered_at + DAY})
    yield from _undelivered(facts, recent)
    yield from _lacking(facts)
    yield from _refused(facts, recent)
    if facts.reached and facts.invited_until:
        yield Cause("activation_unfinished", Remedy("resend-activation"), {"until": facts.invited_until})
    if facts.change_owed and not facts.lapsed_at:
        remedy = "new_link" if facts.change_owed == "lapsed" else "change_at_sign_in"
        yield Cause("change_owed", Remedy(remedy), {"why": facts.change_owed})
    if held_back and not nothing:
        yield Cause("just_recovered", Remedy("app_or_code"), {"until": facts.recovered_at + DAY})


def _shut_out(facts: Facts) -> Iterator[Cause]:
    if facts.status == "frozen":
        remedy = Remedy("operator_unfreezes" if facts.frozen_for_support else "undo_link")
        yield Cause("frozen_for_support" if facts.frozen_for_support else "frozen", remedy)
    elif facts.status != "active":
        yield Cause("inactive", Remedy("administrator"))


def _not_activated(facts: Facts, lines: Sequence[Line]) -> Iterator[Cause]:
    invited = next((line for line in lines if line.event == Event.INVITED), None)
    until = facts.invited_until or (invited.at + 3 * DAY if invited else 0)
    if not until:
        yield Cause("never_invited", Remedy("resend-activation"))
    elif until <= facts.now:
        yield Cause("invitation_over", Remedy("resend-activation"), {"until": until})
    elif invited is not None and _lost(invited):
        yield Cause("invitation_lost", Remedy("resend-activation"), {"reason": _reason(invited)})
    else:
        yield Cause("invitation_open", Remedy("open_invitation"), {"until": until})


def _clock(recent: Sequence[Line]) -> Iterator[Cause]:
    for line in recent:
        if line.event == Event.APP_OK:
            return
        if line.event == Event.APP_FAIL and line.reason == "clock_off":
            off = half_minutes(line)
            yield Cause(
                "clock", Remedy("set_clock"), {"half_minutes": abs(off), "direction": "slow" if off < 0 else "fast"}
            )
            return


def half_minutes(line: Line) -> int:
    """How far off a clock was, in steps of half a minute; negative: slow."""
    seconds = line.details.get("offset_seconds", 0)
    return int(seconds) // 30 if isinstance(seconds, int) else 0


def _waiting(facts: Facts) -> Iterator[Cause]:
    for factor in ("password", "app", "pin"):
        if factor in facts.dead:
            continue
        ends = {door: until for of, door, until in facts.waits if of == factor}
        until = max((end for end in ends.values() if end > facts.now), default=0)
        count = facts.consecutive.get(factor, 0)
        if 0 in ends.values():
            yield Cause(f"{factor}_closed", Remedy("unlock"), {"count": count})
        elif until >= FOREVER:
            yield Cause(f"{factor}_locked", Remedy("unlock"), {"count": count})
        elif until:
            doors = tuple(door for door, end in ends.items() if end > facts.now)
            yield Cause(f"{factor}_waits", Remedy("unlock"), {"until": until, "count": count, "doors": doors})


def _undelivered(facts: Facts, recent: Sequence[Line]) -> Iterator[Cause]:
    count, first = 0, None
    for line in recent:
        if line.event == Event.PIN_OK or (line.delivery is not None and line.delivery.state == "delivered"):
            break
        if line.event == Event.PIN_SENT and _lost(line) and (first is None or _channel(line) == _channel(first)):
            count, first = count + 1, first or line
    if first is not None:
        remedy = _instead(_channel(first), _reason(first), facts)
        yield Cause("undelivered", remedy, {"count": count, "channel": _channel(first), "reason": _reason(first)})


def _channel(line: Line) -> str:
    return str(line.details.get("channel", ""))


def _reason(line: Line) -> str:
    return line.delivery.reason if line.delivery else ""


def _lacking(facts: Facts) -> Iterator[Cause]:
    """What a recovery needs and is not there."""
    apps = facts.apps
    if not apps.get("active") and not facts.codes:
        if apps.get("disabled"):
            yield Cause("app_disabled", Remedy("access-code"))
        elif apps.get("locked"):
            yield Cause("app_locked", Remedy("remove-app"))
        elif apps.get("pending"):
            yield Cause("app_new", Remedy("wait"))
        else:
            yield Cause("no_app", Remedy("access-code"))
    if not facts.phones and not facts.mailboxes:
        if facts.contacts_from:
            yield Cause("contact_new", Remedy("wait"), {"until": facts.contacts_from})
        else:
            yield Cause("no_contact", Remedy("administrator"))


# a refusal that is nobody's wait: what the person is told to do otherwise
_TELLING = {
    Event.SIGN_IN_FAIL: "wrong_password",
    Event.APP_FAIL: "wrong_code",
    Event.APP_REUSE: "code_used",
    Event.CODE_FAIL: "wrong_saved_code",
    Event.CODE_REUSE: "saved_code_used",
    Event.ACCESS_CODE_FAIL: "wrong_access_code",
    Event.PASSWORD_REFUSED: "password_refused",
    Event.THROTTLED: "throttled",
    Event.PIN_NOT_SENT: "pin_not_sent",
}


def _over(line: Line, now: int) -> bool:
    """Whether a refusal was for a time only, which has passed."""
    seconds = line.details.get("retry_after", 0)
    return line.event == Event.THROTTLED and line.at + (seconds if isinstance(seconds, int) else 0) <= now


def _refused(facts: Facts, recent: Sequence[Line]) -> Iterator[Cause]:
    """The last refusal of a person's own, where no journey was finished after it and nothing else explains it."""
    for line in recent:
        if line.event in _GOALS or line.actor:
            return
        if not line.failed or _over(line, facts.now):
            continue
        name = _TELLING.get(Event(line.event), "")
        if line.event == Event.PIN_FAIL:
            name = "pin_expired" if line.reason == "expired" else "wrong_pin"
        if line.reason == "not_allowed":
            name = "proof_not_allowed"
        explained = line.reason in {"clock_off", _LAPSED} or any(
            factor == _factor(line) for factor, _, _ in facts.waits
        )
        if name and not explained:
            yield Cause(name, _after((line,), facts), {"rules": line.details.get("rules", ()), "reason": line.reason})
        return
