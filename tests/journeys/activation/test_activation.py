"""First activation: the link alone binds nothing, and all can be resumed until it ends (security rule 13)."""

import re
import threading
from contextlib import suppress

import pytest

from app.factors.totp import store as totp_store
from app.foundation.refusals import Throttled
from app.journeys.operations.service import Housekeeping
from app.records.attempts.model import Door, Factor
from app.records.invitations import store as invitations
from app.records.organizations.model import PRESETS, Profile
from app.records.people import store as people
from app.records.people.model import Status
from app.steps.invite import Invitations
from tests.journeys import behind
from tests.meanwhile import before_saying, before_writing
from tests.portal import NEW_PASSWORD, PASSWORD

PHONE, EMAIL = "+491700000001", "nina@example.org"
DAY, LIFE = 86_400, 72 * 3_600
STEPS = ("/activate/password", "/activate/contacts", "/activate/app", "/activate/codes", "/activate/codes")


@pytest.fixture
def nina(one_portal):
    return one_portal.invite("nina", phone=PHONE, email=EMAIL)


@pytest.fixture
def omar(one_portal):
    """Nobody filed a phone: a code was handed over."""
    return one_portal.invite("omar", email="omar@example.org")


def activated(portal, guest):
    browser = portal.browser()
    browser.activate_to(portal, guest, 5, PHONE)
    return browser


def again(portal, guest, phone=PHONE):
    """The link on another device, up to the proof."""
    portal.deliver()
    portal.base.clock.advance(60)
    browser = portal.browser()
    browser.activate_to(portal, guest, 0, phone)
    return browser


def test_the_whole_way_ends_in_an_account_that_signs_in_and_recovers_at_once(one_portal, nina):
    browser = activated(one_portal, nina)
    assert "Your account is ready" in browser.get("/activate/done").text
    one_portal.base.clock.advance(30)
    signed_in = one_portal.browser()
    signed_in.sign_in(one_portal, "nina", NEW_PASSWORD)
    page = signed_in.get("/authenticators").text
    assert "Phone" in page
    one_portal.deliver()
    one_portal.base.clock.advance(1_000)
    forgetful = one_portal.browser()
    forgetful.recover_to_password(one_portal, "nina", PHONE)  # nothing waits a day
    assert behind.happened(one_portal, nina.person.id, "user_activated") == 1


def test_the_saved_codes_serve_a_recovery_at_once(one_portal, nina):
    browser = one_portal.browser()
    browser.activate_to(one_portal, nina, 4, PHONE)
    page = browser.get("/activate/codes")
    codes = behind.shown_codes(page.text)
    assert len(codes) == 10
    text = browser.get("/activate/codes/download").text
    assert all(code in text for code in codes)
    assert browser.post("/activate/codes/saved").location == "/activate/done"
    one_portal.deliver()
    one_portal.base.clock.advance(1_000)
    one_portal.browser().recover_to_pin_by_code("nina", codes[0])


def test_the_code_that_was_handed_over_stands_in_for_a_phone(one_portal, omar):
    assert omar.code
    browser = one_portal.browser()
    browser.activate_to(one_portal, omar, 5, PHONE)
    assert browser.get("/activate/done").status_code == 200


def test_however_often_a_scanner_opens_the_link_nothing_happens(one_portal, nina):
    before = behind.tables(one_portal)
    for _ in range(20):
        scanner = one_portal.browser(REMOTE_ADDR="203.0.113.9")
        assert scanner.get(nina.path).status_code == 200
    assert behind.tables(one_portal) == before
    assert one_portal.phone.to(PHONE) == []
    assert activated(one_portal, nina).get("/activate/done").status_code == 200


