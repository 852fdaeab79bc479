"""The classic way of a forgotten password, through the doors: link, temporary password, second proof, new password."""

import re
import threading

import pytest
from sqlalchemy import select, update

from app.factors.password import rules
from app.factors.password.store import mark_compromised, passwords
from app.records.flows.store import grants
from app.records.people.store import people
from app.records.sessions.store import api_tokens
from tests.journeys import behind
from tests.journeys.classic.conftest import (
    CLASSIC,
    DAY,
    EMAIL,
    FORGOT,
    OAK,
    PHONE,
    answer,
    ask,
    link,
    links,
    make,
    on_page,
    reset,
)
from tests.meanwhile import before_writing, dying_before
from tests.portal import NEW_PASSWORD, PASSWORD

NEW, ASK = "/sign-in/new-password", "/sign-in/security-question"
OWN = "Quite another passphrase 7"


def record_of(portal):
    with portal.base.database.read() as looking:
        return portal.means.passwords.find(looking, portal.jane.id)


def recovered_at(portal):
    with portal.base.database.read() as looking:
        return looking.execute(select(people.c.recovered_at).where(people.c.id == portal.jane.id)).scalar_one()


def signs_in_by_sms(portal, browser, password):
    browser.sign_in_to_verify("jane", password)
    assert browser.post("/sign-in/alternative", channel="sms").location == "/sign-in/pin"
    browser.get("/sign-in/pin")
    portal.deliver()
    return browser.post("/sign-in/pin", pin=behind.pins_by_sms(portal, PHONE)[-1])


def to_new_password(portal, browser, temporary):
    """Sign in with it, and with a PIN by SMS."""
    answer = signs_in_by_sms(portal, browser, temporary)
    assert answer.location == NEW, answer.text
    return browser.get(NEW)


def test_a_forgotten_password_becomes_a_temporary_one_and_then_a_new_one(classic):
    temporary = reset(classic)
    owner = classic.browser()
    page = to_new_password(classic, owner, temporary)
    assert "for a day after that only an app or a saved recovery code signs you in again" in page.text
    assert "temporary password" in page.text
    assert owner.post(NEW, new_password=OWN, confirm_password=OWN).location == ASK
    assert owner.get("/authenticators").location == "/sign-in"
    owner.get(ASK)
    assert owner.post(ASK, question="first_concert", answer="The Beatles").location == "/authenticators"
    assert owner.get("/authenticators").status_code == 200
    assert recovered_at(classic) == classic.base.clock.now()
    assert record_of(classic).good_until is None
    assert not behind.signs_in(classic, "jane", temporary)
    assert not behind.signs_in(classic, "jane", PASSWORD)
    assert behind.signs_in(classic, "jane", OWN)
    assert behind.reasons(classic, classic.jane.id, "authn_reset_link_sent") == ["link"]
    assert behind.happened(classic, classic.jane.id, "authn_temporary_password_created") == 1
    assert behind.reasons(classic, classic.jane.id, "authn_password_change") == ["reset"]


def test_the_new_password_counts_as_a_recovery(one_classic):
    answer(one_classic)
    owner = one_classic.browser()
    to_new_password(one_classic, owner, reset(one_classic))
    owner.post(NEW, new_password=OWN, confirm_password=OWN)
    assert owner.get("/authenticators/app/new").location == "/authenticators"  # no factor changes for a day
    again = one_classic.browser()
    again.sign_in_to_verify("jane", OWN)
    told = again.get("/sign-in/verify").text
    assert "You have neither, so please sign in again after that." in told
    assert re.search(r"Until <time [^>]+>", told)
    assert again.post("/sign-in/alternative", channel="sms").status_code in {303, 422}
    one_classic.deliver()
    assert len(behind.pins_by_sms(one_classic, PHONE)) == 1  # that of the first sign-in


