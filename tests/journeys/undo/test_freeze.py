"""The link of a notice: looking is harmless, pressing freezes, once and for seven days (security rule 5)."""

import re
import threading

import pytest

from app.foundation.secretbox import fingerprint
from app.records.cases import store as cases
from app.records.cases.model import Kind
from app.records.flows import store as grants
from app.records.lanes import store as lanes
from app.records.lanes.model import LaneLink
from app.records.people import store as people
from app.records.people.model import Channel, Status
from tests.journeys import behind
from tests.journeys.undo.conftest import EMAIL, PHONE, THIEFS_PASSWORD
from tests.meanwhile import before_writing
from tests.portal import PASSWORD

DAY = 86_400
DEAD = "This link opens nothing"


def test_every_contact_gets_one_link_for_a_change_and_only_its_fingerprint_is_kept(case):
    case.change_password()
    (by_phone,), (by_mail,) = case.links(PHONE), case.links(EMAIL)
    assert by_phone == by_mail
    token = by_phone.removeprefix("/undo/")
    rows = behind.tables(case.portal)
    assert [row[0] for row in rows["undo_links"]] == [fingerprint(token)]
    assert token not in repr(rows)


def test_looking_at_a_link_is_harmless_however_often_a_scanner_of_mail_does_it(case):
    case.change_password()
    (link,) = case.links(PHONE)
    before = behind.tables(case.portal)
    for _ in range(5):
        page = case.portal.browser().get(link)
        assert (page.status_code, "Freeze the account" in page.text) == (200, True)
        assert case.portal.browser().client.head(link).status_code == 200
    assert "The password of your account was changed on" in page.text
    assert "21 September 2026, 15:13 UTC" in page.text
    assert behind.tables(case.portal) == before
    assert case.person.status is Status.ACTIVE


def test_pressing_ends_session_flow_grant_lane_and_known_browser(case):
    portal = case.portal
    signed, recovering = portal.browser(), portal.browser()
    signed.sign_in(portal, "jane")
    assert signed.cookie("keyturn-known")
    case.later()
    recovering.recover_to_password(portal, "jane", PHONE)
    half = portal.browser()
    half.sign_in_to_verify("jane")
    with portal.base.database.begin() as transaction:
        lanes.add_link(transaction, LaneLink("f" * 64, case.jane.id, case.person.stamp, case.now + 3_600))
        link = portal.means.undo.issue(transaction, case.jane.id, Kind.APP, case.now)
    case.press(link.removeprefix("http://localhost"))

    assert case.person.status is Status.FROZEN
    assert case.person.stamp != case.jane.stamp
    assert signed.get("/authenticators").location == "/sign-in"
    assert behind.tables(portal)["sessions"] == []
    assert behind.tables(portal)["known_browsers"] == []
    new = {"new_password": "a fine new passphrase", "confirm_password": "a fine new passphrase"}
    assert recovering.post("/recovery/password", **new).status_code == 409
    assert half.post("/sign-in/verify", code=portal.code("jane", 1)).status_code == 409
    with portal.base.database.read() as looking:
        assert lanes.link(looking, "f" * 64, case.now) is None
        live = looking.execute(grants.grants.select().where(grants.grants.c.expires_at > case.now)).all()
    assert live == []
    assert behind.happened(portal, case.jane.id, "user_frozen") == 1


def test_a_pin_that_waits_does_not_leave_any_more(case):
    portal = case.portal
    case.change_password()
    (link,) = case.links(PHONE)
    portal.browser().recover_to_pin(portal, "jane")
    case.press(link)
    portal.deliver()
    assert behind.pins_by_sms(portal, PHONE) == []


def test_every_contact_is_told_of_the_freezing_also_one_that_was_just_removed(case):
    case.add_contact(Channel.EMAIL, "second@example.org")
    case.later(8 * DAY)
    case.remove_contact(PHONE)
    case.later()
    case.change_password()
    case.press(case.links(EMAIL)[-1])
    case.portal.deliver()
    assert "was frozen" in case.portal.phone.to(PHONE)[-1].body
    for address in (EMAIL, "second@example.org"):
        assert "was frozen" in case.portal.mailbox.to(address)[-1].subject


