"""Every page and every form of the recovery in every state: shown, sent on, or refused, and never advanced by it.

The root of the worst holes of recent years is a proof that was not bound to account, flow, step and time
(Keycloak CVE-2026-18963, authentik CVE-2026-49443 and CVE-2023-26481).
"""

import json
import re

import pytest

from app.records.attempts.model import Door, Factor
from app.records.people import store as people
from app.records.people.model import Status
from tests.edges import refuse
from tests.journeys import behind
from tests.journeys.behind import RECOVERY, SIGN_IN
from tests.portal import NEW_PASSWORD, PASSWORD

PHONE = "+491700000001"
EMAIL = "jane@example.org"
OTHER_PASSWORD = "a third and different phrase"

TOKEN, PIN, NEW, DONE, START, SIGN_IN_PAGE = (
    "/recovery/token",
    "/recovery/pin",
    "/recovery/password",
    "/recovery/done",
    "/recovery",
    "/sign-in",
)


def jane(portal):
    return portal.add("jane", phone=PHONE, email=EMAIL)


def pin_of(portal):
    portal.deliver()
    return behind.pins_by_sms(portal, PHONE)[-1]


def finish(browser, password=NEW_PASSWORD):
    return browser.post(NEW, new_password=password, confirm_password=password)


def keep_cookie(browser):
    """What a browser still holds whose next answer gets lost."""
    held = browser.cookie(RECOVERY)
    assert held
    return held


def restore(browser, cookie, name=RECOVERY):
    browser.client.set_cookie(name, cookie)


# ---- the states, each with the page that is due in it


def no_flow(portal, browser):
    browser.get(START)


def at_token(portal, browser):
    browser.recover_to_token("jane")


def at_pin(portal, browser):
    browser.recover_to_pin(portal, "jane")


def at_pin_where_none_could_be_delivered(portal, browser):
    portal.phone.plan(refuse(400, 21610))
    browser.recover_to_pin(portal, "jane")
    portal.deliver()


def at_password(portal, browser):
    browser.recover_to_password(portal, "jane", PHONE)


def at_done(portal, browser):
    at_password(portal, browser)
    assert finish(browser).status_code == 303


def closed(portal, browser):
    at_pin(portal, browser)
    right = pin_of(portal)
    wrong = "000000" if right != "000000" else "000001"
    answers = [browser.post(PIN, pin=wrong).status_code for _ in range(5)]
    assert answers == [422, 422, 422, 422, 409]


def expired_at_token(portal, browser):
    at_token(portal, browser)
    portal.base.clock.advance(900)


def expired_at_pin(portal, browser):
    at_token(portal, browser)
    portal.base.clock.advance(400)
    assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303
    portal.base.clock.advance(290)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    portal.base.clock.advance(210)  # the PIN and the first proof are young enough, the flow is not


def expired_at_password(portal, browser):
    at_token(portal, browser)
    portal.base.clock.advance(500)
    assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303
    assert browser.post(PIN, pin=pin_of(portal)).status_code == 303
    portal.base.clock.advance(400)


def stale_first_proof_at_pin(portal, browser):
    at_pin(portal, browser)
    portal.base.clock.advance(590)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    portal.base.clock.advance(10)  # the PIN is young


def stale_first_proof_at_password(portal, browser):
    at_pin(portal, browser)
    portal.base.clock.advance(290)
    assert browser.post(PIN, pin=pin_of(portal)).status_code == 303
    portal.base.clock.advance(310)


def old_cookie_of_token(portal, browser):
    at_token(portal, browser)
    held = keep_cookie(browser)
    assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303
    restore(browser, held)


def old_cookie_of_pin(portal, browser):
    at_pin(portal, browser)
    held = keep_cookie(browser)
    assert browser.post(PIN, pin=pin_of(portal)).status_code == 303
    restore(browser, held)


def old_cookie_of_password(portal, browser):
    at_password(portal, browser)
    held = keep_cookie(browser)
    assert finish(browser).status_code == 303
    restore(browser, held)


def a_cookie_that_we_never_gave(portal, browser):
    restore(browser, "x" * 43)


def the_cookie_of_a_sign_in(portal, browser):
    browser.post("/sign-in", user_id="jane")
    restore(browser, str(browser.cookie(SIGN_IN)))
    browser.client.delete_cookie(SIGN_IN)