def test_the_temporary_password_keeps_every_rule_and_can_be_read(one_classic):
    seen = {reset(one_classic) for _ in range(3)}
    assert len(seen) == 3
    for temporary in seen:
        assert len(temporary) >= 15
        assert rules.classes(temporary) == 4
        assert {len(group) for group in temporary.split("-")} == {4}
        assert not set(temporary.lower()) & set("lo01")


@pytest.mark.parametrize("least", [8, 15, 19, 20, 24, 25, 40, 63, 64])
def test_a_temporary_password_is_as_long_as_the_policy_asks(least):
    from dataclasses import replace

    policy = replace(CLASSIC.password, min_length=least)
    text = rules.temporary(bytes(range(rules.temporary_size(policy))))
    assert max(least, 15) <= len(text) <= 64


def test_a_get_of_the_link_changes_nothing_however_often(one_classic):
    path = link(one_classic)
    browser = one_classic.browser()
    before = behind.tables(one_classic)
    for _ in range(3):
        page = browser.get(path)
        assert (page.status_code, f'action="{path}"' in page.text) == (200, True)
    assert behind.tables(one_classic) == before
    assert behind.signs_in(one_classic, "jane", PASSWORD)


def test_it_is_shown_once_by_the_browser_that_made_it_and_a_reload_survives(one_classic):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    shown_at = browser.post(path).location
    page = browser.get(shown_at)
    temporary = on_page(page.text)
    assert page.headers["Cache-Control"] == "no-store"
    assert "Use the web portal first" in page.text
    again = browser.get(shown_at)
    assert (again.status_code, temporary in again.text) == (200, False)
    assert on_page(one_classic.browser().get(shown_at).text) is None
    assert browser.post(path).status_code == 409
    assert browser.get(path).location == f"{FORGOT}?news=over"
    assert temporary not in repr(behind.tables(one_classic))


def test_a_page_that_was_not_reached_within_ten_minutes_shows_nothing(one_classic):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    shown_at = browser.post(path).location
    one_classic.base.clock.advance(600)
    assert on_page(browser.get(shown_at).text) is None


def test_neither_link_nor_password_stands_in_a_log_a_redirect_or_a_message(one_classic, capfd):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    answer = browser.post(path)
    temporary = on_page(browser.get(answer.location).text)
    one_classic.deliver()
    said = [mail.text for mail in one_classic.mailbox.to(EMAIL)] + [sms.body for sms in one_classic.phone.to(PHONE)]
    out = capfd.readouterr()
    assert temporary not in out.out + out.err + answer.location + repr(said)
    assert path.rpartition("/")[2] not in out.out + out.err + answer.location + repr(behind.tables(one_classic))


def test_of_many_presses_at_once_one_makes_a_password(classic):
    path = link(classic)
    browsers = [classic.browser(REMOTE_ADDR=f"203.0.113.{n}") for n in range(8)]
    for browser in browsers:
        browser.get(path)
    answers, barrier = [], threading.Barrier(8)

    def press(browser):
        barrier.wait(30)
        answers.append((browser, browser.post(path)))

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status_code for _, answer in answers) == [303] + [409] * 7
    [(winner, answer)] = [one for one in answers if one[1].status_code == 303]
    assert behind.signs_in(classic, "jane", on_page(winner.get(answer.location).text))
    assert behind.happened(classic, classic.jane.id, "authn_temporary_password_created") == 1


@pytest.mark.parametrize("statement", ["UPDATE passwords", "INSERT INTO outbox", "INSERT INTO audit_events"])
def test_whoever_dies_in_between_has_changed_nothing(one_classic, statement):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    before = behind.tables(one_classic)
    with pytest.raises(KeyboardInterrupt), dying_before(one_classic.base.database, statement):
        browser.post(path)
    assert behind.tables(one_classic) == before
    assert behind.signs_in(one_classic, "jane", make(one_classic, path))


def _meanwhile_an_app(portal):
    _app_bound(portal)


def _meanwhile_another_password(portal):
    _restamped(portal)


def _meanwhile_no_mailbox(portal):
    _no_mailbox(portal)


