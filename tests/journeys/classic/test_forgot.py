"""Who gets a link and who a letter, how many of them, and where there is no such page."""

import pytest

from app.records.organizations.model import STANDARD
from tests.journeys import behind
from tests.journeys.classic.conftest import CLASSIC, DAY, EMAIL, FORGOT, PHONE, answer, ask, letters, link, links, reset
from tests.portal import opened

CLICK = "Forgot Password? Click Here"


# ---- where it shows


def test_where_an_organization_is_classic_the_pages_of_sign_in_lead_there(one_classic):
    browser = one_classic.browser()
    assert f'<a href="{FORGOT}">{CLICK}</a>' in browser.get("/sign-in").text
    browser.post("/sign-in", user_id="jane")
    assert f'<a href="{FORGOT}">{CLICK}</a>' in browser.get("/sign-in/password").text
    assert CLICK in browser.post("/sign-in/password", password="wrong").text
    page = browser.get(FORGOT).text
    assert 'value="jane"' in page
    assert "Send My Reset Link" in page


def test_one_classic_organization_of_several_is_enough_and_it_shows_to_everybody(one_portal):
    one_portal.add("kurt", home="elsewhere")
    one_portal.decide(CLASSIC, "elsewhere")
    browser = one_portal.browser()
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="nobody")
    assert CLICK in browser.get("/sign-in/password").text


def test_where_none_is_classic_nothing_shows_and_every_door_leads_to_recovery(one_portal):
    one_portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    browser = one_portal.browser()
    assert CLICK not in browser.get("/sign-in").text
    browser.post("/sign-in", user_id="jane")
    assert CLICK not in browser.get("/sign-in/password").text
    for path in (FORGOT, f"{FORGOT}/{'x' * 43}"):
        assert browser.get(path).location == "/recovery"
    answer = browser.post(FORGOT, user_id="jane")
    assert (answer.status_code, 'href="/recovery"' in answer.text) == (409, True)
    assert browser.post(f"{FORGOT}/{'x' * 43}").status_code == 409
    assert behind.queued(one_portal, "reset_link") == []


def test_words_of_an_organization_that_spell_a_profile_are_none(portal):
    from dataclasses import replace

    from app.records.organizations import store as organizations
    from app.records.organizations.model import PasswordPolicy, Profile, SupportLine, SupportPolicy

    words = PasswordPolicy(context_words=('"profile":"classic"',))
    lines = SupportPolicy(lines=(SupportLine(phone="1", note='","profile":"classic"'),))
    portal.add("jane", email=EMAIL)
    portal.decide(replace(STANDARD, password=words, support=lines))
    with portal.base.database.read() as looking:
        now = portal.base.clock.now()
        assert not organizations.any_of(looking, Profile.CLASSIC, now)
        assert organizations.any_of(looking, Profile.STANDARD, now)
    portal.decide(replace(CLASSIC, password=replace(CLASSIC.password, context_words=words.context_words)))
    with portal.base.database.read() as looking:
        assert organizations.any_of(looking, Profile.CLASSIC, now)
        assert not organizations.any_of(looking, Profile.STANDARD, now)


def test_a_policy_that_begins_is_seen_within_half_a_minute(one_portal):
    one_portal.add("jane", email=EMAIL)
    assert one_portal.browser().get(FORGOT).location == "/recovery"
    one_portal.decide(CLASSIC)
    one_portal.base.clock.advance(30)
    assert one_portal.browser().get(FORGOT).status_code == 200
    one_portal.decide(STANDARD)
    one_portal.base.clock.advance(30)
    assert one_portal.browser().get(FORGOT).location == "/recovery"


# ---- who gets what


def mailed(portal):
    """The way that the one letter names."""
    [text] = letters(portal)
    if links(portal):
        return "link"
    if "/recovery" not in text:
        return "administrator"
    return "lapsed" if "was not used in its time" in text else "recovery"