@pytest.mark.parametrize("who", ["nina", "omar"])
def test_the_link_alone_binds_nothing(one_portal, nina, omar, who):
    """A thief who reads the mailbox, and has neither phone nor code."""
    guest = {"nina": nina, "omar": omar}[who]
    thief = one_portal.browser()
    thief.activate_to(one_portal, guest, -1, PHONE)
    for page in (*STEPS, "/activate/resume", "/activate/codes/download", "/activate/done"):
        assert thief.get(page).location in {"/activate/pin", "/activate/code"}
    fields = {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}
    assert thief.post("/activate/password", **fields).status_code == 409
    with one_portal.base.database.read() as looking:
        assert all(one.confirmed_at is None for one in people.contacts_of(looking, guest.person.id))
        assert one_portal.means.passwords.find(looking, guest.person.id) is None


def test_ten_wrong_codes_end_an_invitation_and_the_right_one_is_no_use_then(one_portal, omar):
    thief = one_portal.browser()
    thief.activate_to(one_portal, omar, -1, PHONE)
    for _ in range(10):
        assert thief.post("/activate/code", code="0" * 16).status_code == 422
    assert thief.post("/activate/code", code=omar.code).status_code == 409
    assert behind.happened(one_portal, omar.person.id, "user_activation_fail") == 10
    fresh = one_portal.invite_again(omar.person, "omar@example.org")
    assert fresh.code != omar.code
    one_portal.browser().activate_to(one_portal, fresh, 1, PHONE)


@pytest.mark.parametrize("typed", ["", "   ", "1234", "ß" * 16, "0" * 5_000])
def test_what_is_no_code_is_no_try(one_portal, omar, typed):
    browser = one_portal.browser()
    browser.activate_to(one_portal, omar, -1, PHONE)
    for _ in range(12):
        assert browser.post("/activate/code", code=typed).status_code == 422
    assert browser.post("/activate/code", code=omar.code.lower()).location == "/activate/password"


def test_the_code_of_one_invitation_opens_no_other(one_portal, omar):
    other = one_portal.invite("owen", email="owen@example.org")
    browser = one_portal.browser()
    browser.activate_to(one_portal, other, -1, PHONE)
    assert browser.post("/activate/code", code=omar.code).status_code == 422


# ---- links that open nothing


def dead(portal, path):
    browser = portal.browser()
    answer = browser.get(path)
    posted = browser.post(path)
    return answer.status_code, answer.location, posted.status_code


def test_unknown_outdated_replaced_spent_and_inactive_links_are_answered_alike(one_portal, nina):
    outdated = one_portal.invite("old", phone=PHONE, email="old@example.org")
    one_portal.base.clock.advance(LIFE)
    replaced = one_portal.invite("twice", phone=PHONE, email="twice@example.org")
    one_portal.invite_again(replaced.person, "twice@example.org")
    inactive = one_portal.invite("gone", phone=PHONE, email="gone@example.org")
    with one_portal.base.database.begin() as transaction:
        people.set_status(transaction, inactive.person.id, Status.INACTIVE)
    spent = one_portal.invite("done", phone=PHONE, email="done@example.org")
    one_portal.base.clock.advance(1_000)
    activated(one_portal, spent)
    paths = [f"/activate/{'x' * 43}", outdated.path, replaced.path, inactive.path, spent.path, f"{nina.path}x"]
    assert {dead(one_portal, path) for path in paths} == {(303, "/activate", 409)}


def test_a_link_is_good_for_72_hours(one_portal, nina):
    one_portal.base.clock.advance(LIFE - 1)
    assert one_portal.browser().get(nina.path).status_code == 200
    one_portal.base.clock.advance(1)
    assert one_portal.browser().get(nina.path).location == "/activate"