@pytest.mark.parametrize(
    "deed",
    [_meanwhile_an_app, _meanwhile_another_password, _meanwhile_no_mailbox],
    ids=lambda deed: deed.__name__.removeprefix("_meanwhile_"),
)
def test_what_happens_while_the_password_is_hashed_counts(one_classic, deed):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    with before_writing(one_classic.base.database, lambda: deed(one_classic)):
        assert browser.post(path).status_code == 409
    assert record_of(one_classic).good_until is None
    assert behind.happened(one_classic, one_classic.jane.id, "authn_temporary_password_created") == 0


def test_everything_that_was_open_ends(one_classic):
    portal = one_classic
    answer(portal)
    owner = portal.browser()
    owner.sign_in_by_pin(portal, "jane", PHONE)
    portal.base.clock.advance(901)  # the quarter of an hour of messages
    with portal.base.database.begin() as transaction:
        transaction.execute(
            api_tokens.insert().values(
                id="t" * 64, person_id=portal.jane.id, stamp=portal.jane.stamp, issued_at=0, expires_at=2**40
            )
        )
    half = portal.browser()
    half.sign_in_to_verify("jane")
    recovering = portal.browser()
    recovering.recover_to_pin_by_code("jane", portal.add_codes(portal.jane)[0])
    portal.deliver()
    recovering.post("/recovery/pin", pin=behind.pins_by_sms(portal, PHONE)[-1])
    assert recovering.get("/recovery/password").status_code == 200
    reset(portal)
    assert recovering.get("/recovery/password").location == "/recovery"
    with portal.base.database.read() as looking:
        living = grants.c.spent_at.is_(None), grants.c.expires_at > portal.base.clock.now()
        assert looking.execute(select(grants.c.id).where(*living)).all() == []
    assert owner.get("/authenticators").location == "/sign-in"
    assert half.get("/sign-in/verify").status_code == 303
    tables = behind.tables(portal)
    assert tables["known_browsers"] == tables["api_tokens"] == tables["sessions"] == []


def test_the_owner_is_told_on_every_channel_with_a_link_that_undoes(classic):
    reset(classic)
    classic.deliver()
    [mail] = [one.text for one in classic.mailbox.to(EMAIL) if "a temporary password was made" in one.text]
    [text] = [one.body for one in classic.phone.to(PHONE) if "temporary password" in one.body]
    assert "/undo/" in mail
    assert "/undo/" in text


def test_the_lock_of_failed_sign_ins_does_not_hold_against_a_new_password(one_classic):
    one_classic.lock(one_classic.jane)
    temporary = reset(one_classic)
    assert behind.signs_in(one_classic, "jane", temporary)


# ---- signing in with it


def test_with_it_no_pin_goes_to_a_mailbox(one_classic):
    owner = one_classic.browser()
    owner.sign_in_to_verify("jane", reset(one_classic))
    page = owner.get("/sign-in/verify").text
    assert 'value="sms"' in page
    assert 'value="email"' not in page
    assert owner.post("/sign-in/alternative", channel="email").status_code == 422
    owner.post("/sign-in/alternative", channel="sms")
    assert 'value="email"' not in owner.get("/sign-in/pin").text
    one_classic.base.clock.advance(31)
    assert owner.post("/sign-in/alternative", channel="email").status_code == 422
    one_classic.deliver()
    assert behind.pins_by_email(one_classic, EMAIL) == []


def test_with_it_no_pin_goes_to_a_mailbox_where_it_is_known_to_others_either(one_classic):
    temporary = reset(one_classic)
    with one_classic.base.database.begin() as transaction:
        assert mark_compromised(transaction, one_classic.jane.id)
    thief = one_classic.browser()
    thief.sign_in_to_verify("jane", temporary)
    assert thief.post("/sign-in/alternative", channel="email").status_code == 422


