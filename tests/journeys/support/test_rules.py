"""Which cause is named first, what helps, and what belongs together. No store, no page."""

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journeys.support import rules
from app.journeys.support.model import Delivery, Ending, Facts, Line, Remedy, Story
from app.records.audit.model import Event
from app.steps.moments import moment
from tests.hands import START as NOW

WELL = Facts(NOW, "active", apps={"active": 1}, phones=1, mailboxes=1, codes=3)
_NUMBERS = iter(range(10_000, 0, -1))


def line(event: Event, *, ago: int = 60, reason: str = "", failed: bool | None = None, **more: Any) -> Line:
    """Something that happened; refusals by their names."""
    refused = event.value.endswith(("_fail", "_reuse", "exceeded", "not_sent")) if failed is None else failed
    known = {
        name: more.pop(name) for name in ("actor", "address", "browser", "journey", "flow", "delivery") if name in more
    }
    return Line(next(_NUMBERS), event.value, NOW - ago, moment(NOW - ago, NOW), refused, reason, details=more, **known)


def lost(reason: str = "bad_number", channel: str = "sms", **more: Any) -> Line:
    return line(Event.PIN_SENT, channel=channel, delivery=Delivery("failed", reason, "••• 77"), **more)


CLOCK = line(Event.APP_FAIL, reason="clock_off", offset_seconds=-90)
WRONG = line(Event.APP_FAIL, reason="wrong")
PASSWORD = line(Event.SIGN_IN_FAIL, reason="wrong_password")


def changed(**values: Any) -> Facts:
    return replace(WELL, **values)


