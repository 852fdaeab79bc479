"""A new app: its key is shown and kept nowhere, and it counts once a code of it was confirmed."""

import html
import re
import subprocess
import threading
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import redis

from app.factors.totp import rules as totp
from app.factors.totp import store as rows
from app.factors.totp.model import AppState
from app.factors.totp.service import from_base32
from app.records.attempts import store as attempts
from app.records.attempts.model import Factor, History
from app.records.sessions import store as sessions
from tests.edges import wait_until
from tests.journeys import behind
from tests.portal import NEW_PASSWORD, opened

PHONE, EMAIL = "+491700000001", "jane@example.org"
HOME, NEW = "/authenticators", "/authenticators/app/new"
ENROLL, SESSION = "keyturn-enroll", "keyturn-session"
DAY = 86_400


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def browser(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    one_portal.base.clock.advance(1)
    return browser


def found(pattern, page):
    match = re.search(pattern, page, re.DOTALL)
    assert match, page
    return match[1]


def key_on(page):
    return from_base32(found(r'data-totp-key="([A-Z2-7 ]+)"', page))


def link_on(page):
    return html.unescape(found(r'href="(otpauth:[^"]+)"', page))


def shows(portal, seed, offset=0):
    return totp.hotp(seed, totp.step_at(portal.base.clock.now()) + offset)


def wrong(portal, seed):
    near = {shows(portal, seed, offset) for offset in range(-25, 26)}
    return next(code for code in (f"{n:06d}" for n in range(100)) if code not in near)


def enroll(portal, browser, label="New phone", query=""):
    """Adds an app and returns its seed and the answer."""
    seed = key_on(browser.get(NEW + query).text)
    fields = {"replace": "1"} if query else {}
    return seed, browser.post(NEW, label=label, code=shows(portal, seed), **fields)


def apps_of(portal, person):
    with portal.base.database.read() as looking:
        return rows.of_person(looking, person.id)


def test_a_confirmed_app_is_bound_with_its_label_and_waits_a_day(one_portal, jane, browser):
    seed, answer = enroll(one_portal, browser, "  Work phone ")
    assert answer.location == HOME
    old, new = apps_of(one_portal, jane)
    assert (new.label, new.state) == ("Work phone", AppState.ACTIVE)
    assert new.usable_from == one_portal.base.clock.now() + DAY
    assert old.state is AppState.ACTIVE
    assert browser.cookie(ENROLL) is None
    assert behind.happened(one_portal, jane.id, "authn_app_add") == 1
    assert from_base32(one_portal.means.apps.reveal(new)) == seed
    assert len(behind.queued(one_portal, "notice_app_added")) == 2
    one_portal.deliver()
    assert "authenticator app was added" in one_portal.mailbox.to(EMAIL)[-1].text
    assert "authenticator app was added" in one_portal.phone.to(PHONE)[-1].body


def test_looking_writes_nothing_and_a_reload_shows_the_same_key_for_ten_minutes(one_portal, browser):
    before = behind.tables(one_portal)
    page = browser.get(NEW).text
    seed = key_on(page)
    assert len(seed) == 20
    one_portal.base.clock.advance(20)
    assert key_on(browser.get(NEW).text) == seed
    assert behind.tables(one_portal) == before
    assert re.search(r'data-totp-key="(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}"', page)


def test_the_key_dies_after_ten_minutes_and_another_is_shown(one_portal, jane, browser):
    seed = key_on(browser.get(NEW).text)
    one_portal.base.clock.advance(599)
    browser.get("/step-up")
    browser.post("/step-up", code=one_portal.code("jane"))
    assert key_on(browser.get(NEW).text) == seed
    one_portal.base.clock.advance(1)
    answer = browser.post(NEW, label="Phone", code=shows(one_portal, seed))
    assert (answer.status_code, "Here is a new one" in answer.text) == (422, True)
    fresh = key_on(answer.text)
    assert fresh != seed
    assert len(apps_of(one_portal, jane)) == 1
    assert browser.post(NEW, label="Phone", code=shows(one_portal, fresh)).location == HOME


def test_the_cookie_is_useless_in_another_session_and_to_another_person(one_portal, jane, browser):
    one_portal.add("omar", phone="+491700000002")
    seed = key_on(browser.get(NEW).text)
    one_portal.base.clock.advance(30)
    for who in ("jane", "omar"):
        thief = one_portal.browser()
        thief.sign_in(one_portal, who)
        thief.client.set_cookie(ENROLL, browser.cookie(ENROLL))
        assert key_on(thief.get(NEW).text) != seed
        thief.client.set_cookie(ENROLL, browser.cookie(ENROLL))
        assert thief.post(NEW, label="Phone", code=shows(one_portal, seed)).status_code == 422
    assert len(apps_of(one_portal, jane)) == 1


@pytest.mark.parametrize("spoil", ["", "x", "1.2.3", "é.a.b", "9" * 400, "-1.a.b"])
def test_a_cookie_that_is_not_ours_opens_nothing(one_portal, jane, browser, spoil):
    seed = key_on(browser.get(NEW).text)
    browser.client.set_cookie(ENROLL, spoil)
    assert browser.post(NEW, label="Phone", code=shows(one_portal, seed)).status_code == 422
    assert len(apps_of(one_portal, jane)) == 1


def test_an_unconfirmed_key_signs_nobody_in(one_portal, jane, browser):
    seed = key_on(browser.get(NEW).text)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/verify", code=shows(one_portal, seed)).status_code == 422


def test_the_confirming_code_works_nowhere_again(one_portal, jane, browser):
    seed, _ = enroll(one_portal, browser)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    answer = other.post("/sign-in/verify", code=shows(one_portal, seed))
    assert (answer.status_code, "used before" in answer.text) == (422, True)
    assert other.post("/sign-in/verify", code=shows(one_portal, seed, 1)).location == HOME


def test_a_new_app_signs_in_at_once_and_recovers_after_a_day(one_portal, jane, browser):
    seed, _ = enroll(one_portal, browser)
    one_portal.base.clock.advance(60)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/verify", code=shows(one_portal, seed)).location == HOME
    assert behind.sessions(one_portal, jane.id)[0] == (["password", "new_app"], 2)
    one_portal.base.clock.advance(60)
    lost = one_portal.browser()
    lost.recover_to_token("jane")
    assert lost.post("/recovery/token", code=shows(one_portal, seed)).status_code == 422
    one_portal.base.clock.advance(DAY - 121)
    assert lost.recover_to_token("jane").status_code == 303
    assert lost.post("/recovery/token", code=shows(one_portal, seed)).status_code == 422
    one_portal.base.clock.advance(31)
    lost.recover_to_token("jane")
    assert lost.post("/recovery/token", code=shows(one_portal, seed)).location == "/recovery/pin"


def test_a_proof_by_a_new_app_changes_nothing_that_is_older(one_portal, jane, browser):
    seed, _ = enroll(one_portal, browser)
    old, new = apps_of(one_portal, jane)
    one_portal.base.clock.advance(60)
    thief = one_portal.browser()
    thief.sign_in_to_verify("jane")
    thief.post("/sign-in/verify", code=shows(one_portal, seed))
    for name in ("remove", "disable", "rename", "synchronize"):
        path = f"{HOME}/app/{old.id}/{name}"
        assert thief.get(path).location == "/step-up"
        answer = thief.post(path, label="x", code_1="123456", code_2="123457")
        assert (answer.status_code, "less than a day old" in answer.text) == (409, True)
    assert "less than a day old" in thief.get("/step-up").text
    one_portal.base.clock.advance(30)
    assert thief.post("/step-up", code=shows(one_portal, seed)).status_code == 303
    assert thief.get(f"{HOME}/app/{old.id}/remove").location == "/step-up"
    assert thief.get(f"{HOME}/app/{new.id}/remove").status_code == 200
    one_portal.base.clock.advance(30)
    thief.get("/step-up")
    assert thief.post("/step-up", code=one_portal.code("jane")).location == f"{HOME}/app/{old.id}/remove"
    thief.get(f"{HOME}/app/{old.id}/remove")
    assert thief.post(f"{HOME}/app/{old.id}/remove").location == HOME


def test_a_fresh_proof_is_asked_for_and_one_comes_back_to_the_same_page(one_portal, jane, browser):
    one_portal.base.clock.advance(301)
    assert browser.get(f"{NEW}?replace=1").location == "/step-up"
    browser.get("/step-up")
    assert browser.post(NEW, label="x", code="123456").status_code == 409
    assert browser.post("/step-up", code=one_portal.code("jane")).location == f"{NEW}?replace=1"


def test_nobody_adds_an_app_for_a_day_after_a_recovery(one_portal, jane):
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    one_portal.base.clock.advance(60)
    browser.sign_in_to_verify("jane", NEW_PASSWORD)
    browser.post("/sign-in/verify", code=one_portal.code("jane"))
    assert browser.get(NEW).location == HOME
    assert browser.post(NEW, label="x", code="123456").status_code == 409


def test_a_mailed_pin_adds_no_app(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert browser.get(NEW).location == "/step-up"
    assert browser.post(NEW, label="x", code="123456").status_code == 409


@pytest.mark.parametrize(
    ("label", "words"),
    [("", "Give the app a name"), ("x" * 65, "longer than it can be"), ("a\x00b", "characters"), ("a\u202eb", "char")],
)
def test_a_label_has_1_to_64_characters_that_can_be_printed(one_portal, jane, browser, label, words):
    _, answer = enroll(one_portal, browser, label)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert 'id="label-error"' in answer.text
    assert enroll(one_portal, browser, "ü" * 64)[1].status_code == 303


@pytest.mark.parametrize(("offset", "words"), [(-3, "1½ minutes slow"), (2, "1 minute fast"), (20, "10 minutes fast")])
def test_a_code_of_another_time_is_named_and_not_accepted(one_portal, jane, browser, offset, words):
    seed = key_on(browser.get(NEW).text)
    answer = browser.post(NEW, label="Phone", code=shows(one_portal, seed, offset))
    assert (answer.status_code, words in answer.text) == (422, True)
    assert key_on(answer.text) == seed
    assert len(apps_of(one_portal, jane)) == 1


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_three_codes_are_good_at_a_time(one_portal, jane, browser, offset):
    seed = key_on(browser.get(NEW).text)
    assert browser.post(NEW, label="Phone", code=shows(one_portal, seed, offset)).status_code == 303
    step = totp.step_at(one_portal.base.clock.now()) + offset
    assert apps_of(one_portal, jane)[-1].last_step == step


def test_after_five_wrong_codes_the_right_one_is_refused_and_a_new_key_is_shown(one_portal, jane, browser):
    seed = key_on(browser.get(NEW).text)
    for _ in range(5):
        answer = browser.post(NEW, label="Phone", code=wrong(one_portal, seed))
        assert answer.status_code == 422
    spent = key_on(answer.text)
    assert spent != seed
    assert browser.post(NEW, label="Phone", code=shows(one_portal, seed)).status_code == 422
    assert len(apps_of(one_portal, jane)) == 1
    assert browser.post(NEW, label="Phone", code="12345").status_code == 422  # no code at all is no try


def test_a_key_that_was_guessed_at_five_times_stays_dead_whoever_keeps_its_cookie(one_portal, jane, browser):
    seed = key_on(browser.get(NEW).text)
    kept = browser.cookie(ENROLL)
    for _ in range(5):
        browser.client.set_cookie(ENROLL, kept)
        browser.post(NEW, label="Phone", code=wrong(one_portal, seed))
    browser.client.set_cookie(ENROLL, kept)
    answer = browser.post(NEW, label="Phone", code=shows(one_portal, seed))
    assert (answer.status_code, "Too many codes" in answer.text) == (422, True)
    assert len(apps_of(one_portal, jane)) == 1


def test_a_second_press_adds_nothing_and_is_told_that_it_is_done(one_portal, jane, browser):
    seed = key_on(browser.get(NEW).text)
    kept, code = browser.cookie(ENROLL), shows(one_portal, seed)
    assert browser.post(NEW, label="Phone", code=code).status_code == 303
    browser.client.set_cookie(ENROLL, kept)
    answer = browser.post(NEW, label="Phone", code=code)
    assert (answer.status_code, "This is done" in answer.text) == (409, True)
    assert len(apps_of(one_portal, jane)) == 2
    browser.client.set_cookie(ENROLL, kept)
    assert key_on(browser.get(NEW).text) != seed


def test_of_twelve_confirmations_at_once_one_binds(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    first = portal.browser()
    first.sign_in(portal, "jane")
    seed = key_on(first.get(NEW).text)
    token, code, statuses, barrier = first.token(), shows(portal, seed), [], threading.Barrier(12)
    browsers = [portal.browser() for _ in range(12)]
    for browser in browsers:
        for name in ("keyturn", SESSION, ENROLL):
            browser.client.set_cookie(name, first.cookie(name))

    def press(browser):
        barrier.wait(30)
        statuses.append(browser.post(NEW, csrf_token=token, label="Phone", code=code).status_code)

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses.count(303) == 1
    assert set(statuses) <= {303, 409, 422}
    assert len(apps_of(portal, jane)) == 2


def test_sessions_that_add_apps_at_once_do_not_pass_the_limit_of_five(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    posts, answers = [], []
    barrier = threading.Barrier(6)
    for number in range(6):
        portal.base.clock.advance(30)
        browser = portal.browser(REMOTE_ADDR=f"203.0.113.{number}")
        browser.sign_in(portal, "jane")
        posts.append((browser, key_on(browser.get(NEW).text)))

    def add(browser, seed):
        barrier.wait(30)
        answers.append(browser.post(NEW, label="Phone", code=shows(portal, seed)).status_code)

    threads = [threading.Thread(target=add, args=pair) for pair in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [303] * 4 + [409] * 2
    assert len(apps_of(portal, jane)) == 5


def test_a_sixth_app_is_refused_before_anything_is_shown(one_portal, jane, browser):
    for number in range(4):
        assert enroll(one_portal, browser, f"Phone {number}")[1].status_code == 303
    assert browser.get(NEW).location == HOME
    answer = browser.post(NEW, label="Phone", code="123456")
    assert (answer.status_code, "as many as there can be" in answer.text) == (409, True)
    assert len(apps_of(one_portal, jane)) == 5


def test_after_a_hundred_failures_a_new_app_works_and_the_old_ones_stay_shut(one_portal, jane, browser):
    browser.get(NEW)
    with one_portal.base.database.begin() as transaction:
        attempts.lock(transaction, str(jane.id), Factor.APP)
        attempts.write(transaction, str(jane.id), Factor.APP, History(consecutive=100))
    seed, answer = enroll(one_portal, browser)
    assert answer.status_code == 303
    old, new = apps_of(one_portal, jane)
    assert (old.state, new.state) == (AppState.LOCKED, AppState.ACTIVE)
    assert browser.get(f"{HOME}/app/{old.id}/enable").location == HOME
    assert browser.post(f"{HOME}/app/{old.id}/enable").status_code == 409
    one_portal.base.clock.advance(60)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/verify", code=one_portal.code("jane")).status_code == 422
    assert other.post("/sign-in/verify", code=shows(one_portal, seed)).location == HOME


def test_a_new_phone_is_moved_to_without_a_gap_and_the_old_app_is_offered_for_removal(one_portal, jane, browser):
    page = browser.get(f"{NEW}?replace=1").text
    assert "I have a new phone" in page
    assert 'name="replace" value="1"' in page
    one_portal.base.clock.advance(30)
    assert browser.get(HOME).status_code == 200
    (old,) = apps_of(one_portal, jane)
    seed, answer = enroll(one_portal, browser, query="?replace=1")
    assert answer.location == f"{HOME}/app/{old.id}/remove?replaced=1"
    page = browser.get(answer.location).text
    assert "Your new app is added" in page
    assert "No other app of yours serves recovery yet: the new one does in 24 hours" in page
    # the old one works until it is removed
    one_portal.base.clock.advance(30)
    assert one_portal.browser().recover_to_pin(one_portal, "jane").status_code == 303
    assert browser.post(f"{HOME}/app/{old.id}/remove").location == HOME
    one_portal.base.clock.advance(30)
    other = one_portal.browser()
    other.sign_in_to_verify("jane")
    assert other.post("/sign-in/verify", code=one_portal.code("jane")).status_code == 422
    assert other.post("/sign-in/verify", code=shows(one_portal, seed)).location == HOME


def test_a_session_that_ended_meanwhile_binds_nothing(one_portal, jane, browser, valkey_url):
    seed = key_on(browser.get(NEW).text)
    answers = []
    code, token = shows(one_portal, seed), browser.token()
    asking = threading.Thread(
        target=lambda: answers.append(browser.post(NEW, csrf_token=token, label="Phone", code=code).status_code)
    )
    with redis.Redis.from_url(valkey_url) as store, one_portal.base.database.begin() as transaction:
        # SQLite has one writer: the session was read when the try is counted, and nothing is bound until this ends
        sessions.end_all(transaction, jane.id)
        asking.start()
        wait_until(lambda: bool(store.keys("enroll:*")), 60, lambda: "the code was not counted")
    asking.join(60)
    assert answers == [409]
    assert len(apps_of(one_portal, jane)) == 1


# ---- the key in its three shapes


def test_link_and_key_say_the_same_and_what_every_app_understands(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, brand_name="Acme Signing") as portal:
        portal.add("jane@example.org", phone=PHONE)
        browser = portal.browser()
        browser.sign_in(portal, "jane@example.org")
        page = browser.get(NEW).text
    link = link_on(page)
    parts = urlsplit(link)
    asked = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Acme Signing:jane@example.org"
    assert "%20" in parts.path
    assert "+" not in link
    assert set(asked) == {"secret", "issuer"}
    assert asked["issuer"] == ["Acme Signing"]
    assert from_base32(asked["secret"][0]) == key_on(page)
    assert "=" not in asked["secret"][0]
    drawn = found(r"(<svg [^>]*viewBox.*?</svg>)", page.partition('class="qr"')[2])
    assert "style=" not in drawn


def test_an_independent_authenticator_shows_the_codes_that_are_accepted(one_portal, browser, oathtool):
    page = browser.get(NEW).text
    key = found(r'data-totp-key="([^"]+)"', page).replace(" ", "")
    now = one_portal.base.clock.now()
    said = subprocess.run(
        [oathtool, "--totp", "--base32", key, f"--now=@{now}"], check=True, capture_output=True, text=True
    )
    assert browser.post(NEW, label="Phone", code=said.stdout.strip()).location == HOME


def test_ten_apps_a_day_can_be_bound_however_many_are_removed_in_between(one_portal, jane, browser):
    for number in range(9):  # and the one that she signed in with
        assert enroll(one_portal, browser, f"Phone {number}")[1].status_code == 303
        new = next(app for app in apps_of(one_portal, jane) if app.label == f"Phone {number}")
        browser.get(f"{HOME}/app/{new.id}/remove")
        assert browser.post(f"{HOME}/app/{new.id}/remove").status_code == 303
    answer = enroll(one_portal, browser)[1]
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert len(apps_of(one_portal, jane)) == 1
    one_portal.base.clock.advance(86_400)
    later = one_portal.browser()
    later.sign_in(one_portal, "jane")
    assert enroll(one_portal, later)[1].status_code == 303