def classic_person(portal, **options):
    portal.decide(CLASSIC)
    return portal.add("jane", **{"phone": PHONE, "email": EMAIL, "app": False, **options})


def test_a_phone_beside_the_mailbox_earns_a_link(one_portal):
    classic_person(one_portal)
    ask(one_portal)
    assert mailed(one_portal) == "link"


def test_saved_codes_beside_the_mailbox_earn_a_link(one_portal):
    one_portal.add_codes(classic_person(one_portal, phone=""))
    ask(one_portal)
    assert mailed(one_portal) == "link"


def test_saved_codes_that_still_wait_earn_no_link_but_those_before_them_do(one_portal):
    """A reset is a recovery, which no new set serves for a day (security rule 6)."""
    jane = classic_person(one_portal, phone="")
    one_portal.add_codes(jane, usable_in=DAY)
    ask(one_portal)
    assert mailed(one_portal) == "administrator"
    one_portal.base.clock.advance(DAY)
    one_portal.add_codes(jane, usable_in=DAY)
    ask(one_portal)
    assert len(links(one_portal)) == 1


def test_a_security_answer_beside_the_mailbox_earns_a_link(one_portal):
    answer(one_portal, classic_person(one_portal, phone=""))
    ask(one_portal)
    assert mailed(one_portal) == "link"


def test_nothing_beside_the_mailbox_earns_a_letter_alone(one_portal):
    classic_person(one_portal, phone="")
    ask(one_portal)
    assert mailed(one_portal) == "administrator"
    assert behind.tables(one_portal)["reset_links"] == []


@pytest.mark.parametrize("state", ["active", "pending", "disabled", "locked"])
def test_whoever_has_an_app_in_whatever_state_recovers_with_two_factors(one_portal, state):
    from sqlalchemy import update

    from app.factors.totp.store import apps

    jane = classic_person(one_portal, app=True)
    with one_portal.base.database.begin() as transaction:
        values = {"usable_from": one_portal.base.clock.now() + DAY} if state == "pending" else {"state": state}
        transaction.execute(update(apps).values(**values))
    ask(one_portal)
    assert mailed(one_portal) == ("recovery" if state == "active" else "administrator")
    assert behind.reasons(one_portal, jane.id, "authn_reset_link_sent") == []


def test_a_removed_app_is_none(one_portal):
    from sqlalchemy import update

    from app.factors.totp.store import apps

    classic_person(one_portal, app=True)
    with one_portal.base.database.begin() as transaction:
        transaction.execute(update(apps).values(state="removed"))
    ask(one_portal)
    assert mailed(one_portal) == "link"


def test_of_a_standard_organization_nobody_gets_a_link(one_portal):
    one_portal.decide(CLASSIC, "elsewhere")
    one_portal.add_codes(one_portal.add("jane", phone=PHONE, email=EMAIL, app=False))
    ask(one_portal)
    assert mailed(one_portal) == "recovery"


def test_of_a_classic_and_a_standard_organization_nobody_gets_a_link_before_which_they_accepted_it(one_portal):
    jane = classic_person(one_portal)
    behind.join(one_portal, jane, "proposed", proposed_at=one_portal.base.clock.now())
    ask(one_portal)
    assert mailed(one_portal) == "link"
    behind.join(one_portal, jane, "standard")
    ask(one_portal)
    assert len(letters(one_portal)) == 2
    assert len(links(one_portal)) == 1


def test_for_a_day_after_a_recovery_a_phone_and_an_answer_earn_no_link(one_portal):
    from app.records.people import store as people

    jane = classic_person(one_portal)
    answer(one_portal, jane)
    with one_portal.base.database.begin() as transaction:
        people.mark_recovered(transaction, jane.id, one_portal.base.clock.now())
    ask(one_portal)
    assert mailed(one_portal) == "administrator"
    one_portal.base.clock.advance(DAY)
    ask(one_portal)
    assert len(links(one_portal)) == 1


