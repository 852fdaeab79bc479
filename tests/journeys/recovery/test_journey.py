"""The whole recovery through its doors, on every store, with a phone and a mailbox that tests can read."""

from app.records.attempts.model import Factor
from app.records.audit import store as audit
from tests.portal import NEW_PASSWORD, PASSWORD

JANE = {"phone": "+491700000001", "email": "jane@example.org"}


def test_a_forgotten_password_is_recovered_with_two_factors_and_works_at_sign_in(portal):
    portal.add("Jane", **JANE)
    browser = portal.browser()
    browser.recover_to_password(portal, "Jane", JANE["phone"])
    assert "12" in browser.page.text
    done = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert (done.status_code, done.location) == (303, "/recovery/done")
    page = browser.get("/recovery/done")
    assert page.status_code == 200
    assert "••• ••• 01" in page.text
    assert "j•••@e•••.org" in page.text

    portal.deliver()
    assert len(portal.phone.to(JANE["phone"])) == 2  # the PIN and the notice
    assert len(portal.mailbox.to(JANE["email"])) == 1
    assert NEW_PASSWORD not in portal.mailbox.to(JANE["email"])[0].text

    for password, status in ((PASSWORD, 422), (NEW_PASSWORD, 303)):
        signing = portal.browser()
        signing.get("/sign-in")
        assert signing.post("/sign-in", user_id="jane").status_code == 303
        signing.get("/sign-in/password")
        answer = signing.post("/sign-in/password", password=password)
        assert answer.status_code == status
    assert answer.location == "/sign-in/verify"


def test_only_unlock_keeps_the_password_and_ends_the_wait(portal):
    jane = portal.add("jane", **JANE)
    portal.lock(jane)
    browser = portal.browser()
    browser.recover_to_password(portal, "jane", JANE["phone"])
    assert 'action="/recovery/unlock"' in browser.page.text
    assert browser.post("/recovery/unlock").location == "/recovery/done"
    with portal.base.database.read() as looking:
        standing = portal.means.tries.standing(looking, jane.id, Factor.PASSWORD)
    assert not standing.locked(portal.base.clock.now())
    signing = portal.browser()
    signing.post("/sign-in", user_id="jane")
    signing.get("/sign-in/password")
    assert signing.post("/sign-in/password", password=PASSWORD).status_code == 303


def test_the_pin_by_email_is_alternative_authentication_and_voids_the_one_by_sms(portal):
    portal.add("jane", **JANE)
    browser = portal.browser()
    browser.recover_to_pin(portal, "jane")
    portal.deliver()
    by_sms = portal.last_pin(JANE["phone"])
    assert "Alternative Authentication" in browser.page.text
    assert browser.post("/recovery/pin/send", channel="email").location == "/recovery/pin"
    portal.deliver()
    browser.get("/recovery/pin")
    assert browser.post("/recovery/pin", pin=by_sms).status_code == 422
    by_email = portal.last_pin(JANE["email"])
    assert len(by_email) == 8
    assert browser.post("/recovery/pin", pin=by_email).location == "/recovery/password"


def test_without_a_phone_on_file_the_pin_goes_by_email(portal):
    portal.add("omar", email="omar@example.org")
    browser = portal.browser()
    browser.recover_to_pin(portal, "omar")
    assert 'data-destination="o•••@e•••.org"' in browser.page.text
    portal.deliver()
    assert browser.post("/recovery/pin", pin=portal.last_pin("omar@example.org")).location == "/recovery/password"


def test_what_happened_is_written_down_without_secrets(portal):
    jane = portal.add("jane", **JANE)
    browser = portal.browser()
    browser.recover_to_token("jane")
    browser.post("/recovery/token", code=portal.wrong_code("jane"))
    browser.recover_to_password(portal, "jane", JANE["phone"])
    browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    with portal.base.database.read() as looking:
        events = [record.event.value for record in reversed(audit.of_person(looking, jane.id))]
    assert events == [
        "authn_token_fail",
        "authn_token_success",
        "authn_pin_sent",
        "authn_pin_success",
        "authn_password_change",
    ]
