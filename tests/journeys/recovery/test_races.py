"""Two hundred at the same moment: of the right ones exactly one wins, of the wrong ones exactly the limit is judged.

Cognito 2021 judged 1,587 guesses instead of 20, Keycloak (CVE-2024-4629) and Kratos let parallel ones through:
each looked first and counted later.
"""

import pytest
from sqlalchemy import select

from app.foundation.clock import SystemClock
from app.records.attempts.model import Factor
from app.records.flows.store import grants
from tests.journeys import behind
from tests.journeys.recovery.rush import MANY, all_at_once, form, here, over_http, real_server, statuses
from tests.portal import PASSWORD, opened

# where the database decides both are tried; the ephemeral store's scripts are the same text for both
in_one_pair = pytest.mark.parametrize("stores", ["sqlite-valkey"], indirect=True)

PHONE = "+491700000001"
EMAIL = "jane@example.org"
TOKEN, PIN, SEND, NEW, UNLOCK = (
    "/recovery/token",
    "/recovery/pin",
    "/recovery/pin/send",
    "/recovery/password",
    "/recovery/unlock",
)
LOST = {409, 422, 429, 503}  # what those who did not win may hear; a busy store or hasher is no harm


@pytest.fixture(params=["sqlite-valkey", "postgresql-redis"])
def stores(request):
    """Both kinds of database and both kinds of store, in two pairs."""
    kind, store = request.param.split("-")
    server = request.getfixturevalue(f"{store}_server")
    server.flush()
    return request.getfixturevalue(f"{kind}_database"), server.url


@pytest.fixture
def portal(stores, clock, keyring):
    database, url = stores
    with opened(database, url, clock, keyring, limit_tries_per_address=1_000_000) as portal:
        portal.add("jane", phone=PHONE, email=EMAIL)
        yield portal


def jane(portal):
    with portal.base.database.read() as looking:
        from app.records.people import store as people

        return people.find(looking, "jane")


def at_pin(portal, user_id="jane"):
    browser = portal.browser()
    browser.recover_to_pin(portal, user_id)
    portal.deliver()
    return browser, behind.pins_by_sms(portal, PHONE)[-1]


def at_password(portal):
    browser = portal.browser()
    browser.recover_to_password(portal, "jane", PHONE)
    return browser


