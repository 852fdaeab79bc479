"""The owner's lanes: known browsers and the mailed link, which strangers cannot spend (security rules 1 and 2)."""

import re
import threading

import pytest

from tests.journeys import behind
from tests.journeys.recovery.test_limits import at_sign_in, guess_passwords
from tests.portal import NEW_PASSWORD, PASSWORD, opened

PHONE, EMAIL = "+491700000001", "jane@example.org"
LINK, TOKEN, PIN, NEW = "/recovery/link", "/recovery/token", "/recovery/pin", "/recovery/password"
KNOWN = "keyturn-known"
DAY = 86_400


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def ask(portal, user_id="jane", **environ):
    browser = portal.browser(**environ)
    browser.get(LINK)
    return browser.post(LINK, user_id=user_id)


def links(portal, address=EMAIL):
    """The paths of the links that reached a mailbox."""
    portal.deliver()
    texts = [mail.text for mail in portal.mailbox.to(address)]
    return [found[0] for text in texts if (found := re.search(r"/recovery/link/[A-Za-z0-9_-]{43}", text))]


def use_up(portal, wanted=6, user_id="jane"):
    """Strangers type so many wrong codes, waiting whenever told to, from ever new addresses."""
    tried = 0
    while tried < wanted:
        browser = portal.browser(REMOTE_ADDR=f"198.51.{tried}.7")
        browser.recover_to_token(user_id)
        answer = browser.post(TOKEN, code=portal.wrong_code(user_id))
        if answer.status_code == 429:
            portal.base.clock.advance(int(answer.headers["Retry-After"]))
        else:
            assert answer.status_code == 422
            tried += 1
    portal.base.clock.advance(600)


def closed_to_strangers(portal):
    browser = portal.browser(REMOTE_ADDR="198.51.200.7")
    browser.recover_to_token("jane")
    return browser.post(TOKEN, code=portal.code("jane")).status_code == 429


def recovers(portal, browser, password=NEW_PASSWORD):
    """From the page of the first proof to the new password, in this browser."""
    assert browser.post(TOKEN, code=portal.code("jane")).location == PIN
    browser.get(PIN)
    portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_sms(portal, PHONE)[-1]).location == NEW
    browser.get(NEW)
    assert browser.post(NEW, new_password=password, confirm_password=password).status_code == 303


# ---- the link


def test_a_mailed_link_opens_a_recovery_after_strangers_used_up_theirs(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    use_up(portal)
    assert closed_to_strangers(portal)
    assert ask(portal).location == f"{LINK}?news=asked"
    [path] = links(portal)
    owner = portal.browser()
    for _ in range(3):  # a mail scanner opens it too
        page = owner.get(path)
        assert (page.status_code, f'action="{path}"' in page.text) == (200, True)
    assert owner.post(path).location == TOKEN
    owner.get(TOKEN)
    recovers(portal, owner)
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)
    assert behind.happened(portal, jane.id, "authn_lane_link_opened") == 1


def test_a_link_proves_nothing(one_portal, jane):
    ask(one_portal)
    [path] = links(one_portal)
    thief = one_portal.browser()
    thief.get(path)
    thief.post(path)
    for page in (PIN, NEW, "/recovery/done"):
        assert thief.get(page).location == TOKEN
    assert thief.post(NEW, new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).status_code == 409
    assert thief.get("/authenticators").location == "/sign-in"


def test_a_link_works_once_and_for_a_day(one_portal, jane):
    ask(one_portal)
    ask(one_portal)
    one, other = links(one_portal)
    browser = one_portal.browser()
    browser.get(one)
    assert browser.post(one).status_code == 303
    assert browser.post(one).status_code == 409
    assert browser.get(one).location == f"{LINK}?news=over"
    assert "has been used" in browser.get(f"{LINK}?news=over").text
    one_portal.base.clock.advance(DAY - 1)
    assert browser.get(other).status_code == 200  # a later one does not end an earlier one
    one_portal.base.clock.advance(1)
    assert browser.get(other).status_code == 303
    assert browser.post(other).status_code == 409


def test_of_many_presses_at_once_a_link_begins_one_recovery(portal):
    portal.add("jane", phone=PHONE, email=EMAIL)
    ask(portal)
    [path] = links(portal)
    browsers = [portal.browser(REMOTE_ADDR=f"203.0.113.{n}") for n in range(12)]
    for browser in browsers:
        browser.get(path)
    statuses, barrier = [], threading.Barrier(12)

    def press(browser):
        barrier.wait(30)
        statuses.append(browser.post(path).status_code)

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] + [409] * 11


