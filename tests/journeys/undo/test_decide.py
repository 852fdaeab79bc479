"""After a freezing: an older factor decides, once; without one support does (security rule 5)."""

import threading

import pytest

from app.factors.recovery_code.model import Use
from app.factors.totp import store as totp_store
from app.factors.totp.model import AppState
from app.records.people import store as people
from app.records.people.model import Channel, Status
from tests.journeys import behind
from tests.journeys.undo.conftest import (
    EMAIL,
    PHONE,
    THIEFS_EMAIL,
    THIEFS_PASSWORD,
    THIEFS_PHONE,
)
from tests.meanwhile import before_writing
from tests.portal import NEW_PASSWORD, PASSWORD

DAY = 86_400


def recover(portal, to, password=NEW_PASSWORD):
    portal.deliver()  # notices, which would come after the PIN
    browser = portal.browser()
    browser.recover_to_password(portal, "jane", to)
    return browser.post("/recovery/password", new_password=password, confirm_password=password)


# ---- the thief


def test_a_thief_with_password_and_mailbox_who_changes_everything_loses_it_all_to_the_old_phones_notice(case):
    portal = case.portal
    thief = portal.browser(REMOTE_ADDR="203.0.113.66")
    thief.sign_in_by_pin(portal, "jane", EMAIL)
    case.change_password()
    case.later()
    seed = case.bind_app()
    case.later()
    case.drop_app()
    case.later()
    case.add_contact(Channel.SMS, THIEFS_PHONE)
    case.later()
    case.remove_contact(PHONE)
    case.later()
    portal.seeds["thief"] = seed
    thief.sign_in_to_verify("jane", THIEFS_PASSWORD)
    assert thief.post("/sign-in/verify", code=portal.code("thief")).status_code == 303
    assert thief.get("/authenticators").status_code == 200

    case.undo(case.links(PHONE)[0], "roll_back")

    assert thief.get("/authenticators").location == "/sign-in"
    assert case.apps() == {"Phone": "active", "New": "removed"}
    assert case.contacts() == {PHONE, EMAIL}
    for password in (THIEFS_PASSWORD, PASSWORD):
        assert not behind.signs_in(portal, "jane", password)
    case.later()
    browser = portal.browser(REMOTE_ADDR="203.0.113.66")
    browser.recover_to_token("jane")
    assert browser.post("/recovery/token", code=case.code_of(seed)).status_code == 422
    assert recover(portal, PHONE, THIEFS_PASSWORD).status_code == 422  # was in the history
    case.later()
    assert recover(portal, PHONE).location == "/recovery/done"
    assert behind.signs_in(portal, "jane", NEW_PASSWORD)


def test_a_thief_who_recovered_with_stolen_app_and_phone_does_not_disarm_the_mailboxs_notice(case):
    portal = case.portal
    assert recover(portal, PHONE, THIEFS_PASSWORD).location == "/recovery/done"
    (link,) = case.links(EMAIL)
    case.later(DAY)
    case.change_password("and the thief chose again")
    case.add_contact(Channel.EMAIL, THIEFS_EMAIL)
    case.later()
    case.remove_contact(EMAIL)
    case.later()
    seed = case.bind_app()
    case.later()
    # the thief freezes as well, by the newest mailbox's link: more than that it cannot do
    thief = case.press(case.links(THIEFS_EMAIL)[-1])
    assert case.person.status is Status.FROZEN
    owner = case.press(link)
    # the older app is the stolen one, and the owner says so
    assert owner.post("/undo/choose", stolen="yes").location == "/undo/done"
    assert "Support decides now" in owner.get("/undo/done").text
    for code in (case.code_of(seed), portal.code("jane")):
        assert thief.post("/undo/choose", code=code).status_code == 409
    assert case.person.status is Status.FROZEN
    for password in (PASSWORD, THIEFS_PASSWORD, "and the thief chose again"):
        assert not behind.signs_in(portal, "jane", password)


