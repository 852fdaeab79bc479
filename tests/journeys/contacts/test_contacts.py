"""Phones and e-mail addresses of somebody signed in: confirmed by a PIN, waiting, told of, removed, put first."""

import threading

import pytest

from app.journeys.operations.service import Housekeeping
from app.records.people import store as people
from app.records.people.model import Channel, Contact
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
OTHER, MAIL = "+447700900123", "j.doe@example.net"
HOME, TASK = "/authenticators", "keyturn-task"
NEW, CONFIRM = f"{HOME}/phone/new", f"{HOME}/phone/new/confirm"
NEW_MAIL, CONFIRM_MAIL = f"{HOME}/email/new", f"{HOME}/email/new/confirm"
WEEK = 7 * 86_400


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def signed_in(portal, user_id="jane"):
    browser = portal.browser()
    browser.sign_in(portal, user_id)
    return browser


def later(portal, browser=None, seconds=1_000):
    """Beyond the short windows of limits, with a fresh proof again."""
    portal.deliver()
    portal.base.clock.advance(seconds)
    return signed_in(portal)


def ask(browser, to=OTHER):
    path = NEW if "@" not in to else NEW_MAIL
    browser.get(path)
    return browser.post(path, **{"phone" if path == NEW else "email": to})


def enter(portal, browser, to=OTHER):
    path = CONFIRM if "@" not in to else CONFIRM_MAIL
    assert browser.get(path).status_code == 200
    portal.deliver()
    return browser.post(path, pin=portal.last_pin(to))


def add(portal, browser, to=OTHER):
    answer = ask(browser, to)
    assert answer.status_code == 303, answer.text
    answer = enter(portal, browser, to)
    assert (answer.status_code, answer.location) == (303, HOME), answer.text
    portal.deliver()


def contacts(portal, person):
    with portal.base.database.read() as looking:
        return people.contacts_of(looking, person.id)


def id_of(portal, person, address):
    return next(one.id for one in contacts(portal, person) if one.address == address)


def addresses(portal, person):
    return [one.address for one in contacts(portal, person)]


def press(browser, path):
    shown = browser.get(path)
    assert shown.status_code == 200, shown
    return browser.post(path)


# ---- adding


@pytest.mark.parametrize(
    ("to", "typed", "masked"),
    [(OTHER, "0044 (7700) 900-123", "••• ••• 23"), (MAIL, "j.doe@EXAMPLE.net", "j•••@e•••.net")],
)
def test_a_new_contact_counts_after_its_pin_and_waits_seven_days(one_portal, jane, to, typed, masked):
    browser = signed_in(one_portal)
    path, confirm = (NEW, CONFIRM) if to == OTHER else (NEW_MAIL, CONFIRM_MAIL)
    assert browser.get(path).status_code == 200
    assert browser.post(path, **{"phone" if to == OTHER else "email": typed}).location == confirm
    pending = next(one for one in contacts(one_portal, jane) if one.address == to)
    assert (pending.confirmed_at, pending.usable(one_portal.base.clock.now() + 10 * WEEK)) == (None, False)
    page = browser.get(confirm)
    assert f'data-destination="{masked}"' in page.text
    assert to not in page.text
    one_portal.deliver()
    status = browser.get(f"{confirm}/pin/status").json
    assert (status["destination"], status["state"], status["tries_left"]) == (masked, "sent", 5)
    answer = browser.post(confirm, pin=one_portal.last_pin(to))
    assert (answer.status_code, answer.location) == (303, HOME)
    assert browser.cookie(TASK) is None
    now = one_portal.base.clock.now()
    confirmed = next(one for one in contacts(one_portal, jane) if one.address == to)
    assert (confirmed.confirmed_at, confirmed.usable_from, confirmed.position) == (now, now + WEEK, 1)
    assert confirmed.last_used_at == now
    assert behind.happened(one_portal, jane.id, "contact_added") == 1
    assert behind.sessions(one_portal, jane.id) == [(["password", "app"], 2)]  # the PIN proved nothing but this