def test_a_new_password_ends_the_links_that_were_mailed_before_it(one_portal, jane):
    ask(one_portal)
    [path] = links(one_portal)
    owner = one_portal.browser()
    owner.recover_to_token("jane")
    recovers(one_portal, owner)
    assert owner.get(path).status_code == 303
    assert owner.post(path).status_code == 409


def test_a_link_dies_with_the_stamp_that_it_was_mailed_under(one_portal, jane):
    from app.records.people import store as people

    ask(one_portal)
    [path] = links(one_portal)
    with one_portal.base.database.begin() as transaction:
        assert people.restamp(transaction, jane.id, jane.stamp, "another stamp")
    browser = one_portal.browser()
    assert browser.get(path).location == f"{LINK}?news=over"
    assert browser.post(path).status_code == 409


def test_what_a_link_opened_sends_no_pin_by_mail_where_there_is_a_phone(one_portal, jane):
    ask(one_portal)
    [path] = links(one_portal)
    browser = one_portal.browser()
    browser.get(path)
    browser.post(path)
    browser.get(TOKEN)
    browser.post(TOKEN, code=one_portal.code("jane"))
    assert "by e-mail to" not in browser.get(PIN).text
    assert browser.post("/recovery/pin/send", channel="email").status_code == 422


def test_strangers_who_ask_for_links_shut_nobody_out(one_portal, jane):
    """Ten a day for one person; whenever no more is mailed, one that works lies in the mailbox."""
    for number in range(40):
        assert ask(one_portal, REMOTE_ADDR=f"198.51.{number}.1").location == f"{LINK}?news=asked"
        one_portal.base.clock.advance(301)
    mailed = links(one_portal)
    assert len(mailed) == 10
    owner = one_portal.browser()
    assert ask(one_portal).status_code == 303
    assert len(links(one_portal)) == 10
    owner.get(mailed[0])
    assert owner.post(mailed[0]).location == TOKEN


def test_at_most_three_links_are_mailed_in_a_quarter_of_an_hour(one_portal, jane):
    for _ in range(5):
        assert ask(one_portal).status_code == 303
    assert len(links(one_portal)) == 3