def test_a_thief_who_uses_up_the_link_and_keeps_arms_another_for_the_owner(case):
    case.change_password()
    case.undo(case.links(PHONE)[0], "keep")  # by a stolen app
    case.later()
    browser = case.press(case.links(EMAIL)[-1])
    assert "Support decides now" in browser.page.text
    assert case.person.status is Status.FROZEN


def test_a_younger_link_lets_nothing_older_than_its_own_change_be_undone_and_cannot_narrow_a_dispute(case):
    case.bind_app()
    case.later()
    case.change_password()
    first, second = case.links(PHONE)
    case.press(first)
    case.press(second)
    table = behind.tables(case.portal)["disputes"]
    assert [row[3] for row in table] == [case.now - 60]


# ---- which factor decides


@pytest.mark.parametrize("younger", [0, 1])
def test_a_factor_that_is_not_older_than_the_change_decides_nothing(case, younger):
    with case.portal.base.database.begin() as transaction:
        case.announce(transaction)  # a change
    case.later(younger)
    seed = case.bind_app()
    browser = case.press(case.links(PHONE)[0])
    assert case.prove(browser, case.code_of(seed)).status_code == 422
    assert browser.get("/undo/decide").location == "/undo/choose"
    assert case.prove(browser).location == "/undo/decide"


def test_an_app_that_still_waited_when_the_change_was_made_decides_nothing(case):
    seed = case.bind_app(usable_from=case.now + DAY)
    case.later()
    case.change_password()
    case.later(2 * DAY)
    browser = case.press(case.links(PHONE)[-1])
    assert case.prove(browser, case.code_of(seed)).status_code == 422


@pytest.mark.parametrize("to", [AppState.DISABLED, AppState.REMOVED])
def test_an_app_that_was_taken_away_with_the_change_decides_and_comes_back(case, to):
    case.drop_app(to=to)
    case.undo(case.links(PHONE)[0], "roll_back")
    assert case.apps() == {"Phone": "active"}


@pytest.mark.parametrize("to", [AppState.DISABLED, AppState.REMOVED])
def test_an_app_that_was_taken_away_before_the_change_decides_nothing_and_stays_away(case, to):
    case.bind_app()
    case.drop_app(to=to)
    case.later()
    case.change_password()
    browser = case.press(case.links(PHONE)[-1])
    assert case.prove(browser).status_code == 422
    assert case.person.status is Status.FROZEN


def test_a_code_decides_once_and_wrong_ones_are_counted_in_the_owners_lane(case):
    case.change_password()
    browser = case.press(case.links(PHONE)[0])
    code = case.portal.code("jane")
    for _ in range(5):
        assert case.prove(browser, case.portal.wrong_code("jane")).status_code == 422
    assert case.prove(browser, code).status_code == 429
    case.later(30)
    code = case.portal.code("jane")
    assert case.prove(browser, code).location == "/undo/decide"
    other = case.press(case.links(PHONE)[-1])
    answer = case.prove(other, code)
    assert (answer.status_code, "used before" in answer.text) == (422, True)


def test_what_strangers_spent_does_not_close_the_decision(case):
    portal = case.portal
    for number in range(6):
        stranger = portal.browser(REMOTE_ADDR=f"198.51.100.{number}")
        stranger.recover_to_token("jane")
        assert stranger.post("/recovery/token", code=portal.wrong_code("jane")).status_code == 422
        case.later(3_600)
    case.change_password()
    browser = case.press(case.links(PHONE)[-1])
    assert case.prove(browser).location == "/undo/decide"


# ---- the decision


