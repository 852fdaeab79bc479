"""Two organizations with administrators and people of each."""

from dataclasses import dataclass, field

import pytest

from app.records.organizations import store as organizations
from app.records.organizations.model import Organization, Role
from app.records.people.model import Person
from tests.cast import organization
from tests.portal import Browser, Portal

MAIL = {name: f"{name}@example.org" for name in ("ada", "bob", "jane", "sam", "far", "eve", "guest")}


@dataclass
class Two:
    """ada and bob are administrators of `default`, eve of `other`. guest is at home in `other` and a member here."""

    portal: Portal
    here: Organization
    other: Organization
    people: dict[str, Person] = field(default_factory=dict)

    def browser(self, user_id: str) -> Browser:
        """Signed in, with a proof that is fresh."""
        browser = self.portal.browser()
        browser.sign_in(self.portal, user_id)
        browser.get("/profile")
        return browser

    def told(self, user_id: str) -> list[str]:
        """The subjects of what was mailed to somebody."""
        self.portal.deliver()
        return [letter.subject for letter in self.portal.mailbox.to(MAIL[user_id])]


def two_organizations(portal: Portal) -> Two:
    """The cast."""
    with portal.base.database.begin() as transaction:
        here = organization(transaction, portal.base.chance)
        other = organization(transaction, portal.base.chance, "other")
    two = Two(portal, here, other)
    for name, role, home in (
        ("ada", Role.ADMINISTRATOR, "default"),
        ("bob", Role.ADMINISTRATOR, "default"),
        ("sam", Role.SUPPORT, "default"),
        ("jane", Role.MEMBER, "default"),
        ("eve", Role.ADMINISTRATOR, "other"),
        ("far", Role.MEMBER, "other"),
        ("guest", Role.MEMBER, "other"),
    ):
        two.people[name] = portal.add(name, email=MAIL[name], role=role, home=home)
    with portal.base.database.begin() as transaction:
        organizations.join(transaction, two.people["guest"].id, here.id, Role.MEMBER, is_primary=False)
    return two


@pytest.fixture
def two(one_portal: Portal) -> Two:
    return two_organizations(one_portal)


@pytest.fixture
def each_two(portal: Portal) -> Two:
    return two_organizations(portal)
