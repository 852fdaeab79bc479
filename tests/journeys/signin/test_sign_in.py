"""User ID, then password, through their doors; the second proof is in test_second_factor.py."""

import re

import pytest

from app.records.people import store as people
from app.records.people.model import Status
from tests.journeys import behind
from tests.journeys.behind import RECOVERY, SIGN_IN
from tests.portal import NEW_PASSWORD, PASSWORD, opened

PHONE = "+491700000001"
EMAIL = "jane@example.org"
START, SECRET, VERIFY = "/sign-in", "/sign-in/password", "/sign-in/verify"


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def at_password(portal, user_id="jane"):
    browser = portal.browser()
    browser.get(START)
    assert browser.post(START, user_id=user_id).location == SECRET
    browser.get(SECRET)
    return browser


def without_tokens(answer):
    text = re.sub(r'name="csrf_token"[^>]*value="[^"]+"', "", answer.text)
    headers = {name: value for name, value in answer.headers if name not in {"X-Request-Id", "Content-Length"}}
    return answer.status_code, headers, text


def test_the_right_password_leads_to_the_second_factor_and_signs_nobody_in(portal):
    person = portal.add("Jane", phone=PHONE, email=EMAIL)
    assert portal.browser().get("/").location == START
    browser = at_password(portal, "jane")
    assert browser.post(SECRET, password=PASSWORD).location == VERIFY
    assert browser.get(VERIFY).status_code == 200
    held = {name for _, _, name in browser.client._cookies}
    assert held == {"keyturn", SIGN_IN}
    assert browser.get("/").location == START
    assert behind.happened(portal, person.id, "authn_password_success") == 1


def test_the_page_of_the_password_has_the_link_to_recovery_word_for_word(one_portal, jane):
    page = at_password(one_portal).page.text
    assert re.search(r'<a [^>]*href="/recovery"[^>]*>Password locked or forgotten\?</a>', page)


def test_a_wrong_password_an_unknown_name_and_an_inactive_person_get_the_same_answer(one_portal, jane):
    one_portal.add("gone", email="gone@example.org", status=Status.INACTIVE)
    answers = []
    for who in ("jane", "nobody", "gone"):
        browser = at_password(one_portal, who)
        answer = browser.post(SECRET, password=PASSWORD if who == "gone" else "a wrong one")
        status, headers, text = without_tokens(answer)
        answers.append((status, headers, text.replace(f"<strong>{who}</strong>", "").replace(f'value="{who}"', "")))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 422


@pytest.mark.parametrize("who", ["jane", "nobody"])
def test_every_try_costs_one_slow_hash(one_portal, jane, who):
    browser = at_password(one_portal, who)
    at_password(one_portal).post(SECRET, password=PASSWORD)  # the first sign-in also fills in a history digest
    before = one_portal.base.hasher.done
    browser.post(SECRET, password="a wrong one")
    assert one_portal.base.hasher.done == before + 1
    if who == "jane":
        browser.post(SECRET, password=PASSWORD)
        assert one_portal.base.hasher.done == before + 2


@pytest.mark.parametrize("typed", ["JANE", "  jane ", behind.full_width("Jane")])
def test_any_spelling_of_a_user_id_signs_in(one_portal, jane, typed):
    assert at_password(one_portal, typed).post(SECRET, password=PASSWORD).status_code == 303


@pytest.mark.parametrize("typed", ["", "   ", "x" * 256, "a\x00b", "a\nb", "\u2028", "\u202e\x07"])
def test_what_cannot_be_a_user_id_is_refused_beside_its_field(one_portal, typed):
    browser = one_portal.browser()
    answer = browser.post(START, user_id=typed)
    assert answer.status_code == 422
    assert 'id="user_id-error"' in answer.text
    assert browser.cookie(SIGN_IN) is None


def test_a_user_id_is_shown_as_text(one_portal):
    nasty = '"><script>alert(1)</script>'
    page = at_password(one_portal, nasty).page.text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("typed", ["", "x" * 5_000, "x" * 60_000])
def test_what_cannot_be_a_password_is_refused_without_a_hash_or_a_try(one_portal, jane, typed):
    browser = at_password(one_portal)
    before, hashed = behind.tables(one_portal), one_portal.base.hasher.done
    assert browser.post(SECRET, password=typed).status_code == 422
    assert behind.tables(one_portal) == before
    assert one_portal.base.hasher.done == hashed


@pytest.mark.parametrize(
    "typed", [PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1], PASSWORD + "\x00", PASSWORD[:8]]
)
def test_no_part_and_no_variant_of_a_password_is_taken(one_portal, jane, typed):
    assert at_password(one_portal).post(SECRET, password=typed).status_code == 422


# ---- states


def no_flow(portal, browser):
    browser.get(START)


def due_password(portal, browser):
    browser.post(START, user_id="jane")


def due_verify(portal, browser):
    due_password(portal, browser)
    assert browser.post(SECRET, password=PASSWORD).status_code == 303


def expired_at_password(portal, browser):
    due_password(portal, browser)
    portal.base.clock.advance(900)


def expired_at_verify(portal, browser):
    due_verify(portal, browser)
    portal.base.clock.advance(900)


def old_cookie(portal, browser):
    due_password(portal, browser)
    held = browser.cookie(SIGN_IN)
    assert browser.post(SECRET, password=PASSWORD).status_code == 303
    browser.client.set_cookie(SIGN_IN, held)


def a_cookie_that_we_never_gave(portal, browser):
    browser.client.set_cookie(SIGN_IN, "x" * 43)