def test_keeping_opens_the_account_and_changes_nothing_else(case):
    browser = case.portal.browser()
    case.change_password()
    case.later()
    browser.sign_in(case.portal, "jane", THIEFS_PASSWORD)
    case.later()
    before = behind.tables(case.portal)
    case.undo(case.links(PHONE)[0], "keep")
    after = behind.tables(case.portal)
    assert case.person.status is Status.ACTIVE
    assert case.person.recovered_at is None
    for unchanged in ("passwords", "password_history", "contacts"):
        assert after[unchanged] == before[unchanged]
    assert browser.get("/authenticators").location == "/sign-in"
    assert behind.signs_in(case.portal, "jane", THIEFS_PASSWORD)
    assert behind.happened(case.portal, case.jane.id, "user_unfrozen") == 1
    assert len(behind.queued(case.portal, "notice_unfrozen")) == 2


def test_rolling_back_brings_contacts_back_as_they_were_and_begins_the_day_of_rest(case):
    with case.portal.base.database.begin() as transaction:
        table = people.contacts
        transaction.execute(table.update().where(table.c.address == PHONE).values(usable_from=case.now - 5))
    usable_from = case.now - 5
    case.later()
    case.add_contact(Channel.SMS, THIEFS_PHONE)
    case.remove_contact(PHONE)
    case.later()
    case.undo(case.links(PHONE)[0], "roll_back")
    assert case.contacts() == {PHONE, EMAIL}
    with case.portal.base.database.read() as looking:
        assert people.contacts_of(looking, case.jane.id)[0].usable_from == usable_from
    assert case.person.recovered_at == case.now
    assert behind.happened(case.portal, case.jane.id, "user_rolled_back") == 1
    case.portal.deliver()
    for address in (PHONE, THIEFS_PHONE):
        assert "taken back" in case.portal.phone.to(address)[-1].body


def test_a_password_that_was_not_the_disputed_change_is_useless_after_a_rollback_all_the_same(case):
    case.bind_app()
    case.later()
    case.undo(case.links(PHONE)[0], "roll_back")
    assert not behind.signs_in(case.portal, "jane", PASSWORD)
    case.later()
    case.portal.deliver()  # notices, which would come after the PIN
    browser = case.portal.browser()
    browser.recover_to_password(case.portal, "jane", PHONE)
    assert browser.post("/recovery/unlock").status_code == 409  # no way to keep it
    answer = browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    assert answer.location == "/recovery/done"


@pytest.mark.parametrize("decision", ["", "x", "KEEP", "support"])
def test_only_the_two_decisions_are_taken(case, decision):
    case.change_password()
    browser = case.press(case.links(PHONE)[0])
    case.prove(browser)
    assert browser.post("/undo/decide", decision=decision).status_code == 422
    assert case.person.status is Status.FROZEN


def test_nobody_decides_without_a_code(case):
    case.change_password()
    browser = case.press(case.links(PHONE)[0])
    assert browser.get("/undo/decide").location == "/undo/choose"
    assert browser.post("/undo/decide", decision="keep").status_code == 409
    assert browser.post("/undo/choose", code="").status_code == 422
    assert case.person.status is Status.FROZEN


def test_a_proof_for_a_younger_change_does_not_decide_once_an_older_one_is_disputed(case):
    case.later()
    case.change_password()
    case.later()
    seed = case.bind_app()
    case.later()
    case.add_contact(Channel.SMS, THIEFS_PHONE)
    links = case.links(PHONE)
    thief = case.press(links[-1])
    assert case.prove(thief, case.code_of(seed)).location == "/undo/decide"
    thief.get("/undo/decide")
    case.press(links[0])
    assert thief.post("/undo/decide", decision="keep").status_code == 409
    assert case.person.status is Status.FROZEN


def test_a_code_that_is_judged_while_an_older_change_is_disputed_decides_nothing_and_is_not_spent(case):
    codes = case.make_codes()
    case.later()
    case.change_password()
    case.later()
    case.bind_app()
    first, last = case.links(PHONE)
    browser = case.press(last)
    with before_writing(case.portal.base.database, lambda: case.press(first), 2):
        assert browser.post("/undo/code", code=codes[0]).status_code == 409
    assert browser.get("/undo/decide").location == "/undo/choose"
    assert browser.post("/undo/code", code=codes[0]).location == "/undo/decide"