def test_with_it_a_saved_code_does(one_portal):
    one_portal.decide(CLASSIC)
    one_portal.jane = one_portal.add("jane", email=EMAIL, app=False)
    codes = one_portal.add_codes(one_portal.jane)
    owner = one_portal.browser()
    owner.sign_in_to_verify("jane", reset(one_portal))
    owner.get("/sign-in/code")
    assert owner.post("/sign-in/code", code=codes[0]).location == NEW


def test_with_it_a_saved_code_that_still_waits_proves_nothing_and_one_of_the_set_before_does(one_portal):
    """Or whoever had a session for a moment, and reads the mail, would be in at once (security rule 6)."""
    one_portal.decide(CLASSIC)
    one_portal.jane = one_portal.add("jane", email=EMAIL, app=False)
    earlier = one_portal.add_codes(one_portal.jane)
    new = one_portal.add_codes(one_portal.jane, usable_in=DAY)
    thief = one_portal.browser()
    thief.sign_in_to_verify("jane", reset(one_portal))
    thief.get("/sign-in/code")
    assert thief.post("/sign-in/code", code=new[0]).status_code == 422
    assert thief.post("/sign-in/code", code=earlier[0]).location == NEW


def test_it_goes_around_no_app_that_came_meanwhile(one_classic):
    answer(one_classic)
    temporary = reset(one_classic)
    _app_bound(one_classic)  # which waits for a day still
    owner = one_classic.browser()
    owner.sign_in_to_verify("jane", temporary)
    page = owner.get("/sign-in/verify").text
    assert 'name="code"' in page
    assert 'name="channel"' not in page
    assert owner.post("/sign-in/alternative", channel="sms").status_code == 422
    assert owner.get("/sign-in/security-answer").location == "/sign-in/verify"


def test_with_it_a_security_answer_does_where_there_is_nothing_else(one_portal):
    one_portal.decide(CLASSIC)
    one_portal.jane = one_portal.add("jane", email=EMAIL, app=False)
    answer(one_portal)
    owner = one_portal.browser()
    owner.sign_in_to_verify("jane", reset(one_portal))
    page = owner.get("/sign-in/verify").text
    assert "/sign-in/security-answer" in page
    assert 'name="channel"' not in page
    owner.get("/sign-in/security-answer")
    assert owner.post("/sign-in/security-answer", answer="wrong one").status_code == 422
    assert owner.post("/sign-in/security-answer", answer=OAK).location == NEW


def test_nothing_opens_before_a_new_password(one_classic):
    owner = one_classic.browser()
    to_new_password(one_classic, owner, reset(one_classic))
    for path in ("/authenticators", "/activity", "/sessions", "/profile"):
        assert owner.get(path).location == "/sign-in"


def test_it_can_be_neither_kept_nor_used_again_and_the_forgotten_one_is_gone(one_classic):
    answer(one_classic)
    temporary = reset(one_classic)
    owner = one_classic.browser()
    to_new_password(one_classic, owner, temporary)
    for refused in (temporary, PASSWORD):
        assert owner.post(NEW, new_password=refused, confirm_password=refused).status_code == 422
    owner.post(NEW, new_password=OWN, confirm_password=OWN)
    one_classic.base.clock.advance(2 * DAY)
    owner = one_classic.browser()
    signs_in_by_sms(one_classic, owner, OWN)
    owner.get("/authenticators/password")
    fields = {"current_password": OWN, "new_password": temporary, "confirm_password": temporary}
    assert owner.post("/authenticators/password", **fields).status_code == 422


def test_without_a_history_the_forgotten_one_is_refused_all_the_same(one_portal):
    from dataclasses import replace

    one_portal.decide(replace(CLASSIC, password=replace(CLASSIC.password, history=0, classes=0)))
    one_portal.jane = one_portal.add("jane", phone=PHONE, email=EMAIL, app=False)
    assert behind.signs_in(one_portal, "jane", PASSWORD)  # which fills in its digest
    owner = one_portal.browser()
    to_new_password(one_portal, owner, reset(one_portal))
    assert owner.post(NEW, new_password=PASSWORD, confirm_password=PASSWORD).status_code == 422
    assert owner.post(NEW, new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).status_code == 303


