"""Policies as Hypothesis draws them: each part anywhere within its bounds."""

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from app.records.organizations.model import (
    FIRST,
    SECOND,
    SOLE_FACTOR,
    LockoutPolicy,
    OnFailures,
    Opening,
    PasswordPolicy,
    PinPolicy,
    Policy,
    Profile,
    RecoveryPolicy,
    SessionPolicy,
    SupportLine,
    SupportPolicy,
)

COUNTRIES = ("AT", "CH", "DE", "GB", "US")


def numbers(part: type[Any]) -> dict[str, st.SearchStrategy[int]]:
    """A strategy for each number of a part."""
    return {
        one.name: st.integers(one.metadata["least"], one.metadata["most"])
        for one in fields(part)
        if "least" in one.metadata
    }


words = st.lists(st.text(st.characters(categories=["L"]), min_size=3, max_size=12), max_size=8, unique=True).map(tuple)
password_policies = st.builds(
    PasswordPolicy, **{**numbers(PasswordPolicy), "max_age_days": st.sampled_from([0, 8, 90, 730])}, context_words=words
)
lockouts = st.builds(
    LockoutPolicy,
    on_failures=st.sampled_from([OnFailures.RETRY, OnFailures.LOCK]),
    **numbers(LockoutPolicy),
) | st.builds(
    LockoutPolicy, on_failures=st.just(OnFailures.DELAY), after=st.integers(3, 50), minutes=st.integers(1, 60)
)
recoveries = st.builds(
    RecoveryPolicy,
    first=st.lists(st.sampled_from(FIRST), min_size=1, unique=True).map(tuple),
    second=st.lists(st.sampled_from(SECOND), min_size=1, unique=True).map(tuple),
)
supports = st.builds(
    SupportPolicy,
    lines=st.lists(
        st.builds(
            SupportLine, country=st.sampled_from(["", *COUNTRIES]), phone=st.just("+49 30 1"), note=st.text(max_size=9)
        ),
        max_size=3,
    ).map(tuple),
    time_zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    openings=st.lists(
        st.builds(Opening, st.integers(0, 6), st.sampled_from(["00:00", "08:30"]), st.sampled_from(["17:00", "24:00"])),
        max_size=5,
    ).map(tuple),
    closed_on=st.lists(st.dates().map(str), max_size=3).map(tuple),
)


def _sole(policy: Policy) -> bool:
    return policy.password.min_length >= SOLE_FACTOR


policies = st.builds(
    Policy,
    profile=st.sampled_from(Profile),
    password=password_policies,
    lockout=lockouts,
    recovery=recoveries,
    pin=st.builds(PinPolicy, **numbers(PinPolicy)),
    session=st.builds(SessionPolicy, **numbers(SessionPolicy)),
    sms_countries=st.lists(st.sampled_from(COUNTRIES), unique=True).map(tuple),
    support=supports,
)