# facts, lines (newest first) -> the causes in their order, and what helps with the first
CAUSES: list[tuple[str, Facts, list[Line], list[str], str]] = [
    ("nothing", WELL, [], ["nothing"], ""),
    ("inactive", changed(status="inactive"), [CLOCK], ["inactive"], "administrator"),
    ("frozen", changed(status="frozen"), [CLOCK], ["frozen"], "undo_link"),
    (
        "frozen for support",
        changed(status="frozen", frozen_for_support=True),
        [],
        ["frozen_for_support"],
        "operator_unfreezes",
    ),
    ("never invited", changed(activated=False), [], ["never_invited"], "resend-activation"),
    ("invited", changed(activated=False, invited_until=NOW + 9), [], ["invitation_open"], "open_invitation"),
    ("ran out", changed(activated=False, invited_until=NOW), [], ["invitation_over"], "resend-activation"),
    (
        "row is gone",
        changed(activated=False),
        [line(Event.INVITED, ago=90 * 86_400)],
        ["invitation_over"],
        "resend-activation",
    ),
    (
        "mail is lost",
        changed(activated=False, invited_until=NOW + 9),
        [line(Event.INVITED, delivery=Delivery("failed", "bad_address", ""))],
        ["invitation_lost"],
        "resend-activation",
    ),
    ("clock", WELL, [CLOCK], ["clock"], "set_clock"),
    ("clock, then a guess", WELL, [WRONG, CLOCK], ["clock", "wrong_code"], "set_clock"),
    ("clock was set", WELL, [line(Event.APP_OK), CLOCK], ["nothing"], ""),
    (
        "clock long ago",
        WELL,
        [line(Event.APP_FAIL, ago=8 * 86_400, reason="clock_off", offset_seconds=60)],
        ["nothing"],
        "",
    ),
    (
        "clock and its wait",
        changed(waits=(("app", "recovery", NOW + 60),), consecutive={"app": 5}),
        [CLOCK],
        ["clock", "app_waits"],
        "set_clock",
    ),
    (
        "password waits",
        changed(waits=(("password", "sign_in", NOW + 60),), consecutive={"password": 6}),
        [PASSWORD],
        ["password_waits"],
        "unlock",
    ),
    ("closed to strangers", changed(waits=(("password", "sign_in", 0),)), [PASSWORD], ["password_closed"], "unlock"),
    ("PINs wait", changed(waits=(("pin", "sign_in", NOW + 60),)), [line(Event.PIN_FAIL)], ["pin_waits"], "unlock"),
    ("a hundred passwords", changed(dead=frozenset({"password"})), [], ["password_dead"], "forgotten"),
    ("a hundred codes", changed(dead=frozenset({"app"})), [], ["app_dead"], "remove-app"),
    ("no such number", WELL, [lost(), lost()], ["undelivered"], "ask_email"),
    ("no such number, no mailbox", changed(mailboxes=0), [lost()], ["undelivered"], "add_phone"),
    ("no such mailbox", WELL, [lost("bad_address", "email")], ["undelivered"], "ask_sms"),
    ("STOP", WELL, [lost("opted_out")], ["undelivered"], "send_start"),
    ("the operator's fault", WELL, [lost("provider_setup")], ["undelivered"], "operator"),
    ("a newer PIN", WELL, [lost("withdrawn")], ["nothing"], ""),
    ("arrived since", WELL, [line(Event.PIN_OK), lost()], ["nothing"], ""),
    ("app disabled", changed(apps={"disabled": 1}, codes=0), [], ["app_disabled"], "access-code"),
    ("app disabled, codes there", changed(apps={"disabled": 1}), [], ["nothing"], ""),
    ("app locked", changed(apps={"locked": 1}, codes=0), [], ["app_locked"], "remove-app"),
    ("app new", changed(apps={"pending": 1}, codes=0), [], ["app_new"], "wait"),
    ("no app", changed(apps={}, codes=0), [], ["no_app"], "access-code"),
    ("no contact", changed(phones=0, mailboxes=0), [], ["no_contact"], "administrator"),
    ("new contact", changed(phones=0, mailboxes=0, contacts_from=NOW + 9), [], ["contact_new"], "wait"),
    ("wrong password", WELL, [PASSWORD], ["wrong_password"], "forgotten"),
    ("signed in since", WELL, [line(Event.SIGN_IN_OK), PASSWORD], ["nothing"], ""),
    ("wrong code", WELL, [WRONG], ["wrong_code"], "next_code"),
    ("used code", WELL, [line(Event.APP_REUSE)], ["code_used"], "next_code"),
    ("wrong saved code", WELL, [line(Event.CODE_FAIL)], ["wrong_saved_code"], "newest_codes"),
    ("used saved code", WELL, [line(Event.CODE_REUSE)], ["saved_code_used"], "another_code"),
    ("wrong access code", WELL, [line(Event.ACCESS_CODE_FAIL)], ["wrong_access_code"], "access_code_again"),
    ("not taken", WELL, [line(Event.CODE_FAIL, reason="not_allowed")], ["proof_not_allowed"], "other_proof"),
    ("old PIN", WELL, [line(Event.PIN_FAIL, reason="expired")], ["pin_expired"], "new_pin"),
    ("wrong PIN", WELL, [line(Event.PIN_FAIL, reason="wrong")], ["wrong_pin"], "newest_pin"),
    ("rules", WELL, [line(Event.PASSWORD_REFUSED, rules=["history"])], ["password_refused"], "read_rules"),
    ("no PIN", WELL, [line(Event.PIN_NOT_SENT, reason="too_many_messages")], ["pin_not_sent"], "wait"),
    ("a country", WELL, [line(Event.PIN_NOT_SENT, reason="sms_country")], ["pin_not_sent"], "ask_email"),
    ("SMS rest", WELL, [line(Event.PIN_NOT_SENT, reason="sms_rests")], ["pin_not_sent"], "ask_email"),
    (
        "SMS rest, no mailbox",
        changed(mailboxes=0),
        [line(Event.PIN_NOT_SENT, reason="sms_rests")],
        ["pin_not_sent"],
        "add_phone",
    ),
    ("unlocked since", WELL, [line(Event.UNLOCKED, actor="operator"), PASSWORD], ["nothing"], ""),
    ("a wait that is over", WELL, [line(Event.THROTTLED, factor="password", retry_after=30)], ["nothing"], ""),
    ("a wait of the network", WELL, [line(Event.THROTTLED, factor="app", retry_after=90)], ["throttled"], "wait_over"),
    ("owed", changed(change_owed="age"), [], ["change_owed"], "change_at_sign_in"),
    ("recovered", changed(recovered_at=NOW - 5), [], ["just_recovered"], "app_or_code"),
    (
        "recovered, and neither app nor code",
        changed(recovered_at=NOW - 5, apps={}, codes=0),
        [],
        ["just_recovered", "no_app"],
        "wait",
    ),
    (
        "begun and left",
        changed(invited_until=NOW + 9, reached="app", apps={}, codes=0),
        [],
        ["no_app", "activation_unfinished"],
        "access-code",
    ),
]