def the_cookie_of_a_recovery(portal, browser):
    browser.recover_to_token("jane")
    browser.client.set_cookie(SIGN_IN, browser.cookie(RECOVERY))


STATES = {
    no_flow: START,
    due_password: SECRET,
    due_verify: VERIFY,
    expired_at_password: START,
    expired_at_verify: START,
    old_cookie: VERIFY,
    a_cookie_that_we_never_gave: START,
    the_cookie_of_a_recovery: START,
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_in_every_state_what_is_out_of_order_leads_to_the_step_that_is_due(one_portal, jane, state, valkey_url):
    browser, due = one_portal.browser(), STATES[state]
    state(one_portal, browser)
    before, kept, hashed = behind.tables(one_portal), behind.stored(valkey_url), one_portal.base.hasher.done
    for page in (SECRET, VERIFY):
        if page == due and state is not old_cookie:
            assert browser.get(page).status_code == 200
        else:
            wanted = START if page == due else due
            assert (browser.get(page).status_code, browser.get(page).location) == (303, wanted)
        assert behind.lands_on(browser, page) == (START if state is old_cookie else due)
    if due != SECRET:
        answer = browser.post(SECRET, password=PASSWORD)
        assert answer.status_code == 409
        assert f'href="{due}"' in answer.text
    assert behind.tables(one_portal) == before
    assert behind.stored(valkey_url) == kept
    assert one_portal.base.hasher.done == hashed
    assert browser.get(START).status_code == 200
    assert browser.post(START, user_id="jane").location == SECRET


def test_a_password_sent_twice_is_judged_once(one_portal, jane):
    browser = at_password(one_portal)
    held = browser.cookie(SIGN_IN)
    assert browser.post(SECRET, password=PASSWORD).status_code == 303
    newer = browser.cookie(SIGN_IN)
    assert newer != held
    browser.client.set_cookie(SIGN_IN, held)
    assert browser.post(SECRET, password=PASSWORD).status_code == 409
    browser.client.set_cookie(SIGN_IN, newer)
    assert behind.lands_on(browser, VERIFY) == VERIFY
    assert behind.happened(one_portal, jane.id, "authn_password_success") == 1


def test_whoever_plants_a_flow_does_not_hold_it_after_the_password(one_portal, jane):
    thief, owner = at_password(one_portal), one_portal.browser()
    owner.get(START)
    owner.client.set_cookie(SIGN_IN, thief.cookie(SIGN_IN))
    owner.get(SECRET)
    assert owner.post(SECRET, password=PASSWORD).location == VERIFY
    assert behind.lands_on(thief, VERIFY) == START


def test_a_form_without_a_token_or_with_one_of_another_browser_is_refused(one_portal, jane):
    browser = at_password(one_portal)
    before = behind.tables(one_portal)
    assert browser.post(SECRET, token=False, password=PASSWORD).status_code == 400
    assert browser.post(SECRET, csrf_token=one_portal.browser().token(), password=PASSWORD).status_code == 400
    assert behind.tables(one_portal) == before


def test_nothing_in_the_form_of_the_password_changes_whose_it_is(one_portal, jane):
    one_portal.add("mallory", password="the thief's own passphrase")
    browser = at_password(one_portal)
    answer = browser.post(SECRET, password="the thief's own passphrase", user_id="mallory", person_id="2")
    assert answer.status_code == 422


# ---- what happens elsewhere meanwhile


def test_the_new_password_works_and_the_old_does_not_from_the_moment_it_is_set(portal):
    portal.add("jane", phone=PHONE, email=EMAIL)
    waiting = at_password(portal)
    owner = portal.browser()
    owner.recover_to_password(portal, "jane", PHONE)
    owner.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    # the flow from before carries the old stamp; it says nothing of that, and takes no password any more
    assert waiting.post(SECRET, password=PASSWORD).status_code == 422
    assert waiting.post(SECRET, password=NEW_PASSWORD).status_code == 422
    assert at_password(portal).post(SECRET, password=PASSWORD).status_code == 422
    assert at_password(portal).post(SECRET, password=NEW_PASSWORD).status_code == 303


def test_somebody_deactivated_meanwhile_is_like_anybody_with_a_wrong_password(one_portal, jane):
    browser = at_password(one_portal)
    with one_portal.base.database.begin() as transaction:
        people.set_status(transaction, jane.id, Status.INACTIVE)
    assert browser.post(SECRET, password=PASSWORD).status_code == 422


def test_a_hash_of_older_parameters_is_replaced_at_the_next_sign_in(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring) as older:
        older.add("jane", email=EMAIL)
        before = repr(behind.tables(older)["passwords"])
    assert "m=64,t=1" in before
    with opened(sqlite_database, valkey_url, clock, keyring, argon2_passes=2) as newer:
        assert at_password(newer).post(SECRET, password="a wrong one").status_code == 422
        assert repr(behind.tables(newer)["passwords"]) == before
        assert at_password(newer).post(SECRET, password=PASSWORD).status_code == 303
        assert "m=64,t=2" in repr(behind.tables(newer)["passwords"])
        assert at_password(newer).post(SECRET, password=PASSWORD).status_code == 303


def test_failed_sign_ins_are_written_down_for_people_who_exist_and_for_nobody_else(one_portal, jane):
    at_password(one_portal).post(SECRET, password="a wrong one")
    at_password(one_portal, "nobody").post(SECRET, password="a wrong one")
    assert behind.happened(one_portal, jane.id, "authn_login_fail") == 1
    assert len(behind.tables(one_portal)["audit_events"]) == 1
    assert "a wrong one" not in repr(behind.tables(one_portal))