def codes_from_everywhere(portal, user_id, code):
    """The same code for one person, from fifty flows in fifty networks, four times each."""
    browser = portal.browser()
    token = browser.token()
    forms = []
    for number in range(MANY // 4):
        browser.environ["REMOTE_ADDR"] = f"198.51.{number}.7"
        assert browser.post("/recovery", csrf_token=token, user_id=user_id).status_code == 303
        forms.append(form(browser, TOKEN, code=code))
    return forms * 4


def exactly_one(answers, location):
    seen = statuses(answers)
    assert set(seen) <= LOST | {303}, seen
    winners = [answer for answer in answers if answer.status == 303]
    assert len(winners) == 1, seen
    assert winners[0].location == location
    return winners[0]


def wrong_pin(pin, number):
    """Different ones, none of them right."""
    return f"{(int(pin) + 1 + number) % 1_000_000:06d}"


# ---- threads of one process


@in_one_pair
def test_of_many_right_codes_in_one_flow_one_wins_and_one_pin_is_sent(portal):
    browser = portal.browser()
    browser.recover_to_token("jane")
    exactly_one(here(portal, [form(browser, TOKEN, code=portal.code("jane"))] * MANY), PIN)
    assert behind.happened(portal, jane(portal).id, "authn_token_success") == 1
    assert len(behind.queued(portal)) == 1


def test_of_many_flows_with_the_same_right_code_one_wins(portal):
    forms = codes_from_everywhere(portal, "jane", portal.code("jane"))
    exactly_one(here(portal, forms), PIN)
    assert len(behind.queued(portal)) == 1


def test_of_many_right_pins_one_wins_and_one_grant_is_given(portal):
    browser, pin = at_pin(portal)
    exactly_one(here(portal, [form(browser, PIN, pin=pin)] * MANY), NEW)
    assert len(behind.tables(portal)["recovery_grants"]) == 1


def test_of_many_new_passwords_one_wins_and_is_the_password(portal):
    browser = at_password(portal)
    wanted = [f"the long new passphrase {number}" for number in range(MANY)]
    forms = [form(browser, NEW, new_password=one, confirm_password=one) for one in wanted]
    exactly_one(here(portal, forms), "/recovery/done")
    assert behind.happened(portal, jane(portal).id, "authn_password_change") == 1
    assert len(behind.queued(portal, "notice_password_changed")) == 2
    assert not behind.signs_in(portal, "jane", PASSWORD)
    with portal.base.database.read() as looking:
        record = portal.means.passwords.find(looking, jane(portal).id)
    assert sum(portal.means.passwords.check(record, one) for one in wanted) == 1


@in_one_pair
def test_of_many_unlockings_one_wins(portal):
    portal.lock(jane(portal))
    browser = at_password(portal)
    exactly_one(here(portal, [form(browser, UNLOCK)] * MANY), "/recovery/done")
    assert behind.happened(portal, jane(portal).id, "authn_login_unlock") == 1
    assert len(behind.queued(portal, "notice_unlocked")) == 2


def test_of_an_unlocking_and_a_new_password_at_once_one_wins(portal):
    portal.lock(jane(portal))
    browser = at_password(portal)
    new = "the long new passphrase"
    forms = [form(browser, UNLOCK), form(browser, NEW, new_password=new, confirm_password=new)] * 9
    exactly_one(here(portal, forms), "/recovery/done")
    person = jane(portal)
    changed = behind.happened(portal, person.id, "authn_password_change")
    assert changed + behind.happened(portal, person.id, "authn_login_unlock") == 1


def test_of_two_recoveries_of_one_person_that_finish_at_once_one_wins(portal):
    first = at_password(portal)
    portal.base.clock.advance(30)
    second = at_password(portal)
    forms = [
        form(
            browser,
            NEW,
            new_password=f"the long new passphrase {name}",
            confirm_password=f"the long new passphrase {name}",
        )
        for name, browser in ((1, first), (2, second))
    ] * 9
    exactly_one(here(portal, forms), "/recovery/done")
    with portal.base.database.read() as looking:
        left = looking.execute(select(grants.c.spent_at, grants.c.expires_at)).all()
    assert len(left) == 2
    assert [expires_at for spent_at, expires_at in left if spent_at is None] == [0]  # one was spent, one revoked


def test_of_many_wrong_codes_exactly_five_are_judged(portal):
    forms = codes_from_everywhere(portal, "jane", portal.wrong_code("jane"))
    seen = statuses(here(portal, forms))
    assert set(seen) <= LOST
    assert behind.happened(portal, jane(portal).id, "authn_token_fail") == seen[422] == 5


@in_one_pair
def test_of_many_wrong_codes_for_nobody_exactly_five_are_judged(portal):
    forms = codes_from_everywhere(portal, "nobody", "123456")
    assert statuses(here(portal, forms))[422] == 5


@in_one_pair
def test_of_many_wrong_pins_in_one_flow_exactly_five_are_judged(portal):
    browser, pin = at_pin(portal)
    seen = statuses(here(portal, [form(browser, PIN, pin=wrong_pin(pin, number)) for number in range(MANY)]))
    assert set(seen) <= LOST
    assert behind.happened(portal, jane(portal).id, "authn_pin_fail") == 5
    assert browser.post(PIN, pin=pin).status_code == 409


def test_of_many_wrong_pins_in_several_flows_exactly_five_are_judged(portal):
    forms = []
    for _ in range(3):  # a number gets three messages in a quarter of an hour
        browser, pin = at_pin(portal)
        forms += [form(browser, PIN, pin=wrong_pin(pin, number)) for number in range(MANY // 3)]
        portal.base.clock.advance(30)
    assert set(statuses(here(portal, forms))) <= LOST
    assert behind.happened(portal, jane(portal).id, "authn_pin_fail") == 5


@in_one_pair
def test_the_right_pin_among_many_wrong_ones_is_judged_only_within_the_five(portal):
    browser, pin = at_pin(portal)
    forms = [form(browser, PIN, pin=wrong_pin(pin, number)) for number in range(MANY - 1)]
    forms.insert(MANY // 2, form(browser, PIN, pin=pin))
    seen = statuses(here(portal, forms))
    assert set(seen) <= LOST | {303}
    assert seen[303] <= 1
    person = jane(portal)
    judged = behind.happened(portal, person.id, "authn_pin_fail") + behind.happened(
        portal, person.id, "authn_pin_success"
    )
    assert judged <= 5


@in_one_pair
def test_of_many_wrong_passwords_exactly_five_are_hashed(portal):
    browser = portal.browser()
    browser.post("/sign-in", user_id="jane")
    hashed = portal.base.hasher.done
    forms = [form(browser, "/sign-in/password", password=f"a wrong guess, number {n}") for n in range(MANY)]
    seen = statuses(here(portal, forms))
    assert set(seen) <= LOST
    assert portal.base.hasher.done - hashed == behind.happened(portal, jane(portal).id, "authn_login_fail") == 5


@in_one_pair
def test_of_many_right_passwords_in_one_flow_one_wins(portal):
    browser = portal.browser()
    browser.post("/sign-in", user_id="jane")
    exactly_one(here(portal, [form(browser, "/sign-in/password", password=PASSWORD)] * MANY), "/sign-in/verify")


@in_one_pair
def test_of_many_who_ask_for_another_pin_one_is_sent_it(portal):
    browser, _ = at_pin(portal)
    portal.base.clock.advance(30)
    seen = statuses(here(portal, [form(browser, SEND, channel="sms")] * MANY))
    assert seen[303] == 1
    assert len(behind.queued(portal)) == 2


@in_one_pair
def test_of_many_starts_from_one_address_exactly_sixty_are_admitted(portal):
    browser = portal.browser()
    token = browser.token()
    assert token
    seen = statuses(here(portal, [form(browser, "/recovery", user_id="jane")] * MANY))
    assert seen == {303: 60, 429: MANY - 60}


@in_one_pair
def test_a_hasher_in_a_flood_counts_only_what_it_judged(portal):
    """Whoever is turned away gives the try back: a flood must not lock anybody out, nor let more through."""
    persons = [portal.add(f"p{number}", app=False) for number in range(40)]
    forms = []
    for person in persons:
        browser = portal.browser(REMOTE_ADDR=f"198.51.100.{person.id}")
        browser.post("/sign-in", user_id=person.user_id)
        forms += [form(browser, "/sign-in/password", password=f"wrong {number}") for number in range(4)]
    hashed = portal.base.hasher.done
    seen = statuses(here(portal, forms))
    assert set(seen) <= {422, 503}
    assert portal.base.hasher.done - hashed == seen[422]
    with portal.base.database.read() as looking:
        counted = sum(
            portal.means.tries.standing(looking, person.id, Factor.PASSWORD).consecutive for person in persons
        )
    assert counted == seen[422]


# ---- processes: the same against the real server with its workers


def test_the_same_holds_among_the_processes_of_the_real_server(stores, keyring, tmp_path):
    database, url = stores
    with (
        opened(database, url, SystemClock(), keyring) as portal,
        real_server(portal.base.settings.database_url, url, keyring, tmp_path) as port,
    ):
        # right codes, then right PINs, then new passwords, each two hundred at once
        portal.add("jane", phone=PHONE, email=EMAIL)
        person = jane(portal)
        forms = codes_from_everywhere(portal, "jane", portal.code("jane"))
        won = exactly_one(over_http(port, forms), PIN)
        portal.deliver()
        pin = behind.pins_by_sms(portal, PHONE)[-1]
        won = exactly_one(
            over_http(port, [type(forms[0])(PIN, {**forms[0].fields, "pin": pin}, won.cookies, "")] * MANY), NEW
        )
        wanted = [f"the long new passphrase {number}" for number in range(MANY)]
        finishes = [
            type(forms[0])(NEW, {**forms[0].fields, "new_password": one, "confirm_password": one}, won.cookies, "")
            for one in wanted
        ]
        exactly_one(over_http(port, finishes), "/recovery/done")
        assert behind.happened(portal, person.id, "authn_password_change") == 1
        assert len(behind.queued(portal, "notice_password_changed")) == 2
        assert len(behind.tables(portal)["recovery_grants"]) == 1

        # wrong ones: the limit, and no more
        omar = portal.add("omar", phone="+491700000002")
        forms = codes_from_everywhere(portal, "omar", portal.wrong_code("omar"))
        assert set(statuses(over_http(port, forms))) <= LOST
        assert behind.happened(portal, omar.id, "authn_token_fail") == 5

        ana = portal.add("ana", phone="+491700000003")
        browser = portal.browser()
        browser.recover_to_pin(portal, "ana")
        portal.deliver()
        pin = behind.pins_by_sms(portal, "+491700000003")[-1]
        forms = [form(browser, PIN, pin=wrong_pin(pin, number)) for number in range(MANY)]
        assert set(statuses(over_http(port, forms))) <= LOST
        assert behind.happened(portal, ana.id, "authn_pin_fail") == 5

        browser.post("/sign-in", user_id="ana")
        forms = [form(browser, "/sign-in/password", password=f"a wrong guess, number {n}") for n in range(MANY)]
        assert set(statuses(over_http(port, forms))) <= LOST
        assert behind.happened(portal, ana.id, "authn_login_fail") == 5


def test_all_at_once_really_is_at_once():
    """The tests above would prove nothing if their threads ran one after the other."""
    import threading

    inside, most, lock = 0, 0, threading.Lock()
    gate = threading.Event()

    def job():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == MANY:
                gate.set()
        gate.wait(30)
        return True

    assert all(all_at_once([job] * MANY))
    assert most == MANY