@pytest.mark.parametrize(
    ("facts", "lines", "names", "remedy"), [case[1:] for case in CAUSES], ids=[c[0] for c in CAUSES]
)
def test_the_most_likely_cause_comes_first_with_what_helps(facts, lines, names, remedy):
    found = rules.causes(facts, lines)
    assert [cause.name for cause in found] == names
    assert (found[0].remedy.name if found[0].remedy else "") == remedy


@pytest.mark.parametrize(
    ("reason", "remedy"), [("change_required", "change_at_sign_in"), ("question_required", "question_at_sign_in")]
)
def test_what_a_program_was_told_is_mended_by_signing_in_and_not_by_another_try(reason, remedy):
    told = rules.stories([line(Event.TOKEN_REFUSED, reason=reason)], WELL)
    assert told[0].remedy is not None
    assert told[0].remedy.name == remedy


def test_a_cause_carries_the_figures_of_its_sentence():
    assert rules.causes(WELL, [CLOCK])[0].params == {"half_minutes": 3, "direction": "slow"}
    waiting = changed(waits=(("app", "sign_in", NOW + 60), ("app", "recovery", NOW + 90)), consecutive={"app": 7})
    assert rules.causes(waiting, [])[0].params == {"until": NOW + 90, "count": 7, "doors": ("sign_in", "recovery")}
    assert rules.causes(WELL, [lost(), lost(), lost(channel="email")])[0].params == {
        "count": 2,
        "channel": "sms",
        "reason": "bad_number",
    }


def test_lines_of_one_flow_are_one_story_and_what_stands_alone_is_one_of_its_own():
    lines = [
        line(Event.PASSWORD_CHANGED, flow="r", journey="recovery"),
        line(Event.UNLOCKED, actor="operator"),
        line(Event.PIN_OK, flow="r", journey="recovery"),
        line(Event.SIGN_IN_FAIL, flow="s", journey="sign_in"),
        line(Event.APP_OK, flow="r", journey="recovery", ago=90),
    ]
    told = rules.stories(lines, WELL)
    assert [(one.journey, len(one.lines), one.ending) for one in told] == [
        ("recovery", 3, Ending.WELL),
        ("", 1, Ending.WELL),
        ("sign_in", 1, Ending.BADLY),
    ]
    assert told[0].lines[0].event == Event.APP_OK


def test_what_comes_in_the_same_moment_belongs_to_the_journey_before_it():
    lines = [line(Event.STEPPED_UP), line(Event.APP_OK, flow="u", journey="step_up")]
    assert [len(one.lines) for one in rules.stories(lines, WELL)] == [2]
    apart = [line(Event.STEPPED_UP, ago=1), line(Event.APP_OK, flow="u", journey="step_up")]
    assert [len(one.lines) for one in rules.stories(apart, WELL)] == [1, 1]