def test_somebody_without_a_password_has_none_to_forget(one_portal):
    classic_person(one_portal, password="")
    ask(one_portal)
    assert mailed(one_portal) == "administrator"


def test_an_unconfirmed_mailbox_gets_nothing_and_neither_does_nobody(one_portal):
    one_portal.decide(CLASSIC)
    one_portal.invite("nina", phone=PHONE, email="nina@example.org")
    one_portal.add("omar", phone=PHONE, app=False)
    for user_id in ("nina", "omar", "nobody"):
        assert ask(one_portal, user_id).location == f"{FORGOT}?news=asked"
    assert behind.queued(one_portal, "reset_link") == []
    assert behind.tables(one_portal)["reset_links"] == []


# ---- how many


def ask_for_a_lane(portal, user_id="jane", **environ):
    browser = portal.browser(**environ)
    browser.get("/recovery/link")
    browser.post("/recovery/link", user_id=user_id)


def lanes(portal):
    portal.deliver()
    return [mail.text for mail in portal.mailbox.to(EMAIL) if "/recovery/link/" in mail.text]


def all_day(portal, asked):
    for number in range(20):
        asked(portal, REMOTE_ADDR=f"198.51.{number}.1")
        portal.base.clock.advance(301)


def test_at_most_three_in_a_quarter_of_an_hour_and_ten_a_day(one_classic):
    for _ in range(4):
        ask(one_classic)
    assert len(links(one_classic)) == 3
    for number in range(20):
        one_classic.base.clock.advance(901)
        ask(one_classic, REMOTE_ADDR=f"198.51.{number}.1")
    assert len(links(one_classic)) == 10


def test_strangers_who_ask_for_resets_keep_no_lane_from_its_owner(one_portal):
    """Whoever gets a letter without a link has nothing else that strangers cannot spend (security rule 1)."""
    one_portal.add("kurt", home="elsewhere")
    one_portal.decide(CLASSIC, "elsewhere")
    one_portal.add("jane", phone=PHONE, email=EMAIL)
    all_day(one_portal, ask)
    assert (len(letters(one_portal)), links(one_portal)) == (10, [])
    ask_for_a_lane(one_portal)
    assert len(lanes(one_portal)) == 1


def test_strangers_who_ask_for_lanes_keep_no_reset_from_its_owner(one_classic):
    all_day(one_classic, ask_for_a_lane)
    assert len(lanes(one_classic)) == 10
    assert link(one_classic)


def test_of_the_messages_in_an_hour_pins_keep_half(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_messages_per_hour=6) as portal:
        portal.decide(CLASSIC)
        for number in range(8):
            portal.add(f"p{number}", phone=f"+4917000000{number}0", email=f"p{number}@example.org", app=False)
            assert ask(portal, f"p{number}").status_code == 303
        assert len(behind.queued(portal, "reset_link")) == 3


def test_starts_from_one_address_are_counted(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_starts_per_address=3) as portal:
        portal.decide(CLASSIC)
        answers = [ask(portal, f"p{number}").status_code for number in range(4)]
        assert answers == [303, 303, 303, 429]


def test_a_link_of_a_lane_makes_no_password_and_a_reset_link_opens_no_lane(one_classic):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(FORGOT)
    assert browser.post(path.replace(FORGOT, "/recovery/link")).status_code == 409
    browser.get("/recovery/link")
    browser.post("/recovery/link", user_id="jane")
    one_classic.deliver()
    [lane] = [mail.text for mail in one_classic.mailbox.to(EMAIL) if "/recovery/link/" in mail.text]
    token = lane.split("/recovery/link/")[1][:43]
    assert browser.post(f"{FORGOT}/{token}").status_code == 409
    assert browser.post(path).status_code == 303


def test_whoever_lost_the_page_asks_again(one_classic):
    first = reset(one_classic)
    second = reset(one_classic)
    assert not behind.signs_in(one_classic, "jane", first)
    assert behind.signs_in(one_classic, "jane", second)
