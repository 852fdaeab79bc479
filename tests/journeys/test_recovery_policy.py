"""Which proofs a recovery takes, and in which order: told after a first proof, hidden from strangers before it."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from app.records.attempts.model import Factor
from app.records.organizations.model import Policy, Proof, RecoveryPolicy
from tests.journeys import behind
from tests.portal import NEW_PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
TOKEN, CODE, PIN, NEW = "/recovery/token", "/recovery/code", "/recovery/pin", "/recovery/password"


def policy(first=(Proof.APP, Proof.RECOVERY_CODE), second=(Proof.SMS, Proof.EMAIL)):
    return Policy(recovery=RecoveryPolicy(first=first, second=second))


NO_APP, NO_CODES = policy((Proof.RECOVERY_CODE,)), policy((Proof.APP,))
MAIL_FIRST, MAIL_ONLY = policy(second=(Proof.EMAIL, Proof.SMS)), policy(second=(Proof.EMAIL,))


@pytest.fixture
def jane(one_portal):
    return one_portal.add("jane", phone=PHONE, email=EMAIL)


def told(page):
    """A page without what differs from request to request."""
    return [line for line in page.text.splitlines() if "csrf_token" not in line]


# ---- the first proof


def test_a_right_app_code_is_answered_like_a_wrong_one_where_the_policy_takes_none(one_portal, jane):
    one_portal.decide(NO_APP)
    browser, stranger = one_portal.browser(), one_portal.browser()
    browser.recover_to_token("jane")
    stranger.recover_to_token("jane")
    right = browser.post(TOKEN, code=one_portal.code("jane"))
    wrong = stranger.post(TOKEN, code=one_portal.wrong_code("jane"))
    assert (right.status_code, told(right)) == (wrong.status_code, told(wrong)) == (422, told(wrong))
    assert behind.queued(one_portal) == []
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, jane.id, Factor.APP).consecutive == 2
    assert behind.reasons(one_portal, jane.id, "authn_token_fail") == ["not_allowed", "not_allowed"]


def test_a_code_of_another_time_is_not_told_apart_either(one_portal, jane):
    one_portal.decide(NO_APP)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert "clock" not in browser.post(TOKEN, code=one_portal.code("jane", 5)).text


def test_the_app_code_is_not_used_up_by_a_recovery_that_does_not_take_it(one_portal, jane):
    one_portal.decide(NO_APP)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    browser.post(TOKEN, code=one_portal.code("jane"))
    one_portal.browser().sign_in(one_portal, "jane")


def test_a_saved_code_is_answered_like_a_wrong_one_where_the_policy_takes_none_and_stays(one_portal, jane):
    codes = one_portal.add_codes(jane)
    one_portal.decide(NO_CODES)
    browser, stranger = one_portal.browser(), one_portal.browser()
    for one, code in ((browser, codes[0]), (stranger, "AAAA-AAAA-AAAA-AAAA")):
        one.recover_to_token("jane")
        one.get(CODE)
        one.answer = one.post(CODE, code=code)
    assert (browser.answer.status_code, told(browser.answer)) == (422, told(stranger.answer))
    assert behind.reasons(one_portal, jane.id, "authn_recovery_code_fail") == ["not_allowed", "not_allowed"]
    one_portal.decide(Policy())
    one_portal.browser().recover_to_pin_by_code("jane", codes[0])


def test_the_proofs_that_a_policy_takes_recover(one_portal, jane):
    codes = one_portal.add_codes(jane)
    one_portal.decide(NO_APP)
    browser = one_portal.browser()
    browser.recover_to_pin_by_code("jane", codes[0])
    one_portal.deliver()
    assert browser.post(PIN, pin=behind.pins_by_sms(one_portal, PHONE)[-1]).location == NEW


def test_pages_before_a_proof_are_the_same_whatever_the_policy(one_portal, jane):
    one_portal.decide(NO_APP)
    one_portal.decide(NO_CODES, "other")
    one_portal.add("kim", phone=PHONE, home="other")
    pages = []
    for user_id in ("jane", "kim", "nobody"):
        browser = one_portal.browser()
        browser.recover_to_token(user_id)
        shown = [browser.get(path) for path in (TOKEN, CODE, "/recovery/other-ways")]
        pages.append([line.replace(user_id, "X") for page in shown for line in told(page)])
    assert pages[0] == pages[1] == pages[2]


@pytest.mark.parametrize(("path", "typed"), [(TOKEN, "000000"), (CODE, "AAAA-AAAA-AAAA-AAAA")])
def test_the_same_statements_run_for_whom_a_policy_refuses_and_for_nobody(one_portal, jane, path, typed):
    one_portal.decide(NO_APP if path == TOKEN else NO_CODES)
    seen = []
    for user_id in ("jane", "nobody"):
        browser = one_portal.browser()
        browser.recover_to_token(user_id)
        browser.get(path)
        statements: list[str] = []

        def note(_connection, _cursor, statement, *_, into=statements):
            into.append(statement)

        for engine in (one_portal.base.database.engine, one_portal.base.database._reader):
            event.listen(engine, "before_cursor_execute", note)
        browser.post(path, code=typed)
        for engine in (one_portal.base.database.engine, one_portal.base.database._reader):
            event.remove(engine, "before_cursor_execute", note)
        seen.append([one for one in statements if "SAVEPOINT" not in one])
    assert seen[0] == seen[1]


# ---- the second


def test_the_pin_goes_first_where_the_policy_says_and_the_other_way_is_offered(one_portal, jane):
    one_portal.decide(MAIL_FIRST)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    assert 'data-destination="j' in browser.page.text
    one_portal.deliver()
    assert [row["channel"] for row in behind.queued(one_portal)] == ["email"]
    assert browser.post("/recovery/pin/send", channel="sms").status_code == 303


def test_a_channel_that_the_policy_does_not_take_gets_no_pin_and_is_not_offered(one_portal, jane):
    one_portal.decide(MAIL_ONLY)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "jane")
    assert [row["channel"] for row in behind.queued(one_portal)] == ["email"]
    assert 'value="sms"' not in browser.page.text
    one_portal.base.clock.advance(120)
    answer = browser.post("/recovery/pin/send", channel="sms")
    assert (answer.status_code, len(behind.queued(one_portal))) == (422, 1)


def test_where_the_policy_takes_none_of_the_contacts_the_page_says_that_nothing_can_be_sent(one_portal):
    one_portal.add("pia", phone=PHONE)
    one_portal.decide(MAIL_ONLY)
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "pia")
    assert behind.queued(one_portal) == []
    assert "no contact to which a PIN can be sent" in browser.page.text


def test_five_failed_codes_do_not_shut_out_whoever_may_only_have_pins_by_mail(one_portal, jane):
    one_portal.decide(MAIL_ONLY)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    one_portal.base.clock.advance(400)
    browser.recover_to_pin(one_portal, "jane")
    assert [row["channel"] for row in behind.queued(one_portal)] == ["email"]


def test_the_mailbox_still_gets_none_after_five_failed_codes_where_the_phone_may(one_portal, jane):
    one_portal.decide(MAIL_FIRST)
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    for _ in range(5):
        browser.post(TOKEN, code=one_portal.wrong_code("jane"))
    one_portal.base.clock.advance(400)
    browser.recover_to_pin(one_portal, "jane")
    assert [row["channel"] for row in behind.queued(one_portal)] == ["sms"]


# ---- told beforehand


def test_whoever_signs_in_reads_what_does_not_count(one_portal, jane):
    one_portal.add_codes(jane)
    one_portal.decide(policy((Proof.RECOVERY_CODE,), (Proof.EMAIL,)))
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    page = browser.get("/authenticators").text
    assert page.count("data-barred") == 2
    assert 'data-covered="2"' in page  # without a phone, and without a password; not without the mailbox
    assert "You recover with a recovery code and a one-time PIN by e-mail." in page


def test_the_rehearsal_says_that_it_cannot_be_walked_and_cannot(one_portal, jane):
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    browser.get("/rehearsal")
    browser.post("/rehearsal")
    browser.get("/rehearsal/token")
    one_portal.decide(NO_APP)
    one_portal.base.clock.advance(60)
    assert browser.post("/rehearsal/token", code=one_portal.code("jane")).status_code == 422
    assert "does not take codes of an app" in browser.get("/rehearsal").text


def test_nobody_is_advised_to_add_what_would_not_count(one_portal):
    one_portal.add("pia", phone=PHONE, app=False)
    one_portal.decide(policy((Proof.APP,), (Proof.SMS,)))
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "pia", PHONE)
    page = browser.get("/authenticators").text
    assert "Make recovery codes</a>" not in page
    assert "Add an authenticator app</a>" in page


# ---- several organizations that have nothing in common (security rule 12)


def test_where_several_policies_leave_no_way_the_home_organizations_holds_and_support_sees_it_once_a_day(
    one_portal, jane
):
    one_portal.decide(NO_CODES)
    one_portal.decide(NO_APP, "other")
    behind.join(one_portal, jane, "other")
    for _ in range(3):
        one_portal.base.clock.advance(600)
        browser = one_portal.browser()
        browser.recover_to_password(one_portal, "jane", PHONE)
    assert behind.happened(one_portal, jane.id, "policies_leave_no_recovery") == 1
    one_portal.base.clock.advance(86_400)
    browser = one_portal.browser()
    browser.recover_to_password(one_portal, "jane", PHONE)
    assert behind.happened(one_portal, jane.id, "policies_leave_no_recovery") == 2
    assert browser.post(NEW, new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD).status_code == 303


def test_nothing_is_flagged_where_a_way_is_left(one_portal, jane):
    one_portal.decide(NO_CODES)
    one_portal.browser().recover_to_pin(one_portal, "jane")
    assert behind.happened(one_portal, jane.id, "policies_leave_no_recovery") == 0


def at_another(portal, person, **those):
    """A guest of another organization, which takes only this."""
    portal.decide(policy(**those), "other")
    behind.join(portal, person, "other")


def test_a_guest_without_saved_codes_recovers_by_their_app_where_the_other_organization_takes_only_codes(portal):
    person = portal.add("jane", phone=PHONE, email=EMAIL)
    at_another(portal, person, first=(Proof.RECOVERY_CODE,))
    portal.browser().recover_to_password(portal, "jane", PHONE)
    assert behind.happened(portal, person.id, "policies_leave_no_recovery") == 1


def test_a_guest_who_has_saved_codes_meets_what_the_other_organization_takes(one_portal, jane):
    codes = one_portal.add_codes(jane)
    at_another(one_portal, jane, first=(Proof.RECOVERY_CODE,))
    browser = one_portal.browser()
    browser.recover_to_token("jane")
    assert browser.post(TOKEN, code=one_portal.code("jane")).status_code == 422
    assert behind.reasons(one_portal, jane.id, "authn_token_fail") == ["not_allowed"]
    one_portal.browser().recover_to_pin_by_code("jane", codes[0])
    assert behind.happened(one_portal, jane.id, "policies_leave_no_recovery") == 0


def test_a_guest_without_an_app_recovers_by_a_saved_code_where_the_other_organization_takes_only_apps(one_portal):
    person = one_portal.add("pia", phone=PHONE, app=False)
    codes = one_portal.add_codes(person)
    at_another(one_portal, person, first=(Proof.APP,))
    one_portal.browser().recover_to_pin_by_code("pia", codes[0])
    assert behind.happened(one_portal, person.id, "policies_leave_no_recovery") == 1


def test_a_guest_without_a_phone_gets_the_pin_by_mail_where_the_other_organization_takes_only_sms(one_portal):
    person = one_portal.add("pia", email=EMAIL)
    at_another(one_portal, person, second=(Proof.SMS,))
    one_portal.browser().recover_to_pin(one_portal, "pia")
    assert [row["channel"] for row in behind.queued(one_portal, "pin")] == ["email"]
    assert behind.happened(one_portal, person.id, "policies_leave_no_recovery") == 1


def test_a_number_that_no_sms_goes_to_is_no_way(one_portal):
    """The home organization sends to Austria alone, and what the other one takes is a PIN by SMS."""
    person = one_portal.add("pia", phone=PHONE, email=EMAIL)
    one_portal.decide(replace(Policy(), sms_countries=("AT",)))
    at_another(one_portal, person, second=(Proof.SMS,))
    browser = one_portal.browser()
    browser.recover_to_pin(one_portal, "pia")
    assert 'value="email"' in browser.page.text


def test_a_guests_own_page_says_what_counts_for_them(one_portal, jane):
    at_another(one_portal, jane, first=(Proof.RECOVERY_CODE,))
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    page = browser.get("/authenticators").text
    assert "data-barred" not in page
    one_portal.add_codes(jane)
    assert browser.get("/authenticators").text.count("data-barred") == 1
