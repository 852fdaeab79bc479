"""Policies: their bounds, their JSON, and the strictest of several."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.password.rules import Unfit, judge
from app.records.organizations.model import (
    PRESETS,
    STANDARD,
    BadPolicy,
    LockoutPolicy,
    OnFailures,
    Opening,
    PasswordPolicy,
    PinPolicy,
    Policy,
    Profile,
    Proof,
    RecoveryPolicy,
    SessionPolicy,
    SupportLine,
    SupportPolicy,
)
from app.records.organizations.rules import POSSESSABLE, from_json, met, strands, strictest, to_json
from tests.records.organizations.policies import password_policies, policies, recoveries

BOUNDED = [
    (part, one.name, one.metadata["least"], one.metadata["most"])
    for part in (PasswordPolicy, LockoutPolicy, PinPolicy, SessionPolicy)
    for one in fields(part)
    if "least" in one.metadata
]


@pytest.mark.parametrize(("part", "name", "least", "most"), BOUNDED)
def test_no_number_outside_its_bounds_can_be_made(part, name, least, most):
    for outside in (least - 1, most + 1):
        with pytest.raises(BadPolicy) as refused:
            part(**{name: outside})
        assert (refused.value.key, refused.value.params) == (f"{part.name}.{name}", {"least": least, "most": most})
    assert getattr(part(**{name: most}), name) == most


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: PasswordPolicy(context_words=("ab",)), "password.context_words"),
        (lambda: PasswordPolicy(min_age_hours=48, max_age_days=2), "password.min_age_hours"),
        (lambda: LockoutPolicy(on_failures=OnFailures.DELAY, minutes=0), "lockout.minutes"),
        (lambda: RecoveryPolicy(first=()), "recovery.first"),
        (lambda: RecoveryPolicy(first=(Proof.SMS,)), "recovery.first"),
        (lambda: RecoveryPolicy(second=(Proof.SMS, Proof.SMS)), "recovery.second"),
        (lambda: SupportLine(country="de", phone="1"), "support.lines"),
        (lambda: SupportLine(note="dial 0 first"), "support.lines"),
        (lambda: Opening(7, "08:00", "17:00"), "support.openings"),
        (lambda: Opening(0, "17:00", "08:00"), "support.openings"),
        (lambda: Opening(0, "8:00", "17:00"), "support.openings"),
        (lambda: SupportPolicy(time_zone="Mars/Olympus"), "support.time_zone"),
        (lambda: SupportPolicy(time_zone="../../etc/passwd"), "support.time_zone"),
        (lambda: SupportPolicy(closed_on=("2026-02-30",)), "support.closed_on"),
        (lambda: Policy(sms_countries=("Germany",)), "sms_countries"),
        # NIST SP 800-63B-4 sec. 3.1.1.2: a password that alone opens something has at least 15 characters
        (lambda: Policy(authenticate_user=True), "password.min_length"),
    ],
)
def test_what_cannot_be_is_named(make, key):
    with pytest.raises(BadPolicy) as refused:
        make()
    assert refused.value.key == key


@given(policies)
def test_a_policy_is_the_same_after_it_was_kept(policy):
    assert from_json(to_json(policy)) == policy


@pytest.mark.parametrize("profile", Profile)
def test_each_profile_has_a_policy_that_says_so(profile):
    assert PRESETS[profile].profile is profile


def test_nobody_asks_for_less_than_the_default_where_nobody_asks():
    assert strictest([]) == STANDARD == Policy()


@given(st.lists(password_policies, min_size=1, max_size=4), st.text(max_size=300), st.integers(0, 4))
def test_what_the_strictest_policy_accepts_each_of_them_accepts(several, candidate, score):
    strict = strictest([Policy(password=one) for one in several]).password
    try:
        found = judge(strict, candidate, candidate, (), lambda _: False, lambda _: score)
    except Unfit:
        return
    each = [judge(one, candidate, candidate, (), lambda _: False, lambda _: score) for one in several]
    assert (found == ()) == all(broken == () for broken in each)


@given(st.lists(policies, min_size=1, max_size=4))
def test_the_strictest_is_at_least_as_strict_as_each(several):
    strict = strictest(several)
    for one in several:
        assert strict.password.history >= one.password.history
        assert strict.password.classes >= one.password.classes
        assert not one.password.max_age_days or 0 < strict.password.max_age_days <= one.password.max_age_days
        assert tuple(OnFailures).index(strict.lockout.on_failures) >= tuple(OnFailures).index(one.lockout.on_failures)
        if strict.lockout.on_failures is one.lockout.on_failures:
            assert strict.lockout.after <= one.lockout.after
            assert strict.lockout.minutes == 0 or strict.lockout.minutes >= one.lockout.minutes > 0
        assert strict.pin.tries <= one.pin.tries
        assert strict.pin.sms_minutes <= one.pin.sms_minutes
        assert strict.pin.email_digits >= one.pin.email_digits
        assert strict.session.idle_minutes <= one.session.idle_minutes
        assert strict.session.hours <= one.session.hours
        assert one.authenticate_user or not strict.authenticate_user
        if not strands(several):
            assert set(strict.recovery.first) <= set(one.recovery.first)
            assert set(strict.recovery.second) <= set(one.recovery.second)


@given(policies, st.lists(policies, max_size=3))
def test_where_the_policies_leave_no_way_to_recover_the_home_organizations_holds(home, others):
    strict = strictest([home, *others])
    assert strict.recovery.first
    assert strict.recovery.second
    assert set(strict.recovery.first) <= set(home.recovery.first)
    assert set(strict.recovery.second) <= set(home.recovery.second)
    alone = replace(home, recovery=RecoveryPolicy(first=(Proof.APP,)))
    other = replace(home, recovery=RecoveryPolicy(first=(Proof.ACCESS_CODE,)))
    assert strands([alone, other])
    assert strictest([alone, other]).recovery.first == (Proof.APP,)


# ---- what a recovery takes of somebody who has this and that (security rule 12)

_possessions = st.sets(st.sampled_from(sorted(POSSESSABLE)))


@given(recoveries, st.lists(recoveries, max_size=3), _possessions)
def test_no_other_organization_strands_whoever_could_recover_by_their_home_alone(home, others, having):
    several = [Policy(recovery=one) for one in (home, *others)]
    found = met(several, having)
    for step in ("first", "second"):
        at_home, taken = set(getattr(home, step)), getattr(found, step)
        assert bool(having & set(taken)) == bool(having & at_home)
        common = at_home.intersection(*(getattr(one, step) for one in others))
        if having & common:
            assert set(taken) == common  # the strictest holds wherever it leaves a way
        else:
            assert set(taken) == at_home
        assert list(taken) == [one for one in getattr(home, step) if one in taken]


@given(recoveries, st.lists(recoveries, max_size=3), _possessions)
def test_a_case_is_flagged_where_the_home_organization_takes_what_the_strictest_does_not(home, others, having):
    several = [Policy(recovery=one) for one in (home, *others)]
    found = met(several, having)
    beyond = any(
        not set(getattr(found, step)) <= set(getattr(one, step)) for one in others for step in ("first", "second")
    )
    assert strands(several, having) is beyond


@given(recoveries, st.lists(recoveries, max_size=3))
def test_whoever_has_everything_meets_the_strictest(home, others):
    several = [Policy(recovery=one) for one in (home, *others)]
    assert met(several, POSSESSABLE) == strictest(several).recovery
