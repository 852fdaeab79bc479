"""Policies and memberships as they are kept, on both databases."""

from dataclasses import replace

from app.records.organizations import store
from app.records.organizations.model import (
    STANDARD,
    Organization,
    PasswordPolicy,
    Policy,
    Role,
    Version,
)
from tests.cast import add_person
from tests.hands import START

STRICT = Policy(password=PasswordPolicy(min_length=20))
STRICTER = Policy(password=PasswordPolicy(min_length=30))


def decide(transaction, organization_id, number, policy, holds_from=START):
    return store.add_version(transaction, Version(organization_id, number, policy, START, "operator", holds_from))


def test_a_policy_holds_from_its_day_on(database, chance):
    with database.begin() as transaction:
        jane = add_person(transaction, "jane", chance)
        assert store.policy_of_person(transaction, jane.id, START) == STANDARD
        assert decide(transaction, jane.home_organization, 1, STRICT)
        assert decide(transaction, jane.home_organization, 2, STRICTER, START + 100)
        for moment, wanted in ((START - 1, STANDARD), (START, STRICT), (START + 99, STRICT), (START + 100, STRICTER)):
            assert store.policy_of_person(transaction, jane.id, moment) == wanted
            assert store.policy_of(transaction, jane.home_organization, moment) == wanted
        assert [one.number for one in store.versions(transaction, jane.home_organization)] == [2, 1]


def test_of_two_who_decide_at_once_one_does(database, chance):
    with database.begin() as transaction:
        jane = add_person(transaction, "jane", chance)
        assert decide(transaction, jane.home_organization, 1, STRICT)
        assert not decide(transaction, jane.home_organization, 1, STRICTER)
        assert store.policy_of(transaction, jane.home_organization, START) == STRICT


def test_a_membership_has_no_power_before_it_is_accepted(database, chance):
    with database.begin() as transaction:
        jane = add_person(transaction, "jane", chance)
        store.add(transaction, Organization("other", "other", START))
        decide(transaction, "other", 1, STRICT)
        store.join(transaction, jane.id, "other", Role.ADMINISTRATOR, is_primary=False, proposed_at=START)
        assert store.policy_of_person(transaction, jane.id, START) == STANDARD
        home, other = store.memberships_of(transaction, jane.id)
        assert (home.is_primary, home.proposed_at) == (True, None)
        assert (other.organization.name, other.role, other.proposed_at) == ("other", Role.ADMINISTRATOR, START)


def test_the_home_organization_stands_first(database, chance):
    with database.begin() as transaction:
        jane = add_person(transaction, "jane", chance)
        for name in ("0", "z"):
            store.add(transaction, Organization(name, name, START))
            decide(transaction, name, 1, STRICT)
            store.join(transaction, jane.id, name, Role.MEMBER, is_primary=False)
        decide(transaction, jane.home_organization, 1, replace(STANDARD, sms_countries=("DE",)))
        assert store.policies_of_person(transaction, jane.id, START)[0].sms_countries == ("DE",)
        assert store.policy_of_person(transaction, jane.id, START).password.min_length == 20
