"""A policy as text and back, and edits of one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journeys.policy import rules
from app.journeys.policy.model import NotTaken, Standing
from app.journeys.policy.rules import SETTINGS
from app.records.organizations.model import (
    PRESETS,
    STANDARD,
    Organization,
    PasswordPolicy,
    Policy,
    Profile,
    SupportLine,
    SupportPolicy,
    Version,
)
from tests.hands import START
from tests.records.organizations.policies import policies

ACME = Organization("1", "acme", START)


def by_day(policy):
    """The same with its openings by day, as the form has them, and notes as one line of plain text."""
    lines = tuple(
        replace(one, note=" ".join(one.note.replace("|", " ").replace(";", " ").split()))
        for one in policy.support.lines
    )
    openings = tuple(sorted(policy.support.openings, key=lambda one: one.weekday))
    closed = tuple(dict.fromkeys(policy.support.closed_on))
    return replace(policy, support=replace(policy.support, lines=lines, openings=openings, closed_on=closed))


@given(policies, policies)
def test_every_policy_can_be_typed(base, wanted):
    wanted = replace(by_day(wanted), profile=base.profile)
    assert rules.edited(replace(base, authenticate_user=False), rules.texts(wanted)).policy == wanted


@given(policies)
def test_what_the_rows_of_the_page_say_is_what_the_text_says(policy):
    policy = by_day(policy)
    texts = rules.texts(policy)
    assert rules.joined_hours(rules.hours_by_day(policy)) == texts["support.openings"]
    typed = {"support.lines": rules.joined_lines(rules.rows_of_lines(policy))}
    assert rules.edited(STANDARD, typed).policy.support.lines == policy.support.lines


def test_every_part_of_a_policy_can_be_set_but_its_profile():
    assert set(SETTINGS) == set(rules.texts(STANDARD))
    whole = {key.partition(".")[0] for key in SETTINGS}
    assert whole == {field for field in Policy.__dataclass_fields__ if field != "profile"}
    assert len({one.field for one in SETTINGS.values()}) == len(SETTINGS)


@given(st.dictionaries(st.sampled_from([*SETTINGS, "nope"]), st.text(max_size=40), max_size=6), policies)
def test_whatever_is_typed_is_a_policy_or_refused_with_its_keys(typed, base):
    made, refused = None, NotTaken()
    try:
        made = rules.edited(base, typed)
    except NotTaken as error:
        refused = error
    keys = {problem.key for problem in refused.problems}
    assert bool(keys) is (made is None)
    assert keys <= {*SETTINGS, "nope"}
    assert "{" not in str(refused)


def test_a_contradiction_between_two_settings_is_named_at_one_of_them():
    with pytest.raises(NotTaken) as refused:
        rules.edited(STANDARD, {"password.min_age_hours": "48", "password.max_age_days": "2", "session.hours": "99"})
    assert [problem.key for problem in refused.value.problems] == ["password.min_age_hours", "session.hours"]
    with pytest.raises(NotTaken) as refused:
        rules.edited(STANDARD, {"lockout.on_failures": "delay", "lockout.minutes": "0"})
    assert [problem.key for problem in refused.value.problems] == ["lockout.minutes"]


def test_switching_on_a_sole_factor_raises_a_length_that_nobody_chose():
    made = rules.edited(STANDARD, {"authenticate_user": "true", "password.min_length": "12"})
    assert (made.raised, made.policy.password.min_length) == (True, 15)
    longer = rules.edited(replace(STANDARD, password=PasswordPolicy(min_length=20)), {"authenticate_user": "true"})
    assert (longer.raised, longer.policy.password.min_length) == (False, 20)
    with pytest.raises(NotTaken):
        rules.edited(STANDARD, {"authenticate_user": "true", "password.min_length": "13"})
    with pytest.raises(NotTaken):
        rules.edited(made.policy, {"password.min_length": "12"})


def test_a_profile_keeps_what_only_the_organization_knows():
    support = SupportPolicy(lines=(SupportLine(email="help@example.org"),))
    own = replace(STANDARD, password=PasswordPolicy(min_length=30, context_words=("acme",)), support=support)
    begun = rules.started_from(Profile.CLASSIC, own)
    assert begun.support == support
    assert begun.password == replace(PRESETS[Profile.CLASSIC].password, context_words=("acme",))


def test_a_merge_follows_the_other_where_nobody_typed_anew():
    base, theirs = STANDARD, replace(STANDARD, password=PasswordPolicy(min_length=20, history=9))
    typed = {**rules.texts(base), "password.min_length": "24", "session.hours": "4"}
    merged = rules.merged(base, theirs, typed)
    assert (merged["password.min_length"], merged["password.history"], merged["session.hours"]) == ("24", "9", "4")


def test_a_version_that_was_overtaken_before_its_day_was_withdrawn_and_one_after_it_replaced():
    def version(number, made_at, holds_from):
        return Version("1", number, STANDARD, made_at, "ada", holds_from)

    decided = [
        version(5, START + 30, START + 30),  # after the day of the fourth
        version(4, START + 10, START + 20),
        version(3, START + 5, START + 5),
        version(2, START, START + 9),
        version(1, START, START),
    ]
    standings = [one.standing for one in rules.book(ACME, decided, START + 40).versions]
    assert standings == [
        Standing.HOLDS,
        Standing.REPLACED,
        Standing.REPLACED,
        Standing.WITHDRAWN,
        Standing.REPLACED,
    ]


def test_of_several_versions_one_holds_and_the_newest_may_be_staged():
    def version(number, length, holds_from):
        return Version("1", number, Policy(password=PasswordPolicy(min_length=length)), START, "ada", holds_from)

    found = rules.book(ACME, [version(3, 22, START + 9), version(2, 21, START), version(1, 20, START)], START)
    assert [one.standing for one in found.versions] == [Standing.STAGED, Standing.HOLDS, Standing.REPLACED]
    assert (found.present.password.min_length, found.newest) == (21, 3)
    assert [change.key for change in found.versions[0].changes] == ["password.min_length"]
    assert found.staged == found.versions[0].version
    none = rules.book(ACME, [], START)
    assert (none.present, none.staged, none.newest) == (STANDARD, None, 0)


def test_a_day_begins_where_support_is():
    tokyo = replace(STANDARD, support=SupportPolicy(time_zone="Asia/Tokyo"))
    moment = rules.holds_from("2026-12-24", tokyo, START)
    assert moment == rules.holds_from("2026-12-24", STANDARD, START) - 9 * 3_600
    assert rules.day_of(moment, tokyo).isoformat() == "2026-12-24"