@pytest.mark.parametrize(
    ("lines", "facts", "remedy"),
    [
        ([CLOCK], WELL, "set_clock"),
        ([line(Event.THROTTLED, factor="app"), CLOCK], WELL, "set_clock"),
        ([PASSWORD], changed(waits=(("password", "sign_in", NOW + 9),)), "unlock"),
        ([PASSWORD], WELL, "forgotten"),
        ([lost()], WELL, "ask_email"),
        ([line(Event.ACTIVATION_REFUSED)], WELL, "resend-activation"),
        ([line(Event.PASSWORD_CHANGED)], WELL, "freeze"),
        ([line(Event.PASSWORD_CHANGED, ago=8 * 86_400)], WELL, None),
        ([line(Event.PASSWORD_CHANGED)], changed(status="frozen"), None),
        ([line(Event.PASSWORD_CHANGED, actor="operator")], WELL, None),
        ([line(Event.SIGN_IN_OK)], WELL, None),
        ([line(Event.SIGN_IN_FAIL, ago=8 * 86_400)], WELL, None),
        ([line(Event.PIN_SENT)], WELL, None),
    ],
)
def test_a_story_has_one_remedy_or_none(lines, facts, remedy):
    flowing = [replace(one, flow="f") for one in lines]
    (story,) = rules.stories(flowing, facts)
    assert (story.remedy.name if story.remedy else None) == remedy


def wrong(**more: Any) -> Line:
    return line(Event.SIGN_IN_FAIL, **{"reason": "wrong_password", "journey": "sign_in", **more})


def staff(**more: Any) -> Line:
    return line(Event.UNLOCKED, actor="sam", **more)


def acted(began: int, ended: int) -> list[Line]:
    """A request of staff that began so many seconds ago and ended later."""
    return [staff(ago=ended, flow="request"), staff(ago=began, flow="request")]


# lines, newest first -> how many stories each story stands for
GATHERED: list[tuple[str, list[Line], list[int]]] = [
    ("nothing", [], []),
    ("one", [wrong()], [1]),
    ("fifty", [wrong(flow=str(n), ago=n) for n in range(50)], [50]),
    ("without flows", [wrong(ago=n) for n in range(3)], [3]),
    ("other addresses", [wrong(address="192.0.2.1"), wrong(address="192.0.2.2")], [2]),
    ("an address and none", [wrong(address="192.0.2.1"), wrong()], [1, 1]),
    ("other browsers", [wrong(browser=("Firefox", "")), wrong(browser=("Chrome", ""))], [2]),
    ("another reason", [wrong(), wrong(reason="locked"), wrong()], [1, 1, 1]),
    ("another journey", [wrong(), wrong(journey="change_password")], [1, 1]),
    ("another event", [wrong(), line(Event.APP_FAIL, reason="wrong_password", journey="sign_in")], [1, 1]),
    ("other figures", [line(Event.PIN_FAIL, reason="wrong", tries_left=n) for n in (3, 4)], [1, 1]),
    ("how long to wait", [line(Event.THROTTLED, factor="app", retry_after=n) for n in (3, 4)], [2]),
    ("another factor", [line(Event.THROTTLED, factor=name) for name in ("app", "pin")], [1, 1]),
    ("a success between", [wrong(), line(Event.SIGN_IN_OK, journey="sign_in"), wrong()], [1, 1, 1]),
    ("successes", [line(Event.SIGN_IN_OK), line(Event.SIGN_IN_OK)], [1, 1]),
    ("messages that are lost", [lost(), lost()], [1, 1]),
    ("two lines each", [wrong(flow=flow) for flow in "aabb"], [1, 1]),
    ("staff between", [wrong(), staff(), wrong()], [1, 1, 1]),
    ("refused by staff", [staff(failed=True), staff(failed=True)], [1, 1]),
    ("a request around", [acted(90, 10)[0], wrong(ago=20), wrong(ago=30), acted(90, 10)[1]], [1, 2]),
    (
        "a request begun between",
        [acted(25, 10)[0], wrong(ago=20), acted(25, 10)[1], wrong(ago=30), wrong(ago=40)],
        [1, 1, 2],
    ),
    ("long ago and lately", [wrong(), wrong(ago=8 * 86_400)], [2]),
]


@pytest.mark.parametrize(("lines", "counts"), [case[1:] for case in GATHERED], ids=[case[0] for case in GATHERED])
def test_refusals_that_follow_one_another_and_say_the_same_are_one_story(lines, counts):
    assert [one.count for one in rules.gathered(rules.stories(lines, WELL))] == counts