def test_links_do_not_spend_what_pins_need(one_portal, jane):
    for _ in range(5):
        ask(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    assert browser.post("/recovery/pin/send", channel="email").status_code == 303


def test_nobody_without_a_mailbox_and_nobody_at_all_are_answered_alike_and_mailed_nothing(one_portal):
    one_portal.add("omar", phone=PHONE)
    for user_id in ("omar", "nobody"):
        assert ask(one_portal, user_id).location == f"{LINK}?news=asked"
    assert behind.queued(one_portal, "lane_link") == []
    assert not any("lane_links" in name and rows for name, rows in behind.tables(one_portal).items())


def test_of_the_links_in_an_hour_pins_keep_half(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_messages_per_hour=6) as portal:
        for number in range(8):
            portal.add(f"p{number}", email=f"p{number}@example.org")
            ask(portal, f"p{number}")
        assert len(behind.queued(portal, "lane_link")) == 3


def test_the_token_stands_in_no_table_log_or_redirect(one_portal, jane, capfd):
    ask(one_portal)
    [path] = links(one_portal)
    token = path.rpartition("/")[2]
    browser = one_portal.browser()
    browser.get(path)
    answer = browser.post(path)
    assert token not in repr(behind.tables(one_portal))
    assert token not in (answer.location or "")
    out = capfd.readouterr()
    assert token not in out.out + out.err


# ---- known browsers


def test_a_browser_in_which_somebody_signed_in_fully_recovers_after_strangers_used_up_theirs(one_portal, jane):
    owner = one_portal.browser()
    owner.sign_in(one_portal, "jane")
    owner.get("/authenticators")
    owner.post("/sign-out")
    use_up(one_portal)
    assert closed_to_strangers(one_portal)
    owner.recover_to_token("jane")
    recovers(one_portal, owner)


def test_a_recovery_makes_known_browsers_unknown(one_portal, jane):
    owner, other = one_portal.browser(), one_portal.browser()
    other.sign_in(one_portal, "jane")
    one_portal.base.clock.advance(30)
    owner.recover_to_token("jane")
    recovers(one_portal, owner)
    use_up(one_portal)
    other.recover_to_token("jane")
    assert other.post(TOKEN, code=one_portal.code("jane")).status_code == 429


def test_a_planted_cookie_opens_no_lane(one_portal, jane):
    thief, victim = one_portal.browser(), one_portal.browser()
    planted = "p" * 43
    for browser in (thief, victim):
        browser.client.set_cookie(KNOWN, planted)
    victim.sign_in(one_portal, "jane")
    assert victim.cookie(KNOWN) != planted
    use_up(one_portal)
    thief.recover_to_token("jane")
    assert thief.post(TOKEN, code=one_portal.code("jane")).status_code == 429


def test_the_browser_of_one_person_is_no_lane_of_another(one_portal, jane):
    one_portal.add("omar", phone="+491700000002")
    omar = one_portal.browser()
    omar.sign_in(one_portal, "omar")
    use_up(one_portal)
    omar.recover_to_token("jane")
    assert omar.post(TOKEN, code=one_portal.code("jane")).status_code == 429


def test_a_lane_has_six_wrong_codes_a_day_of_its_own(one_portal, jane):
    owner = one_portal.browser()
    owner.sign_in(one_portal, "jane")
    use_up(one_portal)
    tried, start = 0, one_portal.base.clock.now()
    while one_portal.base.clock.now() < start + 6_000:
        owner.recover_to_token("jane")
        answer = owner.post(TOKEN, code=one_portal.wrong_code("jane"))
        tried += answer.status_code == 422
        one_portal.base.clock.advance(301)
    assert tried == 6


@pytest.mark.parametrize("way", ["known browser", "link"])
def test_after_25_wrong_codes_of_strangers_the_owner_gets_in_and_opens_it_for_all(one_portal, jane, way):
    owner = one_portal.browser()
    if way == "known browser":
        owner.sign_in(one_portal, "jane")
    use_up(one_portal, 25)
    one_portal.base.clock.advance(2 * DAY)
    assert closed_to_strangers(one_portal)
    if way == "link":
        ask(one_portal)
        path = links(one_portal)[-1]
        owner.get(path)
        assert owner.post(path).location == TOKEN
        owner.get(TOKEN)
    else:
        owner.recover_to_token("jane")
    recovers(one_portal, owner)
    one_portal.base.clock.advance(30)
    assert not closed_to_strangers(one_portal)


def test_failed_sign_ins_never_close_recovery(one_portal, jane):
    guess_passwords(one_portal, at_sign_in(one_portal), 50)
    assert not closed_to_strangers(one_portal)


# ---- above the installation's cap


@pytest.mark.parametrize("way", ["known browser", "link"])
def test_above_the_installations_cap_lanes_stay_open(sqlite_database, valkey_url, clock, keyring, way):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_stranger_failures_per_day=8) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        owner = portal.browser()
        if way == "known browser":
            owner.sign_in(portal, "jane")
        for number in range(8):
            stranger = portal.browser(REMOTE_ADDR=f"198.51.{number}.7")
            stranger.recover_to_token(f"somebody {number}")
            assert stranger.post(TOKEN, code="123456").status_code == 422
        stranger.recover_to_token("jane")
        answer = stranger.post(TOKEN, code=portal.code("jane"))
        assert (answer.status_code, f'href="{LINK}"' in answer.text) == (429, True)
        assert "recovery rests" in answer.text
        clock.advance(30)
        if way == "link":
            ask(portal)
            [path] = links(portal)
            owner.get(path)
            owner.post(path)
            owner.get(TOKEN)
        else:
            owner.recover_to_token("jane")
        assert owner.post(TOKEN, code=portal.wrong_code("jane")).status_code == 422
        recovers(portal, owner)


def test_one_address_that_guesses_much_closes_no_lane_behind_it(one_portal, jane):
    owner = one_portal.browser(REMOTE_ADDR="192.0.2.10")
    owner.sign_in(one_portal, "jane")
    for number in range(60):
        stranger = one_portal.browser(REMOTE_ADDR="192.0.2.10")
        stranger.recover_to_token(f"somebody {number}")
        stranger.post(TOKEN, code="123456")
        if number % 20 == 19:
            one_portal.base.clock.advance(700)
    owner.recover_to_token("jane")
    recovers(one_portal, owner)
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD)
    assert PASSWORD != NEW_PASSWORD
