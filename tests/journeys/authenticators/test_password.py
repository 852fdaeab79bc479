"""Change Password: the present one first, counted like every other; what ends with it; twenty candidates."""

import threading

import pytest

from tests.journeys import behind
from tests.journeys.authenticators.conftest import EMAIL, PHONE
from tests.portal import NEW_PASSWORD, PASSWORD

PAGE = "/authenticators/password"
DONE = "/authenticators"


def change(browser, *, current=PASSWORD, new=NEW_PASSWORD, confirm=None, everywhere=True, **fields):
    browser.get(PAGE)
    if everywhere:
        fields["everywhere"] = "yes"
    return browser.post(
        PAGE, current_password=current, new_password=new, confirm_password=new if confirm is None else confirm, **fields
    )


def another(portal):
    portal.base.clock.advance(30)
    found = portal.browser()
    found.sign_in(portal, "jane")
    return found


def test_the_present_password_and_a_good_new_one_change_it(one_portal, jane, browser):
    answer = change(browser)
    assert answer.location == DONE
    page = browser.get(DONE)
    assert (page.status_code, "Your password was changed." in page.text) == (200, True)
    assert behind.signs_in(one_portal, "jane", NEW_PASSWORD)
    assert not behind.signs_in(one_portal, "jane", PASSWORD)
    assert behind.happened(one_portal, jane.id, "authn_password_change") == 1
    told = [one["contact_id"] for one in behind.queued(one_portal, "notice_password_changed")]
    assert len(told) == 2


def test_all_other_sessions_end_and_this_one_lives_on(one_portal, jane, browser):
    other = another(one_portal)
    assert change(browser).status_code == 303
    assert browser.get("/authenticators").status_code == 200
    assert other.get("/authenticators").location == "/sign-in"
    assert len(behind.sessions(one_portal, jane.id)) == 1


def test_unticked_the_other_sessions_live_on(one_portal, jane, browser):
    other = another(one_portal)
    assert change(browser, everywhere=False).status_code == 303
    assert browser.get("/authenticators").status_code == 200
    assert other.get("/authenticators").status_code == 200


def test_the_box_is_ticked_at_first_and_stays_as_it_was_left(one_portal, browser):
    assert ' checked aria-describedby="everywhere-hint"' in browser.get(PAGE).text
    assert " checked" not in change(browser, new="short", everywhere=False).text
    assert " checked" in change(browser, new="short").text


def test_a_wrong_present_password_changes_nothing_and_costs_a_try(one_portal, jane, browser):
    for _ in range(5):
        answer = change(browser, current=f"wrong {_}")
        assert answer.status_code == 422
        assert "This is not your present password." in answer.text
    answer = change(browser)
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert behind.happened(one_portal, jane.id, "authn_login_fail") == 5
    assert behind.happened(one_portal, jane.id, "authn_password_change") == 0


def test_nothing_is_said_of_a_new_password_while_the_present_one_is_wrong(one_portal, browser):
    """Whoever found a session open must not learn from it what the former passwords were."""
    for new in (PASSWORD, "short", "aaaaaaaaaaaa"):
        answer = change(browser, current="wrong", new=new)
        assert answer.status_code == 422
        assert 'id="new_password-error"' not in answer.text


def test_without_a_present_password_both_fields_say_what_they_lack_and_no_try_is_spent(one_portal, jane, browser):
    answer = change(browser, current="", new="short", confirm="shorter")
    assert answer.status_code == 422
    assert 'id="current_password-error"' in answer.text
    assert 'id="new_password-error"' in answer.text
    assert behind.happened(one_portal, jane.id, "authn_login_fail") == 0


def test_the_present_and_a_former_password_are_refused(one_portal, jane, browser):
    assert "It is your present password." in change(browser, new=PASSWORD).text
    assert change(browser).status_code == 303
    answer = change(browser, current=NEW_PASSWORD, new=PASSWORD)
    assert (answer.status_code, "You had it before." in answer.text) == (422, True)


def test_a_session_may_propose_twenty_passwords_and_no_more(one_portal, browser):
    for number in range(20):
        one_portal.base.clock.advance(10)
        assert change(browser, new=f"short {number}").status_code == 422
    answer = change(browser)
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert "Too many new passwords were turned down" in answer.text
    one_portal.base.clock.advance(30)
    again = another(one_portal)
    assert change(again).status_code == 303


def test_a_new_id_of_the_session_gives_no_candidate_back(one_portal, browser):
    for number in range(20):
        change(browser, new=f"short {number}")
    one_portal.base.clock.advance(30)
    browser.get("/step-up")
    assert browser.post("/step-up", code=one_portal.code("jane")).status_code == 303
    assert change(browser).status_code == 429


def test_a_pin_by_mail_suffices_for_this_one_change(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert change(browser).location == DONE
    assert behind.sessions(one_portal, jane.id) == [(["password", "email"], 1)]


def test_a_proof_that_is_hours_old_does_not_stand_in_for_the_present_password(one_portal, browser):
    for _ in range(8):
        one_portal.base.clock.advance(800)
        browser.get("/authenticators")
    assert change(browser, current="wrong").status_code == 422
    assert change(browser).status_code == 303


def test_of_two_changes_at_once_one_is_carried_out(portal):
    jane = portal.add("jane", phone=PHONE, email=EMAIL)
    browser = portal.browser()
    browser.sign_in(portal, "jane")
    browser.get(PAGE)
    token, session = browser.token(), browser.cookie("keyturn-session")
    statuses, barrier = [], threading.Barrier(4)

    def post(number):
        one = portal.browser()
        one.get(PAGE)
        one.client.set_cookie("keyturn", browser.cookie("keyturn"))
        one.client.set_cookie("keyturn-session", session)
        new = f"another fine long passphrase {number}"
        barrier.wait(30)
        answer = one.post(
            PAGE, csrf_token=token, current_password=PASSWORD, new_password=new, confirm_password=new, everywhere="yes"
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses.count(303) == 1
    assert set(statuses) <= {303, 409, 422}
    assert behind.happened(portal, jane.id, "authn_password_change") == 1


def test_password_managers_find_their_way(one_portal, jane):
    browser = one_portal.browser()
    assert browser.get("/.well-known/change-password").location == PAGE
    assert browser.get(PAGE).location == "/sign-in"
    assert browser.sign_in(one_portal, "jane").location == PAGE
    page = browser.get(PAGE).text
    assert 'autocomplete="current-password"' in page
    assert page.count('autocomplete="new-password" passwordrules="minlength: 12;') == 2
    assert 'name="username" value="jane" autocomplete="username"' in page


def test_a_page_that_does_not_exist_says_so_to_password_managers(one_portal):
    nowhere = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert one_portal.browser().get(nowhere).status_code == 404


@pytest.mark.parametrize("planted", ["<script>alert(1)</script>", "session", "x" * 300])
def test_the_address_puts_no_words_into_the_page(one_portal, browser, planted):
    page = browser.get("/authenticators", query_string={"done": planted})
    assert (page.status_code, 'class="note good"' in page.text) == (200, False)


def test_a_password_changed_over_and_over_floods_nobody(one_portal, jane, browser):
    now = PASSWORD
    for number in range(3):
        new = f"another fine long passphrase {number}"
        assert change(browser, current=now, new=new).status_code == 303
        now = new
    answer = change(browser, current=now)
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
    assert 'id="new_password-error"' in answer.text
    assert behind.happened(one_portal, jane.id, "authn_password_change") == 3
    one_portal.base.clock.advance(600)
    browser.get("/authenticators")
    one_portal.base.clock.advance(600)
    assert change(browser, current=now).status_code == 303
