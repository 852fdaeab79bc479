"""How long a browser stays signed in, as an organization sets it."""

from dataclasses import fields

import pytest

from app.records.organizations.model import Policy, SessionPolicy
from app.records.sessions import store as sessions
from app.records.sessions.model import LONGEST, LONGEST_IDLE
from tests.journeys import behind

PHONE = "+491700000001"
HOME = "/authenticators"
SHORT = Policy(session=SessionPolicy(idle_minutes=5, hours=1))
LONG = Policy(session=SessionPolicy(idle_minutes=60, hours=24))


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE)


@pytest.fixture
def browser(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    return browser


@pytest.mark.parametrize(("policy", "minutes"), [(SHORT, 5), (Policy(), 15), (LONG, 60)])
def test_a_session_that_is_not_used_ends_after_the_minutes_of_the_policy(one_portal, browser, policy, minutes):
    one_portal.decide(policy)
    one_portal.base.clock.advance(60 * minutes - 1)
    assert browser.get(HOME).status_code == 200
    one_portal.base.clock.advance(60 * minutes)
    assert browser.get(HOME).location == "/sign-in"


@pytest.mark.parametrize(("policy", "hours"), [(SHORT, 1), (Policy(), 8), (LONG, 24)])
def test_a_session_that_is_used_all_the_time_ends_after_the_hours_of_the_policy(one_portal, browser, policy, hours):
    one_portal.decide(policy)
    for _ in range(hours * 15 - 1):
        one_portal.base.clock.advance(240)
        assert browser.get(HOME).status_code == 200
    one_portal.base.clock.advance(240)
    assert browser.get(HOME).location == "/sign-in"


def test_a_policy_that_shortens_ends_living_sessions_at_their_next_request(one_portal, browser):
    one_portal.base.clock.advance(600)
    one_portal.decide(SHORT)
    assert browser.get(HOME).location == "/sign-in"


def test_the_page_warns_two_minutes_before_the_end_that_the_policy_sets(one_portal, browser):
    one_portal.decide(SHORT)
    assert 'data-idle="300"' in browser.get(HOME).text
    browser.token()
    assert browser.post("/sessions/extend").json["idle_in"] == 300


def test_the_list_of_sessions_shows_only_those_that_live_by_the_policy(one_portal, jane, browser):
    one_portal.base.clock.advance(400)
    other = one_portal.browser()
    other.sign_in(one_portal, "jane")
    one_portal.decide(SHORT)
    assert other.get("/sessions").text.count('name="name"') == 0
    assert other.post("/sessions", all="yes").status_code == 409


def test_a_change_is_refused_to_a_session_that_the_policy_ended(one_portal, browser):
    browser.get("/authenticators/recovery-codes")
    one_portal.decide(SHORT)
    one_portal.base.clock.advance(300)
    assert browser.post("/authenticators/recovery-codes").status_code == 409


def test_the_strictest_of_several_organizations_counts(one_portal, jane, browser):
    one_portal.decide(LONG)
    one_portal.decide(SHORT, "other")
    behind.join(one_portal, jane, "other")
    one_portal.base.clock.advance(300)
    assert browser.get(HOME).location == "/sign-in"


def test_an_organization_that_somebody_has_not_accepted_ends_nothing(one_portal, jane, browser):
    one_portal.decide(SHORT, "other")
    behind.join(one_portal, jane, "other", proposed_at=1)
    one_portal.base.clock.advance(300)
    assert browser.get(HOME).status_code == 200


def test_housekeeping_leaves_what_a_policy_still_lets_live_and_takes_what_none_does(one_portal, browser):
    one_portal.decide(LONG)
    for _ in range(24):
        one_portal.base.clock.advance(3_599)
        with one_portal.base.database.begin() as transaction:
            assert sessions.forget(transaction, one_portal.base.clock.now()) == 0
        assert browser.get(HOME).status_code == 200
    one_portal.base.clock.advance(60)
    with one_portal.base.database.begin() as transaction:
        assert sessions.forget(transaction, one_portal.base.clock.now()) == 1


def test_what_housekeeping_waits_for_is_the_most_that_a_policy_may_allow():
    most = {one.name: one.metadata["most"] for one in fields(SessionPolicy)}
    assert (60 * most["idle_minutes"], 3_600 * most["hours"]) == (LONGEST_IDLE, LONGEST)