# ---- what ends a link


def test_a_link_works_for_a_day(one_classic):
    path = link(one_classic)
    one_classic.base.clock.advance(DAY - 1)
    browser = one_classic.browser()
    assert browser.get(path).status_code == 200
    one_classic.base.clock.advance(1)
    assert browser.get(path).location == f"{FORGOT}?news=over"
    assert browser.post(path).status_code == 409


def test_the_first_link_that_is_used_ends_the_others(one_classic):
    ask(one_classic)
    ask(one_classic)
    one, other = links(one_classic)
    assert make(one_classic, other)
    assert one_classic.browser().post(one).status_code == 409


def _another_password(portal):
    with portal.base.database.begin() as transaction:
        transaction.execute(update(passwords).values(changed_at=0, must_change=True))
    owner = portal.browser()
    to_new_password(portal, owner, PASSWORD)
    assert owner.post(NEW, new_password=OWN, confirm_password=OWN).status_code == 303


def _restamped(portal):
    with portal.base.database.begin() as transaction:
        transaction.execute(update(people).where(people.c.id == portal.jane.id).values(stamp="another"))


def _frozen(portal):
    with portal.base.database.begin() as transaction:
        transaction.execute(update(people).where(people.c.id == portal.jane.id).values(status="frozen"))


def _app_bound(portal):
    now = portal.base.clock.now()
    with portal.base.database.begin() as transaction:
        portal.means.apps.bind(
            transaction, person_id=portal.jane.id, seed=b"s" * 20, label="Phone", now=now, usable_from=now + DAY
        )


def _no_mailbox(portal):
    _remove_contact(portal, "email")


def _no_phone(portal):
    _remove_contact(portal, "sms")


def _remove_contact(portal, channel):
    from app.records.people.store import contacts

    with portal.base.database.begin() as transaction:
        transaction.execute(update(contacts).where(contacts.c.channel == channel).values(removed_at=1))


def _standard_too(portal):
    behind.join(portal, portal.jane, "elsewhere")


def _standard(portal):
    from app.records.organizations.model import STANDARD

    portal.add("kurt", home="elsewhere")
    portal.decide(CLASSIC, "elsewhere")
    portal.decide(STANDARD)


@pytest.mark.parametrize(
    "change",
    [_another_password, _restamped, _frozen, _app_bound, _no_mailbox, _no_phone, _standard_too, _standard],
    ids=lambda change: change.__name__.strip("_"),
)
def test_a_link_is_dead_once_what_earned_it_is_gone(one_classic, change):
    path = link(one_classic)
    browser = one_classic.browser()
    browser.get(path)
    change(one_classic)
    assert browser.get(path).location == f"{FORGOT}?news=over"
    assert browser.post(path).status_code == 409
    assert record_of(one_classic).good_until is None


def test_the_undo_link_of_the_notice_freezes_and_ends_the_temporary_password(one_classic):
    import re

    codes = one_classic.add_codes(one_classic.jane)
    one_classic.base.clock.advance(1)
    temporary = reset(one_classic)
    one_classic.deliver()
    [mail] = [one.text for one in one_classic.mailbox.to(EMAIL) if "a temporary password was made" in one.text]
    [path] = re.findall(r"/undo/\S+", mail)
    owner = one_classic.browser()
    owner.get(path)
    assert owner.post(path).location == "/undo/choose"
    assert not behind.signs_in(one_classic, "jane", temporary)
    owner.get("/undo/code")
    assert owner.post("/undo/code", code=codes[0]).status_code == 303
    owner.get("/undo/decide")
    assert owner.post("/undo/decide", decision="roll_back").status_code == 303
    assert not behind.signs_in(one_classic, "jane", temporary)
    assert not behind.signs_in(one_classic, "jane", PASSWORD)
    assert record_of(one_classic).good_until is None