STATES = {
    no_flow: START,
    at_token: TOKEN,
    at_pin: PIN,
    at_pin_where_none_could_be_delivered: PIN,
    at_password: NEW,
    at_done: DONE,
    closed: START,
    expired_at_token: START,
    expired_at_pin: START,
    expired_at_password: START,
    stale_first_proof_at_pin: START,
    stale_first_proof_at_password: START,
    old_cookie_of_token: PIN,
    old_cookie_of_pin: NEW,
    old_cookie_of_password: DONE,
    a_cookie_that_we_never_gave: START,
    the_cookie_of_a_sign_in: START,
}
# where a browser goes that lost the newer cookie: to the start, but with its recovery behind it to where one signs in
LOST = {old_cookie_of_token: START, old_cookie_of_pin: START, old_cookie_of_password: SIGN_IN_PAGE}
PAGES = (TOKEN, PIN, NEW, DONE)
# forms that have no page of their own: who types their address is taken to the page where they stand
HOMES = {"/recovery/pin/send": PIN, "/recovery/unlock": NEW}


@pytest.fixture(params=STATES, ids=lambda state: state.__name__)
def state(request, one_portal, valkey_url):
    """A state, the browser in it, and what is due there."""
    browser = one_portal.browser()
    person = jane(one_portal)
    one_portal.lock(person)  # so that "only unlock" would have something to do
    request.param(one_portal, browser)
    one_portal.deliver()
    return request.param, browser, STATES[request.param]


def test_a_page_out_of_order_sends_the_visitor_to_the_step_that_is_due(state, one_portal):
    which, browser, due = state
    before = behind.tables(one_portal)
    for page in (*PAGES, *HOMES):
        answer = browser.get(page)
        if page == due and which not in LOST:
            assert answer.status_code == 200, page
            continue
        wanted = HOMES[page] if page in HOMES and HOMES[page] == due and which not in LOST else due
        if which in LOST and HOMES.get(page, page) == due:
            wanted = LOST[which]  # the newer cookie that the step needs is lost: sending there again would never end
        assert (answer.status_code, answer.location) == (303, wanted), page
    # wherever one goes one ends at a page that is shown
    for page in (*PAGES, *HOMES, START, "/recovery/other-ways"):
        last = behind.lands_on(browser, page)
        if page in {START, "/recovery/other-ways"}:
            assert last == page
        else:
            assert last == LOST.get(which, due), page
    # and the status of a PIN is told where the PIN is due, and nowhere else
    answer = browser.get("/recovery/pin/status")
    assert answer.mimetype == "application/json"
    if due == PIN and which not in LOST:
        assert answer.status_code == 200
        assert set(answer.json) == {"channel", "destination", "state", "resend_in", "expires_in", "tries_left"}
    else:
        assert answer.status_code == 409
        assert answer.json["due"] == (START if which in LOST and due == PIN else due)
    assert behind.tables(one_portal) == before


def test_a_form_out_of_order_is_refused_with_a_link_to_the_step_that_is_due_and_does_nothing(
    state, one_portal, valkey_url
):
    which, browser, due = state
    pins = behind.pins_by_sms(one_portal, PHONE)
    one_portal.base.clock.advance(30)  # a fresh code, and no wait before sending
    forms = {
        TOKEN: (TOKEN, {"code": one_portal.code("jane")}),
        PIN: (PIN, {"pin": pins[-1] if pins else "123456"}),
        "/recovery/pin/send": (PIN, {"channel": "email"}),
        NEW: (NEW, {"new_password": OTHER_PASSWORD, "confirm_password": OTHER_PASSWORD}),
        "/recovery/unlock": (NEW, {}),
    }
    shown, sent = behind.tables(one_portal), behind.stored(valkey_url)
    cookie = browser.cookie(RECOVERY)
    for path, (home, fields) in forms.items():
        if home == due and which not in LOST:
            continue
        answer = browser.post(path, **fields)
        wanted = START if which in LOST and home == due else due
        assert answer.status_code == 409, (path, answer.text)
        assert f'href="{wanted}"' in answer.text, path
        assert browser.cookie(RECOVERY) == cookie
    assert behind.tables(one_portal) == shown  # no try counted, no proof, no message, no password
    assert behind.stored(valkey_url) == sent  # no flow moved on


def test_an_empty_form_completes_no_step_and_one_can_always_start_anew(state, one_portal):
    """Authentik CVE-2026-49443: a stage that was passed by posting nothing."""
    which, browser, due = state
    before = behind.tables(one_portal)["people"], behind.tables(one_portal)["passwords"]
    for path in (TOKEN, PIN, "/recovery/pin/send", NEW):
        assert browser.post(path).status_code in {409, 422}, path
    assert browser.post(START).status_code == 422
    assert (behind.tables(one_portal)["people"], behind.tables(one_portal)["passwords"]) == before
    assert behind.lands_on(browser, DONE) == LOST.get(which, due)
    assert browser.get(START).status_code == 200
    assert browser.post(START, user_id="jane").location == TOKEN
    assert behind.lands_on(browser, TOKEN) == TOKEN