def test_a_second_dispute_within_seven_days_of_a_resolved_one_goes_to_support(case):
    case.change_password()
    case.undo(case.links(PHONE)[0], "keep")
    case.later(7 * DAY)
    case.change_password("yet another passphrase")
    browser = case.press(case.links(PHONE)[-1])
    assert "Support decides now" in browser.page.text
    assert 'name="code"' not in browser.page.text
    assert case.prove(browser).status_code == 409


def test_after_more_than_seven_days_the_owner_decides_again(case):
    case.change_password()
    case.undo(case.links(PHONE)[0], "keep")
    case.later(7 * DAY + 1)
    case.change_password("yet another passphrase")
    browser = case.press(case.links(PHONE)[-1])
    assert case.prove(browser).location == "/undo/decide"


def test_of_many_decisions_at_once_one_decides(both_case):
    case = both_case
    case.change_password()
    browser = case.press(case.links(PHONE)[0])
    case.prove(browser)
    browser.get("/undo/decide")
    token, held = browser.token(), browser.cookie("keyturn-task")
    csrf = browser.cookie("keyturn")
    statuses, barrier = [], threading.Barrier(12)

    def press(number):
        one = case.portal.browser(REMOTE_ADDR=f"203.0.113.{number}")
        one.client.set_cookie("keyturn-task", held)
        one.client.set_cookie("keyturn", csrf)
        barrier.wait(30)
        decision = ("keep", "roll_back")[number % 2]
        statuses.append(one.post("/undo/decide", csrf_token=token, decision=decision).status_code)

    threads = [threading.Thread(target=press, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(statuses) == [303] + [409] * 11
    told = len(behind.queued(case.portal, "notice_unfrozen")) + len(behind.queued(case.portal, "notice_rolled_back"))
    assert told == 2
    assert case.person.status is Status.ACTIVE


def test_a_flow_that_is_lost_or_over_leads_to_a_page_that_says_how_to_go_on(case):
    browser = case.portal.browser()
    for path in ("/undo/choose", "/undo/decide", "/undo/done"):
        assert behind.lands_on(browser, path) == "/undo"
    case.change_password()
    browser = case.press(case.links(PHONE)[0])
    other = case.press(case.links(PHONE)[-1])
    case.later(30)
    assert case.prove(browser).location == "/undo/decide"
    browser.get("/undo/decide")
    assert browser.post("/undo/decide", decision="keep").location == "/undo/done"
    assert behind.lands_on(other, "/undo/choose") == "/undo"
    case.later(901)
    assert behind.lands_on(other, "/undo/choose") == "/undo"


def test_a_saved_code_of_the_earlier_set_decides_once_though_new_codes_were_made_since(case):
    old = case.make_codes()
    case.later()
    with case.portal.base.database.begin() as transaction:
        case.announce(transaction)
    case.later()
    case.make_codes()
    first, again = case.links(PHONE)[0], case.links(EMAIL)
    browser = case.press(first)
    assert browser.get("/undo/code").status_code == 200
    assert browser.post("/undo/code", code=old[0].lower()).location == "/undo/decide"
    assert browser.post("/undo/decide", decision="keep").location == "/undo/done"
    assert case.person.status is Status.ACTIVE
    case.later(8 * DAY)
    with case.portal.base.database.begin() as transaction:
        case.announce(transaction)
    browser = case.press(case.links(EMAIL)[len(again)])
    answer = browser.post("/undo/code", code=old[0])
    assert (answer.status_code, browser.get("/undo/decide").location) == (422, "/undo/choose")


def test_a_saved_code_that_is_not_older_than_the_change_or_whose_set_was_void_before_decides_nothing(case):
    void = case.make_codes()
    case.later()
    older = case.make_codes()
    case.later()
    with case.portal.base.database.begin() as transaction:
        case.announce(transaction)
    younger = case.make_codes()
    browser = case.press(case.links(PHONE)[0])
    for code in (void[0], younger[0]):
        case.later(60)
        assert browser.post("/undo/code", code=code).status_code == 422
        assert browser.get("/undo/decide").location == "/undo/choose"
    case.later(600)
    assert browser.post("/undo/code", code=older[0]).location == "/undo/decide"


def test_no_code_decides_once_the_owner_left_it_to_support(case):
    codes = case.make_codes()
    case.later()
    case.change_password()
    links = case.links(PHONE)
    owner, other = case.press(links[0]), case.press(case.links(PHONE)[-1])
    assert owner.post("/undo/choose", stolen="yes").location == "/undo/done"
    assert other.post("/undo/code", code=codes[0]).status_code == 409
    assert behind.lands_on(other, "/undo/code") == "/undo/choose"


def test_rolling_back_voids_the_codes_that_were_made_since_and_the_earlier_set_lives_again(case):
    codes, database = case.portal.means.codes, case.portal.base.database
    case.make_codes()
    with database.read() as looking:
        old = codes.standing(looking, case.person.id)
    case.later()
    with database.begin() as transaction:
        case.announce(transaction)
    case.later()
    case.make_codes()
    case.undo(case.links(PHONE)[0], "roll_back")
    with database.read() as looking:
        assert codes.standing(looking, case.person.id) == old


def test_codes_that_the_owner_reported_stolen_decide_nothing_and_never_live_again(case):
    codes, database = case.portal.means.codes, case.portal.base.database
    stolen = case.make_codes()
    case.later(1_000)
    jane = case.portal.browser()
    jane.sign_in(case.portal, "jane")
    jane.get("/authenticators/recovery-codes")
    assert jane.post("/authenticators/recovery-codes", stolen="yes").status_code == 303
    case.later(60)
    # whoever has the paper and reads the mail
    thief = case.press(case.links(EMAIL)[-1])
    assert thief.post("/undo/code", code=stolen[0]).status_code == 422
    assert thief.get("/undo/decide").location == "/undo/choose"
    assert case.prove(thief).location == "/undo/decide"
    assert thief.post("/undo/decide", decision="roll_back").location == "/undo/done"
    with database.read() as looking:
        assert codes.standing(looking, case.person.id) is None
        for use in Use:
            assert codes.counting(looking, case.person.id, use, case.now + 10 * DAY) is None


def test_an_app_that_was_put_away_and_is_enabled_by_a_thief_decides_nothing_and_is_put_away_again(case):
    stolen = case.bind_app()
    case.drop_app("New", AppState.DISABLED)
    case.later(30 * DAY)
    # the stolen phone shows the message and the codes; the password was seen
    thief = case.portal.browser()
    thief.sign_in_by_pin(case.portal, "jane", PHONE)
    app = next(one.id for one in case.all_apps() if one.label == "New")
    thief.get(f"/authenticators/app/{app}/enable")
    assert thief.post(f"/authenticators/app/{app}/enable").status_code == 303
    assert case.apps() == {"Phone": "active", "New": "active"}
    case.later(600)
    pressed = case.press(case.links(PHONE)[-1], REMOTE_ADDR="203.0.113.66")
    assert case.prove(pressed, case.code_of(stolen)).status_code == 422
    assert case.prove(pressed).location == "/undo/decide"
    assert pressed.post("/undo/decide", decision="roll_back").location == "/undo/done"
    assert case.apps() == {"Phone": "active", "New": "disabled"}


def test_an_app_that_a_thief_puts_away_and_back_still_decides(case):
    app = case.all_apps()[0].id
    for state in (AppState.DISABLED, AppState.ACTIVE) * 2:
        case.later()
        before = (AppState.ACTIVE, AppState.DISABLED)
        with case.portal.base.database.begin() as transaction:
            assert totp_store.change_state(transaction, app, before, state, case.now)
            case.announce(transaction)
    case.later()
    assert case.prove(case.press(case.links(PHONE)[0])).location == "/undo/decide"