@pytest.mark.parametrize("token", ["", "x" * 43, "x" * 2_000, "%00", "%F0%9F%94%91", "choose%20"])
def test_a_link_that_opens_nothing_always_gets_one_page(case, token):
    browser = case.portal.browser()
    page = browser.get(f"/undo/{token}")
    assert DEAD in page.text
    assert page.status_code == (200 if not token else 410)


def test_a_used_and_an_outdated_and_an_unknown_link_are_told_apart_by_nobody(case):
    case.change_password()
    (used,) = case.links(PHONE)
    case.later()
    case.change_password("yet another passphrase")
    old = case.links(PHONE)[-1]
    case.press(used)

    def page(link):
        browser = case.portal.browser()
        pages = [browser.get(link), browser.post(link)]
        shown = [re.sub(r'value="[^"]{40,}"', "", answer.text) for answer in pages]
        return [answer.status_code for answer in pages], [text.replace(link, "LINK") for text in shown]

    case.later(7 * DAY)
    unknown = f"/undo/{'y' * 43}"
    assert page(used) == page(old) == page(unknown)
    assert page(unknown)[0] == [410, 410]


def test_a_link_is_good_for_seven_days_and_dead_a_second_later(case):
    case.change_password()
    (link,) = case.links(PHONE)
    browser = case.portal.browser()
    case.later(7 * DAY - 1)
    assert browser.get(link).status_code == 200
    case.later(2)
    assert browser.get(link).status_code == 410
    assert browser.post(link).status_code == 410
    assert case.person.status is Status.ACTIVE


def test_a_link_of_somebody_inactive_opens_nothing(case):
    case.change_password()
    (link,) = case.links(PHONE)
    with case.portal.base.database.begin() as transaction:
        people.set_status(transaction, case.jane.id, Status.INACTIVE)
    browser = case.portal.browser()
    assert browser.get(link).status_code == 410
    assert browser.post(link).status_code == 410
    assert case.person.status is Status.INACTIVE


def test_a_second_link_on_a_frozen_account_is_answered_kindly_and_lets_the_same_app_decide(case):
    case.change_password()
    case.later()
    case.add_contact(Channel.EMAIL, "second@example.org")
    first, second = case.links(PHONE)
    case.press(second)
    page = case.portal.browser().get(first)
    assert (page.status_code, "Your account is frozen" in page.text) == (200, True)
    browser = case.press(first)
    assert case.prove(browser).location == "/undo/decide"
    with case.portal.base.database.read() as looking:
        dispute = cases.living(looking, case.jane.id)
    assert (dispute and dispute.kind) is Kind.PASSWORD  # the earlier of the two
    assert len(behind.queued(case.portal, "notice_frozen")) == 3  # one for each contact


def test_the_notice_of_the_freezing_leads_back_to_the_decision(case):
    case.change_password()
    case.press(case.links(PHONE)[0])
    case.later(3_600)
    browser = case.press(case.links(PHONE)[-1])
    assert case.prove(browser).location == "/undo/decide"


def test_of_many_presses_at_once_one_freezes(both_case):
    case = both_case
    case.change_password()
    (link,) = case.links(PHONE)
    browsers = [case.portal.browser(REMOTE_ADDR=f"203.0.113.{number}") for number in range(12)]
    for browser in browsers:
        browser.get(link)
    statuses, barrier = [], threading.Barrier(len(browsers))

    def press(browser):
        barrier.wait(30)
        statuses.append(browser.post(link).status_code)

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] + [410] * 11
    assert len(behind.tables(case.portal)["disputes"]) == 1
    assert len(behind.queued(case.portal, "notice_frozen")) == 2