def test_old_and_new_contacts_are_told_and_the_new_one_is_named_masked(one_portal, jane):
    add(one_portal, signed_in(one_portal))
    assert {row["contact_id"] for row in behind.queued(one_portal, "notice_contact_added")} == {
        id_of(one_portal, jane, PHONE),
        id_of(one_portal, jane, EMAIL),
    }
    assert "*** *** 23" in one_portal.phone.to(PHONE)[-1].body
    assert "••• ••• 23" in one_portal.mailbox.to(EMAIL)[-1].text
    assert OTHER not in one_portal.phone.to(PHONE)[-1].body + one_portal.mailbox.to(EMAIL)[-1].text
    own = one_portal.phone.to(OTHER)[-1].body
    assert "this phone was confirmed for an account" in own
    assert "jane" not in own


def test_the_page_says_how_safe_sms_are_before_a_number_is_given(one_portal, jane):
    browser = signed_in(one_portal)
    page = browser.get(NEW).text
    assert "Less safe than an authenticator app" in page
    assert "/authenticators/app/new" in page
    assert "Less safe" not in browser.get(NEW_MAIL).text


def test_a_pin_is_needed_and_until_then_the_address_is_nobodys_contact(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    one_portal.deliver()
    wrong = f"{(int(one_portal.last_pin(OTHER)) + 1) % 1_000_000:06d}"
    for _ in range(4):
        assert browser.post(CONFIRM, pin=wrong).status_code == 422
    assert browser.post(CONFIRM, pin=wrong).status_code == 409
    assert browser.post(CONFIRM, pin=one_portal.last_pin(OTHER)).status_code == 409
    assert browser.get(CONFIRM).location == NEW
    assert all(one.confirmed_at is None for one in contacts(one_portal, jane) if one.address == OTHER)


def test_another_pin_goes_to_the_same_contact_and_voids_the_first(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    assert browser.post(f"{CONFIRM}/send", channel="email").status_code == 429
    one_portal.deliver()
    first = one_portal.last_pin(OTHER)
    one_portal.base.clock.advance(30)
    assert browser.get(f"{CONFIRM}/send").location == CONFIRM
    assert browser.post(f"{CONFIRM}/send", channel="email").location == CONFIRM
    one_portal.deliver()
    assert one_portal.mailbox.to(EMAIL) == []
    assert browser.post(CONFIRM, pin=first).status_code == 422
    assert browser.post(CONFIRM, pin=one_portal.last_pin(OTHER)).location == HOME


def test_a_session_of_the_lower_level_or_without_a_fresh_proof_adds_nothing(one_portal, jane):
    low = one_portal.browser()
    low.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert low.get(NEW).location == "/step-up"
    low.get(HOME)
    assert low.post(NEW, phone=OTHER).status_code == 409
    one_portal.base.clock.advance(30)
    old = signed_in(one_portal)
    old.get(NEW)
    token = old.token()
    one_portal.base.clock.advance(301)
    assert old.post(NEW, csrf_token=token, phone=OTHER).status_code == 409
    for action in ("remove", "default"):
        path = f"{HOME}/phone/{id_of(one_portal, jane, PHONE)}/{action}"
        assert old.get(path).location == "/step-up"
        assert old.post(path, csrf_token=token).status_code == 409
    assert addresses(one_portal, jane) == [PHONE, EMAIL]


def test_for_a_day_after_a_recovery_contacts_stay_as_they_are(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    one_portal.base.clock.advance(60)
    browser.sign_in(one_portal, "jane", NEW_PASSWORD)
    browser.get(HOME)
    answer = browser.post(NEW, phone=OTHER)
    assert (answer.status_code, "less than a day ago" in answer.text) == (409, True)
    assert addresses(one_portal, jane) == [PHONE, EMAIL]


def test_a_recovery_meanwhile_kills_what_was_to_be_confirmed(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    one_portal.deliver()
    pin, token = one_portal.last_pin(OTHER), browser.token()
    one_portal.base.clock.advance(30)
    owner = one_portal.browser()
    owner.recover_to_password(one_portal, "jane", PHONE)
    owner.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert browser.post(CONFIRM, csrf_token=token, pin=pin).status_code == 409
    assert not any(one.confirmed_at for one in contacts(one_portal, jane) if one.address == OTHER)


# ---- a PIN is good for what it was sent for


def test_a_pin_is_good_in_the_session_that_asked_for_it_alone(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    one_portal.deliver()
    one_portal.base.clock.advance(30)
    thief = signed_in(one_portal)
    thief.get(NEW)
    thief.client.set_cookie(TASK, browser.cookie(TASK))
    assert thief.get(CONFIRM).location == NEW
    assert thief.post(CONFIRM, pin=one_portal.last_pin(OTHER)).status_code == 409
    assert thief.post(f"{CONFIRM}/send").status_code == 409


def test_a_pin_for_a_phone_confirms_no_mailbox(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    one_portal.deliver()
    assert browser.get(CONFIRM_MAIL).location == NEW_MAIL
    assert browser.post(CONFIRM_MAIL, pin=one_portal.last_pin(OTHER)).status_code == 409


def test_a_pin_that_confirms_proves_nothing_at_a_step_up_and_the_other_way_round(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    one_portal.deliver()
    contact, task = one_portal.last_pin(OTHER), browser.cookie(TASK)
    assert browser.post("/step-up/pin", pin=contact).status_code == 409
    browser.get("/step-up")
    assert browser.post("/step-up/alternative", channel="sms").location == "/step-up/pin"
    browser.get("/step-up/pin")
    one_portal.deliver()
    proof = one_portal.last_pin(PHONE)
    assert proof != contact
    assert browser.post("/step-up/pin", pin=contact).status_code == 422
    assert browser.post(CONFIRM, pin=proof).status_code == 409  # the flow of the step-up confirms nothing
    browser.client.set_cookie(TASK, task)
    browser.get(CONFIRM)
    assert browser.post(CONFIRM, pin=proof).status_code == 422
    assert browser.post(CONFIRM, pin=contact).location == HOME


def test_a_pin_that_confirms_is_useless_in_a_recovery_and_the_other_way_round(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    browser.get(CONFIRM)
    one_portal.base.clock.advance(30)
    recovering = one_portal.browser()
    recovering.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    contact, recovery = one_portal.last_pin(OTHER), one_portal.last_pin(PHONE)
    assert recovering.post("/recovery/pin", pin=contact).status_code == 422
    assert browser.post(CONFIRM, pin=recovery).status_code == 422
    assert recovering.post("/recovery/pin", pin=recovery).status_code == 303
    assert browser.post(CONFIRM, pin=contact).location == HOME


@pytest.mark.parametrize("kind", [Channel.SMS, Channel.EMAIL])
def test_a_contact_that_waits_gets_no_pin_and_no_notice_until_its_week_is_over(one_portal, kind):
    """Alone of its kind: whatever goes by its channel would have to go there."""
    has = {"email": EMAIL} if kind is Channel.SMS else {"phone": PHONE}
    jane = one_portal.add("jane", **has)
    to = OTHER if kind is Channel.SMS else MAIL
    add(one_portal, signed_in(one_portal), to)
    inbox = one_portal.phone if kind is Channel.SMS else one_portal.mailbox
    had = len(inbox.to(to))

    def ways():
        browser = one_portal.browser()
        browser.sign_in_to_verify("jane")
        signing_in = f'value="{kind.value}"' in browser.page.text
        browser.post("/sign-in/alternative", channel=kind.value)
        one_portal.base.clock.advance(30)
        browser = one_portal.browser()
        browser.recover_to_pin(one_portal, "jane")
        recovering = f'value="{kind.value}"' in browser.page.text
        browser.post("/recovery/pin/send", channel=kind.value)
        one_portal.deliver()
        return signing_in, recovering

    one_portal.base.clock.advance(WEEK - 3_600)  # 6 days and 23 hours
    assert ways() == (False, False)
    with one_portal.base.database.read() as looking:
        assert [one.address for one in people.usable_contacts(looking, jane.id, one_portal.base.clock.now())] == [
            *has.values()
        ]
    assert len(inbox.to(to)) == had
    one_portal.base.clock.advance(3_600)
    assert ways() == (True, True)
    assert len(inbox.to(to)) > had


# ---- how many, and which


def test_there_are_two_confirmed_of_a_kind_and_no_third(one_portal, jane):
    add(one_portal, signed_in(one_portal))
    browser = later(one_portal)
    assert "there can be no third" in browser.get(NEW).text
    answer = browser.post(NEW, phone="+447700900999", csrf_token=browser.token())
    assert (answer.status_code, "there can be no third" in answer.text) == (422, True)
    assert one_portal.phone.to("+447700900999") == []
    assert ask(browser, MAIL).status_code == 303  # each kind by itself


@pytest.mark.parametrize("typed", [PHONE, "0049 170 0000001", EMAIL, "Jane@EXAMPLE.ORG"])
def test_an_address_that_is_there_already_is_refused(one_portal, jane, typed):
    answer = ask(signed_in(one_portal), typed)
    assert (answer.status_code, "a contact of yours already" in answer.text) == (422, True)
    assert addresses(one_portal, jane) == [PHONE, EMAIL]


def test_the_number_of_another_person_is_taken_like_any_other(one_portal, jane):
    one_portal.add("omar", phone=OTHER)
    browser = signed_in(one_portal)
    page = ask(browser).text + browser.get(CONFIRM).text
    assert "omar" not in page.lower()
    assert enter(one_portal, browser).location == HOME


def test_a_new_attempt_replaces_the_one_that_was_not_confirmed(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    one_portal.deliver()
    held, pin = browser.cookie(TASK), one_portal.last_pin(OTHER)
    assert ask(browser, "+447700900999").status_code == 303
    assert addresses(one_portal, jane) == [PHONE, "+447700900999", EMAIL]
    new = browser.cookie(TASK)
    browser.client.set_cookie(TASK, held)
    assert browser.post(CONFIRM, pin=pin).status_code == 409
    browser.client.set_cookie(TASK, new)
    assert enter(one_portal, browser, "+447700900999").location == HOME
    assert OTHER not in repr(behind.tables(one_portal)["contacts"])


def test_what_is_never_confirmed_disappears_and_what_an_administrator_filed_stays(one_portal, jane):
    with one_portal.base.database.begin() as transaction:
        filed = Contact("f" * 32, jane.id, Channel.EMAIL, "filed@example.org", 1, None, 0, None)
        people.add_contact(transaction, filed, 0)
    ask(signed_in(one_portal))
    tidy = Housekeeping(one_portal.base.database, one_portal.base.clock).tidy
    tidy()
    assert OTHER in addresses(one_portal, jane)
    one_portal.base.clock.advance(900)
    tidy()
    assert addresses(one_portal, jane) == [PHONE, EMAIL, "filed@example.org"]
    assert OTHER not in repr(behind.tables(one_portal)["contacts"])


def test_a_filed_address_is_confirmed_by_adding_it(one_portal, jane):
    with one_portal.base.database.begin() as transaction:
        people.add_contact(transaction, Contact("f" * 32, jane.id, Channel.EMAIL, MAIL, 1, None, 0, None), 0)
    add(one_portal, signed_in(one_portal), MAIL)
    assert addresses(one_portal, jane) == [PHONE, EMAIL, MAIL]


def test_one_account_sends_to_few_numbers_in_a_quarter_of_an_hour(one_portal, jane):
    browser = signed_in(one_portal)
    for number in range(3):
        assert ask(browser, f"+44770090010{number}").status_code == 303
    answer = ask(browser, "+447700900109")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    one_portal.deliver()
    assert one_portal.phone.to("+447700900109") == []


def test_the_number_of_messages_to_one_number_is_limited_whoever_asks(one_portal, jane):
    for user_id in ("omar", "ana", "sam"):
        one_portal.add(user_id, email=f"{user_id}@example.org")
        assert ask(signed_in(one_portal, user_id)).status_code == 303
    assert ask(signed_in(one_portal)).status_code == 429
    assert addresses(one_portal, jane) == [PHONE, EMAIL]


# ---- races


def all_at_once(work):
    barrier, answers = threading.Barrier(len(work)), []

    def run(one):
        barrier.wait(30)
        answers.append(one())

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return sorted(answer.status_code for answer in answers)


def twin(portal, browser, page):
    """The same browser with its cookies, for another thread."""
    other = portal.browser()
    for name in ("keyturn", "keyturn-session", TASK):
        if browser.cookie(name):
            other.client.set_cookie(name, browser.cookie(name))
    other.page = page
    return other


def test_of_many_right_pins_at_once_one_confirms(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    browser = signed_in(portal)
    ask(browser)
    page = browser.get(CONFIRM)
    portal.deliver()
    pin = portal.last_pin(OTHER)
    twins = [twin(portal, browser, page) for _ in range(5)]
    statuses = all_at_once([lambda one=one: one.post(CONFIRM, pin=pin) for one in twins])
    assert statuses.count(303) == 1, statuses
    assert behind.happened(portal, jane.id, "contact_added") == 1
    assert len(behind.queued(portal, "notice_your_contact")) == 1


def test_of_two_removals_at_once_one_contact_stays(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    browser = signed_in(portal)
    page = browser.get(NEW)
    paths = [f"{HOME}/phone/{id_of(portal, jane, PHONE)}/remove", f"{HOME}/email/{id_of(portal, jane, EMAIL)}/remove"]
    work = [lambda path=path: twin(portal, browser, page).post(path) for path in paths * 3]
    statuses = all_at_once(work)
    assert statuses.count(303) == 1, statuses
    assert len(contacts(portal, jane)) == 1


# ---- removing, and putting first


def test_whoever_adds_somebody_elses_phone_cannot_use_up_the_messages_of_its_owner(one_portal, jane):
    one_portal.add("omar", phone="+15005550010", email=MAIL)
    browser = one_portal.browser()  # in which he is known: a lane of his own, but not of her phone
    for _ in range(5):
        browser.sign_in(one_portal, "omar")
        ask(browser, PHONE)
        for _ in range(2):
            one_portal.base.clock.advance(61)
            browser.get(CONFIRM)
            browser.post(f"{CONFIRM}/send")
        one_portal.base.clock.advance(900)
    assert len(behind.queued(one_portal)) == 7
    one_portal.browser().recover_to_pin(one_portal, "jane")
    assert len(behind.queued(one_portal)) == 8


def test_a_removed_contact_is_told_gets_no_pin_and_its_row_stays(one_portal, jane):
    browser = signed_in(one_portal)
    phone = id_of(one_portal, jane, PHONE)
    assert press(browser, f"{HOME}/phone/{phone}/remove").location == HOME
    one_portal.deliver()
    assert "was removed from your account" in one_portal.phone.to(PHONE)[-1].body
    assert "••• ••• 01" in one_portal.mailbox.to(EMAIL)[-1].text
    with one_portal.base.database.read() as looking:
        kept = people.contact(looking, phone)
    assert kept is not None
    assert (kept.address, kept.removed_at) == (PHONE, one_portal.base.clock.now())
    assert behind.happened(one_portal, jane.id, "contact_removed") == 1
    assert browser.get(f"{HOME}/phone/{phone}/remove").location == HOME
    assert browser.post(f"{HOME}/phone/{phone}/remove").status_code == 409
    one_portal.base.clock.advance(1_000)
    other = one_portal.browser()
    other.recover_to_pin(one_portal, "jane")
    assert "j•••@e•••.org" in other.page.text


@pytest.mark.parametrize("journey", ["sign-in", "step-up", "recovery"])
def test_a_pin_that_went_to_a_phone_is_worth_nothing_once_the_phone_is_removed(one_portal, jane, journey):
    thief = one_portal.browser()
    if journey == "sign-in":
        thief.sign_in_to_verify("jane")
        thief.post("/sign-in/alternative", channel="sms")
    elif journey == "step-up":
        thief.sign_in(one_portal, "jane")
        thief.get("/step-up")
        thief.post("/step-up/alternative", channel="sms")
    else:
        thief.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    pin = one_portal.last_pin(PHONE)
    one_portal.base.clock.advance(30)
    press(signed_in(one_portal), f"{HOME}/phone/{id_of(one_portal, jane, PHONE)}/remove")
    before = behind.sessions(one_portal, jane.id)
    thief.get(f"/{journey}/pin")
    assert thief.post(f"/{journey}/pin", pin=pin).status_code == 422
    assert behind.sessions(one_portal, jane.id) == before
    assert behind.happened(one_portal, jane.id, "authn_pin_success") == 0


def test_the_last_confirmed_contact_cannot_be_removed(one_portal):
    jane = one_portal.add("jane", email=EMAIL)
    browser = signed_in(one_portal)
    ask(browser)  # one that is not confirmed does not count
    path = f"{HOME}/email/{id_of(one_portal, jane, EMAIL)}/remove"
    assert "your last confirmed contact" in browser.get(path).text
    answer = browser.post(path, csrf_token=browser.token())
    assert (answer.status_code, "your last confirmed contact" in answer.text) == (422, True)
    assert EMAIL in addresses(one_portal, jane)


def test_removing_the_last_usable_one_is_warned_of_and_a_waiting_one_is_told_of_its_own_removal(one_portal):
    jane = one_portal.add("jane", email=EMAIL)
    add(one_portal, signed_in(one_portal))
    browser = later(one_portal)
    assert (
        "last contact that may be used now" in browser.get(f"{HOME}/email/{id_of(one_portal, jane, EMAIL)}/remove").text
    )
    path = f"{HOME}/phone/{id_of(one_portal, jane, OTHER)}/remove"
    assert "last contact" not in browser.get(path).text
    assert browser.post(path).location == HOME
    one_portal.deliver()
    assert "this phone was removed" in one_portal.phone.to(OTHER)[-1].body


def test_what_is_pending_can_be_dropped_without_a_notice(one_portal, jane):
    browser = signed_in(one_portal)
    ask(browser)
    assert press(browser, f"{HOME}/phone/{id_of(one_portal, jane, OTHER)}/remove").location == HOME
    assert addresses(one_portal, jane) == [PHONE, EMAIL]
    assert behind.queued(one_portal, "notice_contact_removed") == []


def test_the_default_is_the_one_that_gets_the_pin_and_all_are_told_when_it_changes(one_portal, jane):
    add(one_portal, signed_in(one_portal))
    browser = later(one_portal, seconds=WEEK)
    path = f"{HOME}/phone/{id_of(one_portal, jane, OTHER)}/default"
    page = browser.get(path).text
    assert "••• ••• 23" in page
    assert "••• ••• 01" in page
    assert browser.post(path).location == HOME
    assert addresses(one_portal, jane) == [OTHER, PHONE, EMAIL]
    assert len(behind.queued(one_portal, "notice_contact_default")) == 3
    assert behind.happened(one_portal, jane.id, "contact_made_default") == 1
    assert browser.post(path).status_code == 409
    one_portal.deliver()
    one_portal.base.clock.advance(60)
    other = one_portal.browser()
    other.recover_to_pin(one_portal, "jane")
    one_portal.deliver()
    assert other.post("/recovery/pin", pin=one_portal.last_pin(OTHER)).status_code == 303


def test_the_default_changes_three_times_in_a_quarter_of_an_hour_and_not_once_more(one_portal, jane):
    add(one_portal, signed_in(one_portal))
    browser = later(one_portal, seconds=WEEK)
    answers = []
    for to in (OTHER, PHONE, OTHER, PHONE):
        path = f"{HOME}/phone/{id_of(one_portal, jane, to)}/default"
        answers.append(press(browser, path).status_code)
    assert answers == [303, 303, 303, 429]
    assert addresses(one_portal, jane) == [OTHER, PHONE, EMAIL]


def test_a_contact_of_somebody_else_of_the_other_kind_or_of_nobody_is_not_found(one_portal, jane):
    omar = one_portal.add("omar", phone=OTHER, email=MAIL)
    browser = signed_in(one_portal)
    ask(browser, "+447700900999")
    pending = id_of(one_portal, jane, "+447700900999")
    browser.get(NEW)
    token = browser.token()
    wanted = [id_of(one_portal, omar, OTHER), id_of(one_portal, jane, EMAIL), "0" * 32, "x", "%00", "a" * 2_000, "%ff"]
    for name in wanted:
        for action in ("remove", "default"):
            assert browser.get(f"{HOME}/phone/{name}/{action}").status_code == 404, name
            assert browser.post(f"{HOME}/phone/{name}/{action}", csrf_token=token).status_code == 404, name
    assert browser.post(f"{HOME}/phone/{pending}/default", csrf_token=token).status_code == 404
    assert addresses(one_portal, omar) == [OTHER, MAIL]


# ---- bad input

BAD = [
    ("phone", ""),
    ("phone", "   "),
    ("phone", "0170 1234567"),
    ("phone", "+49 (0)170 1234567"),
    ("phone", "+0491701234567"),
    ("phone", "+12345"),
    ("phone", "+1234567890123456"),
    ("phone", "+\u0664\u0664\u0667\u0667\u0660\u0660\u0669\u0660\u0660\u0661\u0662\u0663"),
    ("phone", "+" + behind.full_width("447700900123")),
    ("phone", "+447700900123\0"),
    ("phone", "+447700900123\r\nTo: +15005550006"),
    ("phone", "+447700900123,+447700900124"),
    ("phone", "tel:+447700900123"),
    ("phone", "+" * 1_000),
    ("email", ""),
    ("email", "jane"),
    ("email", "@example.org"),
    ("email", "jane@"),
    ("email", "jane@example.org\r\nBcc: thief@example.org"),
    ("email", "j\0ne@example.org"),
    ("email", "jane@example.org, thief@example.org"),
    ("email", "Jane <jane2@example.org>"),
    ("email", "jane2@exämple.org"),
    ("email", "j\u0430ne@example.org"),
    ("email", "a" * 65 + "@example.org"),
    ("email", "a" * 60_000),
]


@pytest.mark.parametrize(("kind", "typed"), BAD, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(BAD)])
def test_what_is_no_number_or_address_is_refused_beside_its_field(one_portal, jane, kind, typed):
    browser = signed_in(one_portal)
    path = f"{HOME}/{kind}/new"
    browser.get(path)
    answer = browser.post(path, **{kind: typed})
    assert answer.status_code == 422
    assert f'id="{kind}-error"' in answer.text
    assert addresses(one_portal, jane) == [PHONE, EMAIL]
    assert behind.queued(one_portal) == []


def test_what_is_far_too_long_is_not_even_read(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(NEW)
    assert browser.post(NEW, phone="1" * 100_000).status_code == 413


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" jane+keyturn@Example.ORG ", "jane+keyturn@example.org"),
        ("J.Doe@EXAMPLE.NET", "J.Doe@example.net"),
        ("+44 7700 900-123", OTHER),
        ("(+44) 7700\u00a0900\u2011123", OTHER),
        ("00447700900123", OTHER),
    ],
)
def test_what_people_type_is_stored_in_one_spelling(one_portal, jane, typed, stored):
    assert ask(signed_in(one_portal), typed).status_code == 303
    assert stored in addresses(one_portal, jane)
