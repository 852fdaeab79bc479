"""Who is let in as staff, whom they see, and on whom they may act (security rule 4)."""

import pytest

from app.foundation.refusals import Code, Forbidden, OutOfOrder
from app.foundation.visit import Visit
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.wiring import build_steps
from tests.cast import organization
from tests.doors import EMAIL, PHONE
from tests.portal import Browser, Portal

VISIT = Visit("192.0.2.10", "en", "request", browser="test")


def cookie_of(portal: Portal, user_id: str) -> str:
    browser = Browser(portal.web)
    browser.sign_in(portal, user_id)
    cookie = browser.cookie("keyturn-session")
    assert cookie
    return cookie


@pytest.fixture
def staffing(one_portal):
    return build_steps(one_portal.base, one_portal.means).staffing


def test_a_member_is_no_staff(one_portal, staffing):
    one_portal.add("jane", phone=PHONE)
    with pytest.raises(Forbidden) as refused:
        staffing.support(cookie_of(one_portal, "jane"), VISIT)
    assert refused.value.code is Code.NOT_STAFF


def test_an_agent_is_no_administrator_and_an_administrator_is_both(one_portal, staffing):
    one_portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    one_portal.add("ada", phone=PHONE, role=Role.ADMINISTRATOR)
    agent, administrator = cookie_of(one_portal, "sam"), cookie_of(one_portal, "ada")
    assert staffing.support(agent, VISIT).person.user_id == "sam"
    with pytest.raises(Forbidden):
        staffing.administrator(agent, VISIT)
    assert staffing.support(administrator, VISIT).person.user_id == "ada"
    assert staffing.administrator(administrator, VISIT).present.role is Role.ADMINISTRATOR


def test_a_role_that_waits_to_be_accepted_opens_nothing(one_portal, staffing):
    """Security rule 12."""
    jane = one_portal.add("jane", phone=PHONE)
    with one_portal.base.database.begin() as transaction:
        other = organization(transaction, one_portal.base.chance, "other")
        organizations.join(transaction, jane.id, other.id, Role.ADMINISTRATOR, is_primary=False, proposed_at=1)
    with pytest.raises(Forbidden):
        staffing.support(cookie_of(one_portal, "jane"), VISIT)


def test_staff_who_signed_in_with_a_mailed_pin_are_asked_for_more(one_portal, staffing):
    """Sign-in by staff always needs two factors."""
    one_portal.add("sam", email=EMAIL, role=Role.SUPPORT)
    browser = Browser(one_portal.web)
    browser.sign_in_by_pin(one_portal, "sam", EMAIL)
    with pytest.raises(OutOfOrder) as refused:
        staffing.support(browser.cookie("keyturn-session"), VISIT)
    assert refused.value.code is Code.LOWER_LEVEL


def test_staff_see_their_own_organization_only_and_act_only_on_its_members(one_portal, staffing):
    portal = one_portal
    portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    people = {
        "sam": None,
        "jane": portal.add("jane"),
        "ada": portal.add("ada", role=Role.ADMINISTRATOR),
        "tess": portal.add("tess", role=Role.SUPPORT),
        "far": portal.add("far", home="other"),
        "guest": portal.add("guest", home="other"),
        "rising": portal.add("rising"),
    }
    with portal.base.database.begin() as transaction:
        home = organization(transaction, portal.base.chance)
        other = organization(transaction, portal.base.chance, "other")
        organizations.join(transaction, people["guest"].id, home.id, Role.MEMBER, is_primary=False)
        organizations.join(transaction, people["far"].id, home.id, Role.MEMBER, is_primary=False, proposed_at=1)
        organizations.join(transaction, people["rising"].id, other.id, Role.SUPPORT, is_primary=False, proposed_at=1)
    staff = staffing.support(cookie_of(portal, "sam"), VISIT)
    with portal.base.database.read() as looking:
        seen = {name for name in (*people, "nobody", "", "x" * 300) if staffing.visible(looking, staff, name)}
        assert seen == {"sam", "jane", "ada", "tess", "guest", "rising"}
        allowed = {name for name in seen if staffing.may_act_on(looking, staff, staffing.visible(looking, staff, name))}
        assert allowed == {"jane"}


def test_a_role_that_was_taken_away_since_the_page_was_opened_changes_nothing(one_portal, staffing):
    portal = one_portal
    sam = portal.add("sam", phone=PHONE, role=Role.SUPPORT)
    staff = staffing.support(cookie_of(portal, "sam"), VISIT)
    with portal.base.database.begin() as transaction:
        staffing.hold(transaction, staff, Role.SUPPORT)
        with pytest.raises(Forbidden):
            staffing.hold(transaction, staff, Role.ADMINISTRATOR)
        transaction.execute(
            organizations.memberships.update()
            .where(organizations.memberships.c.person_id == sam.id)
            .values(role=Role.MEMBER.value)
        )
        with pytest.raises(Forbidden):
            staffing.hold(transaction, staff, Role.SUPPORT)