def test_of_several_refusals_the_first_and_last_time_every_address_and_the_remedy_of_the_newest_are_told():
    lines = [
        wrong(ago=60 * n, address=f"192.0.2.{n % 2}", browser=(("Firefox", "Chrome")[n % 2], "")) for n in range(1, 6)
    ]
    (one,) = rules.gathered(rules.stories(lines, WELL))
    assert (one.began, one.last) == (lines[-1].when, lines[0].when)
    assert one.said == (lines[0],)
    assert set(one.addresses) == {"192.0.2.0", "192.0.2.1"}
    assert set(one.browsers) == {("Firefox", ""), ("Chrome", "")}
    assert one.remedy == Remedy("forgotten")
    (alike,) = rules.gathered(rules.stories([replace(each, address="a", browser=("b", "")) for each in lines], WELL))
    assert (alike.addresses, alike.browsers) == (("a",), (("b", ""),))


_HAPPENED: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    event=st.sampled_from(
        [Event.SIGN_IN_FAIL] * 3 + [Event.APP_FAIL, Event.THROTTLED, Event.SIGN_IN_OK, Event.PIN_SENT]
    ),
    reason=st.sampled_from(["", "", "wrong"]),
    actor=st.sampled_from([""] * 6 + ["sam"]),
    journey=st.sampled_from(["sign_in", "sign_in", "recovery"]),
    flow=st.sampled_from(["", "", "", "", "r", "s"]),
    address=st.sampled_from(["", "192.0.2.1", "192.0.2.2"]),
    factor=st.sampled_from(["app", "app", "pin"]),
    later=st.integers(0, 2),
)


def _histories(drawn: list[dict[str, Any]]) -> list[Line]:
    """What was drawn, newest first, each so much before the one above it."""
    lines, ago = [], 0
    for one in drawn:
        ago += one["later"]
        lines.append(line(ago=ago, **{name: value for name, value in one.items() if name != "later"}))
    return lines


@given(st.lists(_HAPPENED, max_size=24).map(_histories))
def test_nothing_that_differs_is_swallowed_the_order_stays_and_counts_sum_up(lines):
    told = rules.stories(lines, WELL)
    kept = rules.gathered(told)
    assert sum(one.count for one in kept) == len(told)
    spread = [[(each,) for each in reversed(one.lines)] if one.count > 1 else [one.lines] for one in kept]
    assert list(chain(*spread)) == [one.lines for one in told]
    for one in kept:
        if one.count == 1:
            continue
        assert len({(each.event, each.reason, each.journey, str(each.details)) for each in one.lines}) == 1
        assert all(each.failed and not each.actor for each in one.lines)
        at = {id(each): n for n, each in enumerate(lines)}
        span = lines[at[id(one.lines[-1])] : at[id(one.lines[0])]]
        assert not any(each.actor for each in span)
    assert rules.gathered(kept) == kept


def test_each_remedy_stands_once_with_the_newest_story_that_asks_for_it():
    asked = (Remedy("unlock", "/u"), None, Remedy("forgotten"), Remedy("unlock", "/u"), Remedy("forgotten"))
    told = [Story("", (wrong(),), Ending.BADLY, one) for one in asked]
    kept = rules.once(told)
    assert [one.remedy for one in kept] == [asked[0], None, asked[2], None, None]
    assert [one.lines for one in kept] == [one.lines for one in told]


def test_a_page_ends_where_no_journey_is_cut_and_else_where_it_is_full():
    flows = [*"aabbcc", *"dddd"]
    lines = [line(Event.APP_OK, flow=flow) for flow in flows]
    assert rules.cut(lines, 10) == 10
    assert rules.cut(lines, 8) == 6
    assert rules.cut(lines, 5) == 4
    assert rules.cut([line(Event.APP_OK, flow="a")] * 9, 8) == 8
    assert rules.cut([line(Event.APP_OK)] * 9, 8) == 8