def test_of_many_links_at_once_one_freezes_and_all_join_its_dispute(both_case):
    case, undo = both_case, both_case.portal.means.undo
    with case.portal.base.database.begin() as transaction:
        issued = [
            undo.issue(transaction, case.jane.id, Kind.APP, case.now, changed_at=case.now - number)
            for number in range(6)
        ]
    links = [link.removeprefix("http://localhost") for link in issued]
    browsers = [case.portal.browser(REMOTE_ADDR=f"203.0.113.{number}") for number in range(6)]
    for browser, link in zip(browsers, links, strict=True):
        browser.get(link)
    statuses, barrier = [], threading.Barrier(len(browsers))

    def press(browser, link):
        barrier.wait(30)
        statuses.append(browser.post(link).status_code)

    threads = [threading.Thread(target=press, args=pair) for pair in zip(browsers, links, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [303] * 6
    with case.portal.base.database.read() as looking:
        dispute = cases.living(looking, case.jane.id)
    assert (dispute and dispute.changed_at) == case.now - 5
    assert len(behind.tables(case.portal)["disputes"]) == 1
    assert [browser.get("/undo/choose").status_code for browser in browsers] == [200] * 6


def test_somebody_frozen_is_like_nobody_at_sign_in_and_recovery(case):
    case.change_password(PASSWORD + " again")
    case.press(case.links(PHONE)[0])
    answers = {}
    for user_id in ("jane", "nobd"):
        browser, seen = case.portal.browser(), []
        browser.get("/sign-in")
        seen.append(browser.post("/sign-in", user_id=user_id))
        browser.get("/sign-in/password")
        seen.append(browser.post("/sign-in/password", password=PASSWORD + " again"))
        browser.get("/recovery?user_id=")
        seen.append(browser.post("/recovery", user_id=user_id))
        browser.get("/recovery/token")
        seen.append(browser.post("/recovery/token", code=case.portal.code("jane")))
        answers[user_id] = [
            (answer.status_code, re.sub(r'value="[^"]{40,}"', "", answer.text).replace(user_id, "USER"))
            for answer in seen
        ]
    assert [status for status, _ in answers["jane"]] == [303, 422, 303, 422]
    assert answers["jane"] == answers["nobd"]


def test_whoever_reads_a_mailbox_that_was_removed_cannot_freeze_the_account_for_ever(case):
    case.remove_contact(EMAIL)
    link, froze = case.links(EMAIL)[-1], 0
    while froze < 9 and case.portal.browser().get(link).status_code == 200:
        case.press(link, REMOTE_ADDR="203.0.113.66")
        froze += 1
        link = case.links(EMAIL)[-1]  # in the notice of the freezing
        case.operator().unfreeze("jane", "rang us")
        case.later(3 * DAY)
    assert 1 < froze < 5
    assert case.person.status is Status.ACTIVE


def test_an_operator_can_end_every_link_where_a_reader_of_the_mailbox_freezes_again_and_again(case):
    case.change_password(PASSWORD + " two")
    case.press(case.links(EMAIL)[-1])
    spare = case.links(EMAIL)
    assert len(case.operator().unfreeze("jane", "reads her mail", end_links=True)) == 2
    assert case.links(EMAIL) == spare  # the notice of it carries none
    assert all(case.portal.browser().get(link).status_code == 410 for link in case.links(EMAIL))
    assert [letter.text for letter in case.portal.mailbox.to(EMAIL)][-1].count("no longer frozen")
    assert case.person.status is Status.ACTIVE
    # the next change is disputed as ever
    case.change_password(PASSWORD + " three")
    assert case.press(case.links(EMAIL)[-1])


def test_a_sign_in_that_the_freezing_overtakes_begins_no_session_and_leaves_no_known_browser(case):
    portal = case.portal
    case.change_password()
    link = case.links(EMAIL)[-1]
    thief = portal.browser(REMOTE_ADDR="203.0.113.66")
    thief.sign_in_to_verify("jane", THIEFS_PASSWORD)
    with before_writing(portal.base.database, lambda: case.press(link), 2):
        assert thief.post("/sign-in/verify", code=portal.code("jane")).status_code == 409
    assert case.person.status is Status.FROZEN
    with portal.base.database.read() as looking:
        assert lanes.of_person(looking, case.jane.id, case.now) == ()
    assert behind.happened(portal, case.jane.id, "authn_login_success") == 0
