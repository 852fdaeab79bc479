"""What is done to apps that are bound: each after a fresh proof, to one's own alone, and told to every contact."""

import threading

import pytest

from app.factors.totp import rules as totp
from app.factors.totp import store as rows
from app.factors.totp.model import AppState
from tests.journeys import behind

PHONE, EMAIL = "+491700000001", "jane@example.org"
HOME = "/authenticators"
DAY = 86_400
DEEDS = ("rename", "disable", "enable", "synchronize", "remove")


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


@pytest.fixture
def browser(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    one_portal.base.clock.advance(1)
    return browser


def app_of(portal, person):
    with portal.base.database.read() as looking:
        return rows.of_person(looking, person.id)[0]


def stored(portal, person, app):
    with portal.base.database.read() as looking:
        return rows.find(looking, person.id, app.id)


def path_of(app, deed):
    return f"{HOME}/app/{app.id}/{deed}"


def second_app(portal, person, *, usable_from=0):
    now = portal.base.clock.now()
    with portal.base.database.begin() as transaction:
        return portal.means.apps.bind(
            transaction,
            person_id=person.id,
            seed=portal.base.chance.octets(20),
            label="Tablet",
            now=now,
            usable_from=usable_from or now,
        )


def accepted(portal, user_id, offset=0):
    browser = portal.browser()
    browser.sign_in_to_verify(user_id)
    return browser.post("/sign-in/verify", code=portal.code(user_id, offset)).status_code == 303


def do(browser, app, deed, **fields):
    browser.get(path_of(app, deed))
    return browser.post(path_of(app, deed), **fields)


# ---- guards


@pytest.mark.parametrize("deed", DEEDS)
def test_looking_changes_nothing(one_portal, jane, browser, deed):
    app = app_of(one_portal, jane)
    before = behind.tables(one_portal)
    answer = browser.get(path_of(app, deed))
    assert answer.status_code == (303 if deed == "enable" else 200)
    assert behind.tables(one_portal) == before


@pytest.mark.parametrize("deed", DEEDS)
def test_an_app_of_somebody_else_is_as_unknown_as_one_that_there_is_not(one_portal, browser, deed):
    omar = one_portal.add("omar", phone="+491700000002")
    theirs = app_of(one_portal, omar)
    before = behind.tables(one_portal)
    for app_id in (theirs.id, "0" * 32, "no-such"):
        path = f"{HOME}/app/{app_id}/{deed}"
        assert browser.get(path).status_code == 404
        assert browser.post(path, label="Mine", code_1="123456", code_2="123457").status_code == 404
    after = behind.tables(one_portal)
    assert {name for name in after if after[name] != before[name]} <= set()


@pytest.mark.parametrize("deed", DEEDS)
def test_a_proof_that_is_five_minutes_old_is_not_enough(one_portal, jane, browser, deed):
    app = app_of(one_portal, jane)
    one_portal.base.clock.advance(300)
    assert browser.get(path_of(app, deed)).location == "/step-up"
    browser.get("/step-up")
    answer = browser.post(path_of(app, deed), label="x", code_1="123456", code_2="123457")
    assert (answer.status_code, 'href="/step-up"' in answer.text) == (409, True)
    assert app_of(one_portal, jane) == app


# ---- rename, disable, enable, remove


def test_an_app_is_renamed(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    assert do(browser, app, "rename", label=" Old <phone> ").location == HOME
    assert app_of(one_portal, jane).label == "Old <phone>"
    assert "Old &lt;phone&gt;" in browser.get(path_of(app, "rename")).text
    assert do(browser, app, "rename", label="x" * 65).status_code == 422
    assert do(browser, app, "rename", label=" ").status_code == 422
    assert behind.happened(one_portal, jane.id, "authn_app_rename") == 1


def test_the_codes_of_a_disabled_app_count_nowhere_until_it_is_enabled(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    assert do(browser, app, "disable").location == HOME
    assert app_of(one_portal, jane).state is AppState.DISABLED
    one_portal.base.clock.advance(30)
    assert not accepted(one_portal, "jane")
    lost = one_portal.browser()
    lost.recover_to_token("jane")
    assert lost.post("/recovery/token", code=one_portal.code("jane")).status_code == 422
    assert browser.get(path_of(app, "synchronize")).location == HOME
    assert do(browser, app, "enable").location == HOME
    one_portal.base.clock.advance(30)
    assert accepted(one_portal, "jane")
    for event, template in (("disable", "notice_app_disabled"), ("enable", "notice_app_enabled")):
        assert behind.happened(one_portal, jane.id, f"authn_app_{event}") == 1
        assert len(behind.queued(one_portal, template)) == 2


def test_putting_a_new_app_away_and_back_does_not_shorten_its_wait(one_portal, jane, browser):
    soon = one_portal.base.clock.now() + DAY
    new = second_app(one_portal, jane, usable_from=soon)
    do(browser, new, "disable")
    assert "it counts in 24 hours" in browser.get(path_of(new, "enable")).text
    do(browser, new, "enable")
    kept = stored(one_portal, jane, new)
    assert (kept.state, kept.usable_from) == (AppState.ACTIVE, soon)


def test_a_removed_app_never_counts_again_and_its_row_stays_for_an_undo(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    assert do(browser, app, "remove").location == HOME
    kept = stored(one_portal, jane, app)
    assert (kept.state, kept.removed_at, kept.seed) == (AppState.REMOVED, one_portal.base.clock.now(), app.seed)
    with one_portal.base.database.read() as looking:
        assert rows.of_person(looking, jane.id) == ()
    one_portal.base.clock.advance(30)
    assert not accepted(one_portal, "jane")
    assert behind.happened(one_portal, jane.id, "authn_app_remove") == 1
    assert len(behind.queued(one_portal, "notice_app_removed")) == 2
    for deed in DEEDS:
        assert browser.get(path_of(app, deed)).location == HOME


def test_a_second_press_is_told_that_the_app_is_not_as_it_was(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    browser.get(path_of(app, "remove"))
    assert browser.post(path_of(app, "remove")).status_code == 303
    answer = browser.post(path_of(app, "remove"))
    assert (answer.status_code, f'href="{HOME}"' in answer.text) == (409, True)
    assert behind.happened(one_portal, jane.id, "authn_app_remove") == 1


def test_of_many_presses_at_once_one_removes(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    first = portal.browser()
    first.sign_in(portal, "jane")
    app = app_of(portal, jane)
    first.get(path_of(app, "remove"))
    token, statuses, barrier = first.token(), [], threading.Barrier(8)

    def press():
        browser = portal.browser()
        for name in ("keyturn", "keyturn-session"):
            browser.client.set_cookie(name, first.cookie(name))
        barrier.wait(30)
        statuses.append(browser.post(path_of(app, "remove"), csrf_token=token).status_code)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] + [409] * 7
    assert len(behind.queued(portal, "notice_app_removed")) == 2


@pytest.mark.parametrize("deed", ["disable", "remove"])
def test_the_page_warns_before_the_last_app_goes(one_portal, jane, browser, deed):
    app = app_of(one_portal, jane)
    assert "This is your last app" in browser.get(path_of(app, deed)).text
    new = second_app(one_portal, jane, usable_from=one_portal.base.clock.now() + DAY)
    assert "the new one does in 24 hours" in browser.get(path_of(app, deed)).text
    assert 'class="note"' not in browser.get(path_of(new, deed)).text
    second_app(one_portal, jane)
    page = browser.get(path_of(app, deed)).text
    assert "last app" not in page
    assert "No other app" not in page


# ---- two codes in a row


def sync(portal, browser, app, first, second):
    return do(browser, app, "synchronize", code_1=portal.code("jane", first), code_2=portal.code("jane", second))


@pytest.mark.parametrize("offset", [-19, -7, -2, 3, 12, 19])
def test_two_codes_in_a_row_shift_the_window_and_do_not_widen_it(one_portal, jane, browser, offset):
    one_portal.base.clock.advance(30)
    app = app_of(one_portal, jane)
    one_portal.base.clock.advance(200)
    with one_portal.base.database.begin() as transaction:  # as if the sign-in had been long ago
        transaction.execute(rows.apps.update().values(last_step=0))
    assert sync(one_portal, browser, app, offset - 1, offset).location == HOME
    shifted = app_of(one_portal, jane)
    assert shifted.drift == offset
    assert shifted.last_step == totp.step_at(one_portal.base.clock.now()) + offset
    assert behind.happened(one_portal, jane.id, "authn_app_synchronize") == 1
    one_portal.base.clock.advance(90)
    for away in (-2, 2):
        assert not accepted(one_portal, "jane", offset + away)
    assert accepted(one_portal, "jane", offset - 1)
    assert accepted(one_portal, "jane", offset)
    assert accepted(one_portal, "jane", offset + 1)


@pytest.mark.parametrize(("first", "second"), [(5, 5), (5, 4), (5, 7), (20, 21), (-21, -20 - 2), (3, -3)])
def test_what_are_not_two_codes_in_a_row_within_ten_minutes_shifts_nothing(one_portal, jane, browser, first, second):
    app = app_of(one_portal, jane)
    answer = sync(one_portal, browser, app, first, second)
    assert (answer.status_code, "not two codes in a row" in answer.text) == (422, True)
    assert app_of(one_portal, jane) == app


def test_both_codes_are_spent(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    one_portal.base.clock.advance(120)
    assert sync(one_portal, browser, app, -1, 0).location == HOME
    assert not accepted(one_portal, "jane", -1)
    assert not accepted(one_portal, "jane", 0)
    answer = sync(one_portal, browser, app, -1, 0)
    assert (answer.status_code, "used before" in answer.text) == (422, True)
    one_portal.base.clock.advance(30)
    assert accepted(one_portal, "jane")


def test_a_step_that_was_burned_is_not_brought_back(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    assert not accepted(one_portal, "jane", 5)  # recognised, named, burned
    for first in (4, 5):
        answer = sync(one_portal, browser, app, first, first + 1)
        assert (answer.status_code, "used before" in answer.text) == (422, True)
    assert app_of(one_portal, jane).drift == 0
    assert sync(one_portal, browser, app, 6, 7).location == HOME


def test_a_wrong_pair_counts_as_a_try_before_it_is_judged(one_portal, jane, browser):
    app = app_of(one_portal, jane)
    for _ in range(5):
        assert sync(one_portal, browser, app, 5, 9).status_code == 422
    answer = sync(one_portal, browser, app, 7, 8)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert app_of(one_portal, jane).drift == 0


@pytest.mark.parametrize(("one", "two", "field"), [("", "123456", "code_1"), ("123456", "12a456", "code_2")])
def test_what_is_no_code_is_said_at_its_field_and_is_no_try(one_portal, jane, browser, one, two, field):
    app = app_of(one_portal, jane)
    for _ in range(6):
        answer = do(browser, app, "synchronize", code_1=one, code_2=two)
        assert (answer.status_code, f'id="{field}-error"' in answer.text) == (422, True)


# ---- messages cost money, and everybody's PINs wait when the hour's are used up


def test_an_app_put_away_and_back_over_and_over_floods_nobody_and_putting_away_is_never_held_back(
    one_portal, jane, browser
):
    app = app_of(one_portal, jane)
    for _ in range(3):
        assert do(browser, app, "disable").status_code == 303
        assert do(browser, app, "enable").status_code == 303
    assert do(browser, app, "disable").status_code == 303
    answer = do(browser, app, "enable")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert stored(one_portal, jane, app).state is AppState.DISABLED
    assert do(browser, app, "remove").status_code == 303
    assert len(behind.queued(one_portal, "notice_app_disabled")) == 4 * 2
    assert len(behind.queued(one_portal, "notice_app_enabled")) == 3 * 2


@pytest.mark.parametrize("deed", DEEDS)
def test_a_path_that_no_database_would_take_is_a_page_that_does_not_exist(portal, deed):
    portal.add("jane", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    browser.get("/sessions")
    token = browser.token()
    for name in ("%00", "a%00", "%ff", "a" * 4_000):
        assert browser.get(f"{HOME}/app/{name}/{deed}").status_code == 404, name
        fields = {"label": "x", "code_1": "123456", "code_2": "654321"}
        assert browser.post(f"{HOME}/app/{name}/{deed}", csrf_token=token, **fields).status_code == 404, name