def test_a_link_that_dies_while_its_page_is_open_binds_nothing_more(one_portal, nina):
    browser = one_portal.browser()
    one_portal.base.clock.advance(LIFE - 30)
    browser.activate_to(one_portal, nina, -1, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(30)
    assert browser.post("/activate/pin", pin=one_portal.last_pin(PHONE)).status_code == 409
    with one_portal.base.database.read() as looking:
        assert all(one.confirmed_at is None for one in people.contacts_of(looking, nina.person.id))


# ---- on another device


@pytest.mark.parametrize("done", [1, 2, 3, 4])
def test_another_device_goes_on_at_the_step_that_is_due_after_phone_and_password(one_portal, nina, done):
    one_portal.browser().activate_to(one_portal, nina, done, PHONE)
    browser = again(one_portal, nina)
    for page in STEPS:
        assert browser.get(page).location == "/activate/resume"
    assert browser.post("/activate/resume", password="not the password at all").status_code == 422
    assert browser.post("/activate/resume", password=NEW_PASSWORD).location == STEPS[done]
    assert browser.get(STEPS[done]).status_code == 200


def test_a_thief_with_mailbox_and_phone_cannot_go_on_without_the_password_that_was_chosen(one_portal, nina):
    one_portal.browser().activate_to(one_portal, nina, 1, PHONE)
    thief = again(one_portal, nina)
    fields = {"new_password": "the thief has chosen this", "confirm_password": "the thief has chosen this"}
    assert thief.post("/activate/password", **fields).status_code == 409
    assert thief.post("/activate/app", label="x", code="123456").status_code == 409
    assert not behind.signs_in(one_portal, "nina", "the thief has chosen this")


def test_a_temporary_password_of_a_mailed_link_is_not_the_one_that_was_chosen(one_portal, nina):
    """With mailbox and phone somebody could bind an app at once, where a recovery holds factors for a day (rule 13)."""
    one_portal.browser().activate_to(one_portal, nina, 1, PHONE)
    one_portal.decide(PRESETS[Profile.CLASSIC])
    one_portal.base.clock.advance(60)
    thief = one_portal.browser()
    thief.get("/forgot")
    thief.post("/forgot", user_id="nina")
    one_portal.deliver()
    [path] = re.findall(r"/forgot/[A-Za-z0-9_-]{43}", "".join(one.text for one in one_portal.mailbox.to(EMAIL)))
    thief.get(path)
    page = thief.get(thief.post(path).location).text
    temporary = re.findall(r'data-temporary-password="([^"]+)"', page)[0]
    thief = again(one_portal, nina)
    assert thief.post("/activate/resume", password=temporary).status_code == 409
    assert thief.get("/activate/app").location != "/activate/app"
    assert thief.post("/activate/app", label="x", code="123456").status_code == 409


def test_the_choice_of_the_password_ends_what_is_open_elsewhere(one_portal, nina):
    slow = one_portal.browser()
    slow.activate_to(one_portal, nina, 0, PHONE)
    fast = again(one_portal, nina)
    fields = {"new_password": NEW_PASSWORD, "confirm_password": NEW_PASSWORD}
    assert fast.post("/activate/password", **fields).location == "/activate/contacts"
    other = {"new_password": "another one altogether", "confirm_password": "another one altogether"}
    assert slow.post("/activate/password", **other).status_code == 409
    assert behind.signs_in(one_portal, "nina", NEW_PASSWORD)


def test_a_new_invitation_goes_on_where_the_old_one_stopped(one_portal, nina):
    one_portal.browser().activate_to(one_portal, nina, 2, PHONE)
    one_portal.base.clock.advance(LIFE + 1)
    fresh = one_portal.invite_again(nina.person, EMAIL)
    browser = again(one_portal, fresh)
    assert browser.post("/activate/resume", password=NEW_PASSWORD).location == "/activate/app"


def test_of_many_confirmations_of_the_app_at_once_one_binds(portal):
    guest = portal.invite("nina", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.activate_to(portal, guest, 2, PHONE)
    page = browser.get("/activate/app")
    token, cookies = (
        browser.token(),
        {name: browser.cookie(name) for name in ("keyturn-task", "keyturn-enroll", "keyturn")},
    )
    seed = behind.key_on(page.text)
    code = behind.code_of(portal, seed)
    # as many as there are tries for one key
    gate, answers = threading.Barrier(5), []

    def press():
        mine = portal.browser()
        for name, value in cookies.items():
            if value:
                mine.client.set_cookie(name, value)
        gate.wait()
        answers.append(mine.post("/activate/app", csrf_token=token, label="Phone", code=code).status_code)

    threads = [threading.Thread(target=press) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303] + [409] * 4
    with portal.base.database.read() as looking:
        assert len(totp_store.of_person(looking, guest.person.id)) == 1


# ---- the codes


def test_the_codes_are_made_by_a_button_and_shown_on_that_device_alone(one_portal, nina):
    browser = one_portal.browser()
    browser.activate_to(one_portal, nina, 3, PHONE)
    before = behind.tables(one_portal)
    assert behind.shown_codes(browser.get("/activate/codes").text) == []
    assert behind.tables(one_portal) == before
    assert browser.post("/activate/codes/saved").status_code == 409
    assert browser.post("/activate/codes").location == "/activate/codes"
    assert len(behind.shown_codes(browser.get("/activate/codes").text)) == 10
    assert browser.post("/activate/codes").status_code == 409  # it would void what was just read
    assert len(behind.shown_codes(browser.get("/activate/codes").text)) == 10
    other = again(one_portal, nina)
    assert other.post("/activate/resume", password=NEW_PASSWORD).location == "/activate/codes"
    assert behind.shown_codes(other.get("/activate/codes").text) == []
    assert other.get("/activate/codes/download").location == "/activate/codes"


def test_after_the_end_nothing_is_shown_and_the_link_is_dead(one_portal, nina):
    browser = activated(one_portal, nina)
    assert browser.get("/activate/codes").location == "/activate/done"
    assert browser.get("/activate/codes/download").location == "/activate/done"
    assert one_portal.browser().get(nina.path).location == "/activate"


# ---- who is told, and what is kept


def test_the_code_and_the_token_are_kept_as_digests_alone(one_portal, omar):
    rows = behind.tables(one_portal)["invitations"]
    kept = repr(rows)
    assert omar.path.rpartition("/")[2] not in kept
    assert omar.code.replace("-", "") not in kept


def test_the_contacts_that_were_filed_cannot_be_altered_on_the_way(one_portal, nina):
    browser = one_portal.browser()
    browser.activate_to(one_portal, nina, 1, PHONE)
    assert browser.post("/activate/contacts", phone="+491709999999", email="thief@example.org").status_code == 303
    with one_portal.base.database.read() as looking:
        assert {one.address for one in people.contacts_of(looking, nina.person.id)} == {PHONE, EMAIL}


def test_the_invited_address_and_the_proved_phone_count_afterwards_at_once(one_portal, nina):
    activated(one_portal, nina)
    with one_portal.base.database.read() as looking:
        usable = people.usable_contacts(looking, nina.person.id, one_portal.base.clock.now())
    assert {one.address for one in usable} == {PHONE, EMAIL}


def test_housekeeping_keeps_what_may_go_on_and_forgets_the_rest(one_portal, nina):
    tidy = Housekeeping(one_portal.base.database, one_portal.base.clock)
    one_portal.base.clock.advance(60 * DAY)
    tidy.tidy()
    with one_portal.base.database.read() as looking:
        assert invitations.unfinished(looking, nina.person.id) is not None
    one_portal.base.clock.advance(60 * DAY)
    tidy.tidy()
    with one_portal.base.database.read() as looking:
        assert invitations.unfinished(looking, nina.person.id) is None


def test_somebody_without_a_mailbox_cannot_be_invited(one_portal):
    person = one_portal.add("paul", phone=PHONE, password="", app=False)
    base = one_portal.base
    inviting = Invitations(
        keyring=base.keyring, chance=base.chance, outbox=one_portal.means.outbox, public_url="http://localhost"
    )
    with base.database.begin() as transaction:
        assert inviting.send(transaction, person, "en", base.clock.now()) is None


def test_rules_about_earlier_passwords_are_printed_where_there_was_one(one_portal, nina):
    browser = one_portal.browser()
    browser.activate_to(one_portal, nina, 0, PHONE)
    assert 'data-rule="current"' not in browser.get("/activate/password").text
    given = one_portal.add("given", phone=PHONE, email="given@example.org", app=False, must_change=True)
    one_portal.base.clock.advance(60)
    other = one_portal.browser()
    other.activate_to(one_portal, one_portal.invite_again(given, "given@example.org"), 0, PHONE)
    assert 'data-rule="current"' in other.get("/activate/password").text
    fields = {"new_password": PASSWORD, "confirm_password": PASSWORD}
    assert other.post("/activate/password", **fields).status_code == 422


def test_a_device_that_was_left_behind_makes_no_codes_once_the_activation_is_over(one_portal, nina):
    left_behind = one_portal.browser()
    left_behind.activate_to(one_portal, nina, 3, PHONE)
    browser = again(one_portal, nina)
    browser.get("/activate/resume")
    assert browser.post("/activate/resume", password=NEW_PASSWORD).location == "/activate/codes"
    browser.get("/activate/codes")
    assert browser.post("/activate/codes").status_code == 303
    kept = behind.shown_codes(browser.get("/activate/codes").text)
    assert browser.post("/activate/codes/saved").location == "/activate/done"
    assert left_behind.post("/activate/codes").status_code == 409
    one_portal.deliver()
    one_portal.base.clock.advance(1_000)
    one_portal.browser().recover_to_pin_by_code("nina", kept[0])


def test_an_activation_whose_account_is_frozen_while_codes_are_drawn_makes_none(one_portal, nina):
    browser = one_portal.browser()
    browser.activate_to(one_portal, nina, 3, PHONE)

    def freeze():
        with one_portal.base.database.begin() as transaction:
            assert people.freeze(transaction, nina.person.id, one_portal.base.chance.name())

    with before_writing(one_portal.base.database, freeze, 2):
        assert browser.post("/activate/codes").status_code == 409
    with one_portal.base.database.read() as looking:
        assert one_portal.means.codes.standing(looking, nina.person.id) is None


def test_whoever_has_recovered_the_account_since_needs_no_invitation_and_has_none(one_portal, nina):
    one_portal.browser().activate_to(one_portal, nina, 3, PHONE)
    one_portal.deliver()
    one_portal.base.clock.advance(1_000)
    forgetful = one_portal.browser()
    forgetful.recover_to_password(one_portal, "nina", PHONE)
    chosen = "yet another fine long passphrase"
    answer = forgetful.post("/recovery/password", new_password=chosen, confirm_password=chosen)
    assert answer.status_code == 303
    # else the link would make codes that wait for nothing, on the very day on which no factor changes
    browser = one_portal.browser()
    assert browser.get(nina.path).location == "/activate"
    assert browser.post(nina.path).status_code == 409


def test_strangers_who_lock_the_sign_in_do_not_close_the_way_on(one_portal, nina):
    one_portal.browser().activate_to(one_portal, nina, 2, PHONE)
    subject = one_portal.means.tries.subject(nina.person.canonical_id, nina.person.id)
    with suppress(Throttled):
        for _ in range(60):
            one_portal.means.tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN)
            one_portal.base.clock.advance(90_000 // 60)
    browser = again(one_portal, nina)
    browser.get("/activate/resume")
    answer = browser.post("/activate/resume", password=NEW_PASSWORD)
    assert answer.status_code == 303, answer.text


def test_an_account_cannot_be_frozen_between_the_look_at_it_and_the_binding_of_its_app(portal):
    guest = portal.invite("nina", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.activate_to(portal, guest, 2, PHONE)
    code = behind.code_of(portal, behind.key_on(browser.get("/activate/app").text))
    frozen = threading.Event()

    def freeze():
        with portal.base.database.begin() as transaction:
            people.freeze(transaction, guest.person.id, portal.base.chance.name())
        frozen.set()

    other = threading.Thread(target=freeze)

    def meanwhile():
        other.start()
        assert not frozen.wait(0.5)

    with before_saying(portal.base.database, "UPDATE invitations", meanwhile):
        assert browser.post("/activate/app", label="Phone", code=code).status_code == 303
    other.join()
    assert frozen.is_set()