# ---- twice, back, in two tabs, without cookies


def test_a_code_sent_twice_advances_once_and_queues_one_pin(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    held, code = keep_cookie(browser), one_portal.code("jane")
    assert browser.post(TOKEN, code=code).status_code == 303
    newer = keep_cookie(browser)
    restore(browser, held)
    again = browser.post(TOKEN, code=code)
    assert again.status_code == 409
    assert f'href="{PIN}"' in again.text
    assert len(behind.queued(one_portal)) == 1
    restore(browser, newer)  # the first answer arrived after all
    assert behind.lands_on(browser, PIN) == PIN


def test_a_pin_sent_twice_advances_once(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    held, pin = keep_cookie(browser), pin_of(one_portal)
    assert browser.post(PIN, pin=pin).status_code == 303
    newer = keep_cookie(browser)
    restore(browser, held)
    again = browser.post(PIN, pin=pin)
    assert again.status_code == 409
    assert f'href="{NEW}"' in again.text
    restore(browser, newer)
    assert behind.lands_on(browser, NEW) == NEW


def told_that_it_is_done(answer, *links):
    """The second of two forms: what the first one did is not denied, and one can sign in."""
    assert answer.status_code == 409
    assert "What you sent first was carried out" in answer.text
    main = answer.text.partition("<main>")[2].partition("</main>")[0]
    assert re.findall('href="([^"]+)"', main) == [SIGN_IN_PAGE, *links]


def test_a_new_password_sent_twice_is_set_once_and_told_once(one_portal):
    person = jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    held = keep_cookie(browser)
    assert finish(browser).status_code == 303
    newer = keep_cookie(browser)
    restore(browser, held)
    told_that_it_is_done(finish(browser, OTHER_PASSWORD), DONE)
    assert behind.lands_on(browser, DONE) == SIGN_IN_PAGE
    restore(browser, newer)
    told_that_it_is_done(finish(browser, OTHER_PASSWORD), DONE)
    assert behind.lands_on(browser, DONE) == DONE
    assert behind.happened(one_portal, person.id, "authn_password_change") == 1
    assert len(behind.queued(one_portal, "notice_password_changed")) == 2
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD)


def test_an_unlocking_sent_twice_is_done_once(one_portal):
    person = jane(one_portal)
    one_portal.lock(person)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    held = keep_cookie(browser)
    assert browser.post("/recovery/unlock").status_code == 303
    restore(browser, held)
    told_that_it_is_done(browser.post("/recovery/unlock"), DONE)
    assert behind.happened(one_portal, person.id, "authn_login_unlock") == 1
    assert len(behind.queued(one_portal, "notice_unlocked")) == 2


def test_the_back_button_leads_forward_again(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    token_page = browser.page
    browser.post(TOKEN, code=one_portal.code("jane"))
    browser.get(PIN)
    pin_page = browser.page
    browser.post(PIN, pin=pin_of(one_portal))
    one_portal.base.clock.advance(30)
    for page, path, fields in ((pin_page, PIN, {"pin": "123456"}), (token_page, TOKEN, {"code": "123456"})):
        browser.page = page
        answer = browser.post(path, **fields)
        assert answer.status_code == 409
        assert f'href="{NEW}"' in answer.text
    browser.get(NEW)
    assert finish(browser).location == DONE


def test_a_second_tab_that_starts_anew_makes_the_first_tab_follow_it(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    pin, first_tab = pin_of(one_portal), browser.page
    browser.recover_to_token("jane")  # the second tab, with the same cookies
    browser.page = first_tab
    answer = browser.post(PIN, pin=pin)
    assert answer.status_code == 409
    assert f'href="{TOKEN}"' in answer.text


def test_a_new_pin_asked_for_in_one_tab_voids_the_one_that_the_other_tab_waits_for(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    first = pin_of(one_portal)
    one_portal.base.clock.advance(30)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    second = pin_of(one_portal)
    assert browser.post(PIN, pin=first).status_code == 422
    assert browser.post(PIN, pin=second).status_code == 303


def test_without_the_flow_cookie_one_starts_again_and_without_any_the_form_is_refused(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    pin = pin_of(one_portal)
    held = keep_cookie(browser)
    browser.client.delete_cookie(RECOVERY)
    answer = browser.post(PIN, pin=pin)
    assert answer.status_code == 409
    assert f'href="{START}"' in answer.text
    restore(browser, held)
    browser.client.delete_cookie("keyturn")
    assert browser.post(PIN, pin=pin).status_code == 400
    browser.get(PIN)
    assert browser.post(PIN, pin=pin).status_code == 303


def test_a_form_of_another_browser_is_refused_with_the_flow_of_this_one(one_portal):
    """The token of a form belongs to the browser that it was made for; the flow alone does not make it good."""
    jane(one_portal)
    own, other = one_portal.browser(), one_portal.browser(REMOTE_ADDR="203.0.113.9")
    own.recover_to_password(one_portal, "jane", PHONE)
    before = behind.tables(one_portal)
    foreign = other.token()
    for path, fields in (
        (NEW, {"new_password": OTHER_PASSWORD, "confirm_password": OTHER_PASSWORD}),
        ("/recovery/unlock", {}),
        (START, {"user_id": "jane"}),
    ):
        assert own.post(path, csrf_token=foreign, **fields).status_code == 400
        assert own.post(path, token=False, **fields).status_code == 400
    assert behind.tables(one_portal) == before
    assert finish(own).status_code == 303


def test_a_flow_planted_in_the_owners_browser_is_of_no_use_to_the_thief_once_the_owner_proved_something(one_portal):
    """Fixation: whoever knows the cookie before a proof must not hold the flow after it (requirements S1-08)."""
    jane(one_portal)
    thief, owner = one_portal.browser(REMOTE_ADDR="203.0.113.9"), one_portal.browser()
    thief.recover_to_token("jane")
    owner.get(START)
    restore(owner, keep_cookie(thief))
    owner.get(TOKEN)
    assert owner.post(TOKEN, code=one_portal.code("jane")).status_code == 303
    assert owner.post(PIN, pin=pin_of(one_portal)).status_code == 303
    before = behind.tables(one_portal)
    assert finish(thief).status_code == 409
    assert thief.post("/recovery/unlock").status_code == 409
    assert thief.post(PIN, pin=pin_of(one_portal)).status_code == 409
    assert behind.lands_on(thief, NEW) == START
    assert behind.tables(one_portal) == before


# ---- the sign-in that carries the User ID


def carrying(portal, user_id="jane"):
    browser = portal.browser()
    browser.get("/sign-in")
    assert browser.post("/sign-in", user_id=user_id).status_code == 303
    browser.get("/sign-in/password")
    assert "Password locked or forgotten?" in browser.page.text
    return browser


def test_the_link_on_the_sign_in_page_carries_the_user_id_and_starts_nothing_before_a_code_is_posted(
    one_portal, valkey_url
):
    jane(one_portal)
    browser = carrying(one_portal)
    kept = behind.stored(valkey_url)
    assert browser.get(START).location == TOKEN
    assert "jane" in browser.get(TOKEN).text
    assert behind.stored(valkey_url) == kept
    assert browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 422
    assert browser.post(TOKEN, code=one_portal.code("jane")).location == PIN
    assert browser.cookie(SIGN_IN) is None
    assert browser.post(PIN, pin=pin_of(one_portal)).location == NEW
    assert finish(browser).location == DONE


def test_a_user_id_that_is_typed_or_prefilled_goes_before_the_carried_one(one_portal):
    jane(one_portal)
    one_portal.add("omar", email="omar@example.org")
    browser = carrying(one_portal, "omar")
    assert browser.get("/recovery?user_id=jane").status_code == 200
    assert browser.post(START, user_id="jane").status_code == 303
    assert browser.cookie(SIGN_IN) is None
    browser.get(TOKEN)
    assert browser.post(TOKEN, code=one_portal.code("omar")).status_code == 422
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 303


def test_an_old_sign_in_does_not_take_over_a_recovery_under_way(one_portal):
    jane(one_portal)
    one_portal.add("omar", email="omar@example.org")
    browser = carrying(one_portal, "omar")
    older = str(browser.cookie(SIGN_IN))
    one_portal.base.clock.advance(1)
    browser.recover_to_pin(one_portal, "jane")
    restore(browser, older, SIGN_IN)
    assert browser.get(TOKEN).location == PIN
    assert browser.post(TOKEN, code=one_portal.code("omar")).status_code == 409
    assert browser.post(PIN, pin=pin_of(one_portal)).status_code == 303


def test_a_sign_in_whose_time_is_over_carries_nothing(one_portal):
    jane(one_portal)
    browser = carrying(one_portal)
    one_portal.base.clock.advance(900)
    assert browser.get(START).status_code == 200
    assert browser.get(TOKEN).location == START
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 409


def test_a_right_password_at_sign_in_is_no_proof_in_a_recovery(one_portal):
    jane(one_portal)
    browser = carrying(one_portal)
    assert browser.post("/sign-in/password", password=PASSWORD).location == "/sign-in/verify"
    assert behind.lands_on(browser, NEW) == TOKEN
    assert browser.post(PIN, pin="123456").status_code == 409
    assert finish(browser).status_code == 409
    assert browser.post(TOKEN, code=one_portal.wrong_code("jane")).status_code == 422


def test_a_recovery_flow_is_no_sign_in_flow(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    restore(browser, keep_cookie(browser), SIGN_IN)
    assert browser.get("/sign-in/verify").location == "/sign-in"
    assert browser.get("/sign-in/password").location == "/sign-in"
    assert browser.post("/sign-in/password", password=PASSWORD).status_code == 409


# ---- "Alternative Authentication" chooses a way and completes nothing


@pytest.mark.parametrize("extra", [{}, {"pin": "123456", "code": "123456", "state": "password", "user_id": "jane"}])
def test_alternative_authentication_never_completes_a_step(one_portal, extra):
    """Keycloak CVE-2026-18963: "try another way" left a note that passed for the proof."""
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    for channel in ("sms", "email"):
        assert browser.post("/recovery/pin/send", channel=channel, **extra).status_code == 409
        assert behind.lands_on(browser, PIN) == TOKEN
    assert behind.queued(one_portal) == []
    browser.post(TOKEN, code=one_portal.code("jane"))
    for channel in ("email", "sms", "email", "voice", "", "email"):
        one_portal.base.clock.advance(60)
        assert browser.post("/recovery/pin/send", channel=channel, **extra).status_code in {303, 422, 429}
        for page in (NEW, DONE, "/recovery/unlock"):
            assert browser.get(page).location == PIN
        assert finish(browser).status_code == 409
        assert browser.post("/recovery/unlock").status_code == 409
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_the_page_of_other_ways_is_the_same_for_everybody_and_completes_nothing(one_portal):
    jane(one_portal)
    known, unknown, nobody = (one_portal.browser() for _ in range(3))
    known.recover_to_token("jane")
    unknown.recover_to_token("nobody")
    pages = {
        browser.get("/recovery/other-ways").text.replace(browser.token(), "") for browser in (known, unknown, nobody)
    }
    assert len(pages) == 1
    assert behind.lands_on(known, PIN) == TOKEN


# ---- a PIN belongs to its flow (requirements B-08)


def two_flows(portal, second="jane"):
    one, other = portal.browser(), portal.browser(REMOTE_ADDR="192.0.2.11")
    one.recover_to_pin(portal, "jane")
    portal.base.clock.advance(30)
    other.recover_to_pin(portal, second)
    portal.deliver()
    return one, other


def test_a_pin_of_one_flow_is_wrong_in_another_of_the_same_person(portal):
    jane(portal)
    one, other = two_flows(portal)
    first, second = behind.pins_by_sms(portal, PHONE)
    assert other.post(PIN, pin=first).status_code == 422
    assert one.post(PIN, pin=second).status_code == 422
    assert other.post(PIN, pin=second).status_code == 303
    assert one.post(PIN, pin=first).status_code == 303


def test_a_pin_of_one_person_is_wrong_for_another_even_on_the_same_phone(portal):
    jane(portal)
    portal.add("omar", phone=PHONE)
    one, other = two_flows(portal, "omar")
    first, second = behind.pins_by_sms(portal, PHONE)
    assert one.post(PIN, pin=second).status_code == 422
    assert other.post(PIN, pin=first).status_code == 422
    assert one.post(PIN, pin=first).status_code == 303
    assert other.post(PIN, pin=second).status_code == 303


def test_a_pin_moved_to_another_flow_in_the_store_is_wrong_there(one_portal):
    """Authelia, Cure53 ATH-01-014: the challenge of one flow passed in another. Here its hash would not fit."""
    jane(one_portal)
    one, other = two_flows(one_portal)
    first = behind.pins_by_sms(one_portal, PHONE)[0]
    store = one_portal.base.ephemeral
    keys = [behind.flow_key(browser.cookie(RECOVERY)) for browser in (one, other)]
    flows = [json.loads(store.get(key)) for key in keys]
    flows[1]["notes"]["pin"] = flows[0]["notes"]["pin"]
    store.put(keys[1], json.dumps(flows[1]).encode(), 1_800)
    assert other.post(PIN, pin=first).status_code == 422
    assert one.post(PIN, pin=first).status_code == 303


def test_a_code_of_one_person_proves_nothing_for_another(portal):
    jane(portal)
    portal.add("omar", email="omar@example.org")
    browser = portal.browser()
    browser.recover_to_token("jane")
    assert browser.post(TOKEN, code=portal.code("omar"), user_id="omar").status_code == 422
    assert behind.lands_on(browser, PIN) == TOKEN


# ---- proofs age (requirements A-25)


def test_a_first_proof_is_good_for_ten_minutes(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    one_portal.base.clock.advance(590)
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303
    pin = pin_of(one_portal)
    one_portal.base.clock.advance(9)
    assert browser.get(PIN).status_code == 200
    one_portal.base.clock.advance(1)
    assert browser.post(PIN, pin=pin).status_code == 409
    assert browser.get(PIN).location == START


@pytest.mark.parametrize(("seconds", "status"), [(299, 303), (300, 409)])
def test_a_new_password_needs_both_proofs_to_be_fresh(one_portal, seconds, status):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    pin = pin_of(one_portal)
    one_portal.base.clock.advance(299)
    assert browser.post(PIN, pin=pin).status_code == 303
    one_portal.base.clock.advance(seconds + 1)
    assert finish(browser).status_code == status
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD if status == 303 else PASSWORD)


@pytest.mark.parametrize(("seconds", "status"), [(899, 303), (900, 409)])
def test_a_flow_ends_after_fifteen_minutes_however_fresh_its_proofs_are(one_portal, seconds, status):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    one_portal.base.clock.advance(800)
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 303
    assert browser.post(PIN, pin=pin_of(one_portal)).status_code == 303
    one_portal.base.clock.advance(seconds - 800)
    assert finish(browser).status_code == status


# ---- at most twenty candidates a flow (security rule 8)


def test_a_flow_judges_twenty_candidates_and_no_more(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    for _ in range(19):
        assert browser.post(NEW, new_password="short", confirm_password="short").status_code == 422
    answer = browser.post(NEW, new_password="short", confirm_password="short")
    assert answer.status_code == 409
    assert f'href="{START}"' in answer.text
    hashed = one_portal.base.hasher.done
    assert finish(browser).status_code == 409
    assert one_portal.base.hasher.done == hashed
    assert behind.lands_on(browser, NEW) == START
    assert browser.post("/recovery/unlock").status_code == 409
    assert behind.signs_in(one_portal, "jane", PASSWORD)


def test_a_candidate_that_found_the_hasher_busy_was_not_judged_and_does_not_count(one_portal):
    jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    one_portal.base.hasher.close()  # takes no more work, as when its queue is full
    for _ in range(25):
        answer = finish(browser)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"].isdecimal()
    assert behind.lands_on(browser, NEW) == NEW


# ---- what happens elsewhere meanwhile


def test_a_recovery_finished_elsewhere_ends_every_other_of_the_person(portal):
    jane(portal)
    at = {name: portal.browser(REMOTE_ADDR=f"192.0.2.{20 + n}") for n, name in enumerate((TOKEN, PIN, NEW, "winner"))}
    at[TOKEN].recover_to_token("jane")
    at[PIN].recover_to_pin(portal, "jane")
    portal.deliver()
    pin = behind.pins_by_sms(portal, PHONE)[-1]
    portal.base.clock.advance(30)
    at[NEW].recover_to_password(portal, "jane", PHONE)
    portal.base.clock.advance(30)
    at["winner"].recover_to_password(portal, "jane", PHONE)
    assert finish(at["winner"]).status_code == 303
    assert "Another recovery that was under way has ended too." in at["winner"].get(DONE).text

    before = behind.tables(portal)["passwords"]
    assert finish(at[NEW], OTHER_PASSWORD).status_code == 409
    assert at[NEW].post("/recovery/unlock").status_code == 409
    assert behind.lands_on(at[NEW], NEW) == START
    assert at[PIN].post(PIN, pin=pin).status_code == 409
    assert at[PIN].post("/recovery/pin/send", channel="email").status_code == 409
    assert behind.lands_on(at[PIN], PIN) == START
    # nothing was proved there yet, so nothing tells that the password was changed (security rule 14)
    portal.base.clock.advance(30)
    assert at[TOKEN].get(TOKEN).status_code == 200
    assert at[TOKEN].post(TOKEN, code=portal.code("jane")).status_code == 422
    assert behind.tables(portal)["passwords"] == before
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


def test_only_recoveries_that_were_under_way_are_said_to_have_ended(one_portal):
    """Neither one's own double click nor a recovery given up last week is "another one under way"."""
    jane(one_portal)
    given_up = one_portal.browser()
    given_up.recover_to_password(one_portal, "jane", PHONE)
    one_portal.base.clock.advance(7 * 86_400)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert finish(browser).status_code == 303
    assert "under way" not in browser.get(DONE).text


@pytest.mark.parametrize("where", [TOKEN, PIN, NEW])
def test_somebody_deactivated_meanwhile_gets_no_further(one_portal, where):
    person = jane(one_portal)
    one_portal.lock(person)
    browser = one_portal.browser()
    {TOKEN: at_token, PIN: at_pin, NEW: at_password}[where](one_portal, browser)
    pin = pin_of(one_portal) if where == PIN else ""
    with one_portal.base.database.begin() as transaction:
        people.set_status(transaction, person.id, Status.INACTIVE)
    before = behind.tables(one_portal)
    unchanged = ("passwords", "people", "recovery_grants", "outbox")
    if where == TOKEN:  # nothing was proved: this answer must be like any wrong code's
        assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 422
    elif where == PIN:
        assert browser.post(PIN, pin=pin).status_code == 409
        assert browser.post("/recovery/pin/send", channel="email").status_code == 409
        assert behind.lands_on(browser, PIN) == START
    else:
        assert finish(browser).status_code == 409
        assert browser.post("/recovery/unlock").status_code == 409
        assert behind.lands_on(browser, NEW) == START
    after = behind.tables(one_portal)
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}


def test_somebody_deactivated_before_the_worker_comes_gets_no_pin(one_portal):
    person = jane(one_portal)
    one_portal.browser().recover_to_pin(one_portal, "jane")
    with one_portal.base.database.begin() as transaction:
        people.set_status(transaction, person.id, Status.INACTIVE)
    one_portal.deliver()
    assert one_portal.phone.texts == []
    assert behind.queued(one_portal)[0]["reason"] == "person_inactive"


def test_starting_a_hundred_recoveries_changes_nothing_on_the_account(one_portal):
    """Requirements A-13: until both proofs are there nothing is flagged, queued or ended."""
    person = jane(one_portal)
    kept = ("people", "passwords", "password_history", "recovery_grants", "outbox", "totp_apps", "attempts")
    before = behind.tables(one_portal)
    for number in range(100):
        browser = one_portal.browser(REMOTE_ADDR=f"198.51.100.{number}")
        browser.recover_to_token("jane")
    after = behind.tables(one_portal)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert behind.signs_in(one_portal, "jane", PASSWORD)
    assert behind.happened(one_portal, person.id, "authn_password_change") == 0


# ---- finished once, even if the ephemeral store forgets or remembers too much


def test_a_finished_recovery_stays_finished_when_the_store_is_put_back(portal):
    person = jane(portal)
    browser = portal.browser()
    browser.recover_to_password(portal, "jane", PHONE)
    held = keep_cookie(browser)
    key = behind.flow_key(held)
    raw = portal.base.ephemeral.get(key)
    assert raw
    assert finish(browser).status_code == 303

    portal.base.ephemeral.put(key, raw, 1_800)
    restore(browser, held)
    # as it is between the first form's commit and its answer, too: only SQL knows
    told_that_it_is_done(finish(browser, OTHER_PASSWORD))
    told_that_it_is_done(browser.post("/recovery/unlock"))
    assert behind.lands_on(browser, NEW) == behind.lands_on(browser, DONE) == SIGN_IN_PAGE
    assert behind.happened(portal, person.id, "authn_password_change") == 1
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


@pytest.mark.parametrize("back_to", [TOKEN, PIN, NEW])
def test_an_unlocked_account_cannot_be_given_a_password_by_the_same_flow_put_back(portal, back_to):
    """Unlocking changes no stamp: here the grant in SQL is all that stands between a restored store and a password."""
    person = jane(portal)
    portal.lock(person)
    browser = portal.browser()
    kept = {}

    def keep(page):
        held = keep_cookie(browser)
        kept[page] = (held, portal.base.ephemeral.get(behind.flow_key(held)))

    browser.recover_to_token("jane")
    keep(TOKEN)
    assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303
    keep(PIN)
    pin = pin_of(portal)
    assert browser.post(PIN, pin=pin).status_code == 303
    keep(NEW)
    assert browser.post("/recovery/unlock").status_code == 303
    before = behind.tables(portal)["passwords"]

    held, raw = kept[back_to]
    portal.base.ephemeral.put(behind.flow_key(held), raw, 1_800)
    restore(browser, held)
    if back_to == TOKEN:
        portal.base.clock.advance(30)
        assert browser.post(TOKEN, code=portal.code("jane")).status_code == 303
        pin = pin_of(portal)
    if back_to in {TOKEN, PIN}:
        assert browser.post(PIN, pin=pin).status_code == 409
    assert finish(browser, OTHER_PASSWORD).status_code == 409
    assert behind.lands_on(browser, NEW) == {TOKEN: PIN, PIN: PIN, NEW: SIGN_IN_PAGE}[back_to]
    assert behind.tables(portal)["passwords"] == before


@pytest.mark.parametrize("path", [NEW, "/recovery/unlock"])
def test_a_recovery_that_another_one_overtook_is_not_told_that_it_was_carried_out(portal, path):
    person = jane(portal)
    portal.lock(person)
    slow, fast = portal.browser(), portal.browser()
    slow.recover_to_password(portal, "jane", PHONE)
    portal.base.clock.advance(30)
    fast.recover_to_password(portal, "jane", PHONE)
    assert finish(fast).status_code == 303
    fields = {"new_password": OTHER_PASSWORD, "confirm_password": OTHER_PASSWORD} if path == NEW else {}
    answer = slow.post(path, **fields)
    assert answer.status_code == 409
    assert "What you sent first was carried out" not in answer.text
    assert f'href="{START}"' in answer.text
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


def test_a_recovery_whose_answer_was_lost_before_the_last_step_can_be_carried_on(portal):
    """The process may die between the grant and the flow's next step: the same PIN then still leads there."""
    jane(portal)
    browser = portal.browser()
    browser.recover_to_pin(portal, "jane")
    held, pin = keep_cookie(browser), pin_of(portal)
    raw = portal.base.ephemeral.get(behind.flow_key(held))
    assert browser.post(PIN, pin=pin).status_code == 303
    portal.base.ephemeral.put(behind.flow_key(held), raw, 1_800)
    restore(browser, held)
    assert browser.post(PIN, pin=pin).status_code == 303
    assert finish(browser).status_code == 303
    assert "under way" not in browser.get(DONE).text


def test_a_store_that_forgets_everything_ends_the_flow_and_gives_no_password(portal, redis_url):
    jane(portal)
    browser = portal.browser()
    browser.recover_to_password(portal, "jane", PHONE)
    portal.base.ephemeral._redis.flushall()
    assert finish(browser).status_code == 409
    assert behind.lands_on(browser, NEW) == START
    assert behind.signs_in(portal, "jane", PASSWORD)


# ---- what "only unlock" does not do (security rule 9)


def test_only_unlock_is_neither_offered_nor_done_where_a_change_is_owed(one_portal):
    person = one_portal.add("jane", phone=PHONE, email=EMAIL, must_change=True)
    one_portal.lock(person)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "/recovery/unlock" not in browser.page.text
    answer = browser.post("/recovery/unlock")
    assert answer.status_code == 409
    assert f'href="{NEW}"' in answer.text
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, person.id, Factor.PASSWORD).locked(one_portal.base.clock.now())
    assert finish(browser).status_code == 303


def test_only_unlock_is_neither_offered_nor_done_where_nothing_is_locked(one_portal):
    person = jane(one_portal)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "/recovery/unlock" not in browser.page.text
    assert browser.post("/recovery/unlock").status_code == 409
    assert behind.happened(one_portal, person.id, "authn_login_unlock") == 0
    assert behind.queued(one_portal, "notice_unlocked") == []
    assert finish(browser).status_code == 303


def test_only_unlock_does_not_bring_back_a_password_that_a_hundred_failures_disabled(one_portal):
    """The passing lock only: after the hard cap it must be bound again, that is, be replaced (requirements R-01)."""
    person = jane(one_portal)
    subject = one_portal.means.tries.subject("jane", person.id)
    for _ in range(100):
        one_portal.means.tries.spend(subject, Factor.PASSWORD, Door.LANE)
        one_portal.base.clock.advance(3_600)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert "/recovery/unlock" not in browser.page.text
    assert browser.post("/recovery/unlock").status_code == 409
    assert finish(browser).status_code == 303
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD)
