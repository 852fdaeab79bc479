"""A security question: owed at sign-in in classic organizations, and its answer beside a temporary password."""

import threading
from dataclasses import replace

import pytest

from app.factors.security_question.model import WAITING, Question
from app.foundation.visit import Visit
from app.records.attempts.model import Factor
from app.records.organizations.model import PRESETS, Profile
from app.records.people import store as people
from app.steps.credentials import Authenticated, NotAuthenticated
from app.wiring import build_steps
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import PASSWORD

PHONE, EMAIL = "+491700000001", "jane@example.org"
ASK, ANSWER, HOME = "/sign-in/security-question", "/sign-in/security-answer", "/authenticators"
OWN, OAK = "Where did we two meet?", "Under the old oak"
LONG = "One more long Passphrase 7"  # has three classes, as classic asks


def classic(portal):
    portal.decide(PRESETS[Profile.CLASSIC])


def add(portal, user_id="jane", *, app=False, answer=OAK, phone=PHONE, must_change=False):
    """Somebody with a phone and a mailbox, who has set a question unless ``answer`` is empty."""
    person = portal.add(user_id, phone=phone, email=EMAIL, app=app, must_change=must_change)
    if answer:
        now, answers = portal.base.clock.now(), portal.means.answers
        new = answers.prepare(person_id=person.id, user_id=user_id, question=OWN, asked="", answer=answer)
        with portal.base.database.begin() as transaction:
            assert answers.set_first(transaction, person.id, new, now)
    return person


def at_verify(portal, user_id="jane", *, temporary=True):
    """A browser after the right password, which came of a reset link or not."""
    browser = portal.browser()
    browser.sign_in_to_verify(user_id)
    if temporary:
        held = portal.means.flows.load(browser.cookie("keyturn-sign-in"), "sign_in")
        assert portal.means.flows.change(held, temporary=True, owed=True) is not None
    browser.get("/sign-in/verify")
    return browser


def found(portal, person):
    with portal.base.database.read() as looking:
        return portal.means.answers.find(looking, person.id)


def failures(portal, person):
    with portal.base.database.read() as looking:
        return portal.means.tries.failures_today(looking, person.id, Factor.ANSWER)


# ---- setting one, where it is owed


def test_who_owes_a_question_has_no_session_before_it_is_set(one_portal):
    classic(one_portal)
    jane = add(one_portal, answer="")
    browser = one_portal.browser()
    assert browser.sign_in_by_pin(one_portal, "jane", PHONE).location == ASK
    assert browser.cookie("keyturn-session") is None
    assert browser.get(HOME).location == "/sign-in"
    page = browser.get(ASK).text
    assert all(f'value="{one.value}"' in page for one in Question)
    assert browser.post(ASK, question="first_concert", answer="The Beatles").location == HOME
    assert behind.sessions(one_portal, jane.id) == [(["password", "sms"], 2)]
    kept = found(one_portal, jane)
    assert (kept.question, kept.own) == ("first_concert", False)
    assert behind.happened(one_portal, jane.id, "security_question_set") == 1
    assert {row["channel"] for row in behind.queued(one_portal, "notice_question_set")} == {"sms", "email"}
    one_portal.deliver()
    assert "/undo/" in one_portal.mailbox.to(EMAIL)[-1].text


def test_a_password_that_is_owed_comes_first_and_the_question_after_it(one_portal):
    classic(one_portal)
    jane = add(one_portal, answer="", must_change=True)
    browser = one_portal.browser()
    assert browser.sign_in_by_pin(one_portal, "jane", PHONE).location == "/sign-in/new-password"
    assert browser.get(ASK).location == "/sign-in/new-password"
    browser.get("/sign-in/new-password")
    assert browser.post("/sign-in/new-password", new_password=LONG, confirm_password=LONG).location == ASK
    assert browser.cookie("keyturn-session") is None
    browser.get(ASK)
    assert browser.post(ASK, question="own", own_question=OWN, answer=OAK).location == HOME
    assert behind.sessions(one_portal, jane.id) == [(["password", "sms"], 2)]
    assert found(one_portal, jane).question == OWN


def test_a_question_of_ones_own_may_stand_in_the_field_of_the_question_itself(one_portal):
    classic(one_portal)
    jane = add(one_portal, answer="")
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", PHONE)
    browser.get(ASK)
    assert browser.post(ASK, question=OWN, answer=OAK).location == HOME
    assert (found(one_portal, jane).question, found(one_portal, jane).own) == (OWN, True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"question": "", "answer": OAK}, "Choose a question"),
        ({"question": "own", "own_question": "", "answer": OAK}, "Choose a question"),
        ({"question": "own", "own_question": "Who?", "answer": OAK}, "at least 8 letters or"),
        ({"question": "first_film", "answer": ""}, "Enter your answer"),
        ({"question": "first_film", "answer": "Up"}, "at least 4 letters"),
        ({"question": "first_film", "answer": "Which film did you first see in a cinema?"}, "stands in the question"),
        ({"question": OWN, "answer": "we two"}, "stands in the question"),
        ({"question": "first_film", "answer": "J a.n-e"}, "stands in the question"),
    ],
)
def test_what_anybody_could_guess_is_refused_beside_its_field_and_nothing_is_set(one_portal, fields, said):
    classic(one_portal)
    jane = add(one_portal, answer="")
    browser = one_portal.browser()
    browser.sign_in_by_pin(one_portal, "jane", PHONE)
    browser.get(ASK)
    hashed = one_portal.base.hasher.done
    answer = browser.post(ASK, **fields)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert one_portal.base.hasher.done == hashed
    assert found(one_portal, jane) is None
    assert fields["answer"] == "" or f'value="{fields["answer"]}"' not in answer.text
    assert browser.post(ASK, question="first_film", answer="Casablanca").location == HOME


def test_a_question_that_was_set_after_a_mailed_pin_waits_a_day(one_portal):
    """Or whoever has the mailbox has another way into the account at once."""
    classic(one_portal)
    jane = add(one_portal, answer="")
    browser = one_portal.browser()
    assert browser.sign_in_by_pin(one_portal, "jane", EMAIL).location == ASK
    browser.get(ASK)
    assert browser.post(ASK, question=OWN, answer=OAK).location == HOME
    assert behind.sessions(one_portal, jane.id) == [(["password", "email"], 1)]
    assert found(one_portal, jane).usable_from == one_portal.base.clock.now() + WAITING


def test_who_has_an_app_or_is_in_a_standard_organization_owes_none(one_portal):
    add(one_portal, answer="")
    browser = one_portal.browser()
    assert browser.sign_in_by_pin(one_portal, "jane", PHONE).location == HOME
    classic(one_portal)
    add(one_portal, "kim", app=True, answer="", phone="+491700000002")
    browser = one_portal.browser()
    assert browser.sign_in(one_portal, "kim").location == HOME


def test_who_is_in_a_standard_organization_as_well_owes_none(one_portal):
    one_portal.decide(PRESETS[Profile.CLASSIC], "Classic")
    jane = one_portal.add("jane", phone=PHONE, app=False, home="Classic")
    behind.join(one_portal, jane, "default")
    assert one_portal.browser().sign_in_by_pin(one_portal, "jane", PHONE).location == HOME


def test_a_question_that_was_set_elsewhere_meanwhile_is_not_set_again(one_portal):
    classic(one_portal)
    jane = add(one_portal, answer="")
    first, second = one_portal.browser(), one_portal.browser()
    first.sign_in_by_pin(one_portal, "jane", PHONE)
    one_portal.base.clock.sleep(60)
    second.sign_in_by_pin(one_portal, "jane", PHONE)
    for browser in (first, second):
        browser.get(ASK)
    assert first.post(ASK, question=OWN, answer=OAK).location == HOME
    kept = found(one_portal, jane)
    assert second.post(ASK, question="first_film", answer="Casablanca").status_code == 409
    assert second.get(ASK).location == "/sign-in"
    assert found(one_portal, jane) == kept
    assert second.cookie("keyturn-session") is None


def test_two_presses_at_once_set_one_question_and_begin_one_session(portal):
    classic(portal)
    jane = add(portal, answer="")
    browsers = [portal.browser() for _ in range(2)]
    browsers[0].sign_in_by_pin(portal, "jane", PHONE)
    browsers[0].get(ASK)
    token, cookies = browsers[0].token(), ("keyturn", "keyturn-sign-in")
    for name in cookies:
        browsers[1].client.set_cookie(name, browsers[0].cookie(name))
    start, answers = threading.Barrier(2), []

    def press(browser):
        start.wait()
        answers.append(browser.post(ASK, csrf_token=token, question=OWN, answer=OAK).status_code)

    threads = [threading.Thread(target=press, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [303, 409]
    assert behind.happened(portal, jane.id, "security_question_set") == 1
    assert len(behind.sessions(portal, jane.id)) == 1


# ---- its answer as the second proof, beside a temporary password


def test_the_answer_beside_a_temporary_password_leads_to_a_new_password_and_a_session_of_the_lower_level(one_portal):
    classic(one_portal)
    jane = add(one_portal, must_change=True)
    browser = at_verify(one_portal)
    assert f'href="{ANSWER}"' in browser.page.text
    assert 'name="channel" value="sms"' in browser.page.text  # beside the PIN by SMS, never instead of it
    assert OWN in browser.get(ANSWER).text
    assert browser.post(ANSWER, answer="  under THE old-oak!").location == "/sign-in/new-password"
    browser.get("/sign-in/new-password")
    assert browser.post("/sign-in/new-password", new_password=LONG, confirm_password=LONG).location == HOME
    assert behind.sessions(one_portal, jane.id) == [(["password", "security_answer"], 1)]
    assert behind.happened(one_portal, jane.id, "authn_security_answer_success") == 1
    assert "with the answer to your security question" in browser.get(HOME).text
    assert browser.get("/authenticators/app/new").location == "/step-up"
    assert failures(one_portal, jane) == 0


def test_a_wrong_answer_counts_before_it_is_judged_and_five_a_day_are_judged(one_portal):
    classic(one_portal)
    jane = add(one_portal, must_change=True)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    for number in range(1, 6):
        assert browser.post(ANSWER, answer="Under the elm").status_code == 422
        assert failures(one_portal, jane) == number
    hashed = one_portal.base.hasher.done
    one_portal.base.clock.sleep(60)
    blocked = browser.post(ANSWER, answer=OAK)
    assert (blocked.status_code, int(blocked.headers["Retry-After"]) > 80_000) == (429, True)
    assert one_portal.base.hasher.done == hashed
    one_portal.base.clock.sleep(86_400)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    assert browser.post(ANSWER, answer=OAK).location == "/sign-in/new-password"


def test_strangers_may_spend_ten_wrong_answers_in_a_row_and_their_owner_is_told(one_portal):
    classic(one_portal)
    jane = add(one_portal, must_change=True)
    counted = 0
    for _ in range(8):
        browser = at_verify(one_portal)
        browser.get(ANSWER)
        while browser.post(ANSWER, answer="Under the elm").status_code == 422:
            counted += 1
        one_portal.base.clock.sleep(86_401)
    assert counted == 10
    assert behind.queued(one_portal, "notice_strangers")
    with one_portal.base.database.read() as looking:
        assert one_portal.means.tries.standing(looking, jane.id, Factor.ANSWER).closed_to_strangers


def test_each_answer_costs_one_slow_hash(one_portal):
    classic(one_portal)
    add(one_portal, must_change=True)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    for answer, status in (("Under the elm", 422), (OAK, 303)):
        hashed = one_portal.base.hasher.done
        assert browser.post(ANSWER, answer=answer).status_code == status
        assert one_portal.base.hasher.done == hashed + 1


@pytest.mark.parametrize("typed", ["", "?!", "x" * 201])
def test_what_can_be_nobodys_answer_is_no_try(one_portal, typed):
    classic(one_portal)
    jane = add(one_portal, must_change=True)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    assert browser.post(ANSWER, answer=typed).status_code == 422
    assert failures(one_portal, jane) == 0


def shut(portal, browser):
    """Neither offered nor open, whatever is typed, and nothing is counted."""
    assert ANSWER not in browser.page.text
    assert browser.get(ANSWER).location == "/sign-in/verify"
    assert browser.post(ANSWER, answer=OAK).status_code == 409
    assert behind.tables(portal)["sessions"] == []


def test_an_answer_stands_beside_a_temporary_password_alone(one_portal):
    classic(one_portal)
    jane = add(one_portal)
    shut(one_portal, at_verify(one_portal, temporary=False))
    assert failures(one_portal, jane) == 0


def test_an_answer_never_skips_an_app(one_portal):
    classic(one_portal)
    add(one_portal, app=True)
    shut(one_portal, at_verify(one_portal))


def test_an_answer_is_worth_nothing_in_a_standard_organization(one_portal):
    add(one_portal)
    shut(one_portal, at_verify(one_portal))


def test_who_has_no_answer_is_offered_none(one_portal):
    classic(one_portal)
    add(one_portal, answer="")
    shut(one_portal, at_verify(one_portal))


def test_for_a_day_after_a_recovery_no_answer_signs_in(one_portal):
    classic(one_portal)
    jane = add(one_portal)
    with one_portal.base.database.begin() as transaction:
        people.mark_recovered(transaction, jane.id, one_portal.base.clock.now())
    shut(one_portal, at_verify(one_portal))


def test_an_answer_that_replaced_another_proves_nothing_for_a_day(one_portal):
    classic(one_portal)
    jane = add(one_portal)
    now, answers = one_portal.base.clock.now(), one_portal.means.answers
    new = answers.prepare(person_id=jane.id, user_id="jane", question=OWN, asked="", answer="By the sea")
    with one_portal.base.database.begin() as transaction:
        answers.replace(transaction, jane.id, new, now)
    shut(one_portal, at_verify(one_portal))
    one_portal.base.clock.sleep(WAITING)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    assert browser.post(ANSWER, answer="By the sea").location == "/sign-in/new-password"


def test_an_answer_is_not_good_that_was_replaced_while_it_was_hashed(one_portal):
    classic(one_portal)
    jane = add(one_portal, must_change=True)
    browser = at_verify(one_portal)
    browser.get(ANSWER)
    answers = one_portal.means.answers
    new = answers.prepare(person_id=jane.id, user_id="jane", question=OWN, asked="", answer="By the sea")

    def swap():
        with one_portal.base.database.begin() as transaction:
            answers.replace(transaction, jane.id, new, one_portal.base.clock.now())

    with before_writing(one_portal.base.database, swap, 2):
        assert browser.post(ANSWER, answer=OAK).status_code in {409, 422}
    assert behind.tables(one_portal)["sessions"] == []
    assert behind.happened(one_portal, jane.id, "authn_security_answer_success") == 0


def test_many_answers_at_once_are_counted_before_they_are_judged(portal):
    classic(portal)
    jane = add(portal, must_change=True)
    browsers = [at_verify(portal) for _ in range(8)]
    for browser in browsers:
        browser.get(ANSWER)
    start, answers = threading.Barrier(len(browsers)), []

    def guess(browser):
        start.wait()
        answers.append(browser.post(ANSWER, answer="Under the elm").status_code)

    threads = [threading.Thread(target=guess, args=(browser,)) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [422] * 5 + [429] * 3
    assert failures(portal, jane) == 5


def test_before_a_proof_these_doors_tell_nobody_apart(one_portal):
    classic(one_portal)
    add(one_portal)
    add(one_portal, "kim", app=True, answer="", phone="+491700000002")
    seen = set()
    for user_id in ("jane", "kim", "nobody"):
        browser = one_portal.browser()
        browser.get("/sign-in")
        browser.post("/sign-in", user_id=user_id)
        hashed = one_portal.base.hasher.done
        told = [browser.get(ANSWER), browser.get(ASK)]
        told += [browser.post(ANSWER, answer=OAK), browser.post(ASK, question=OWN, answer=OAK)]
        assert one_portal.base.hasher.done == hashed
        seen.add(tuple((one.status_code, one.location) for one in told))
    assert seen == {((303, "/sign-in/password"), (303, "/sign-in/password"), (409, None), (409, None))}


# ---- programs


def test_a_program_is_sent_to_the_question_until_it_is_set(one_portal):
    policy = PRESETS[Profile.CLASSIC]
    one_portal.decide(replace(policy, password=replace(policy.password, min_length=15), authenticate_user=True))
    jane = add(one_portal, answer="")
    credentials = build_steps(one_portal.base, one_portal.means).credentials
    visit = Visit("192.0.2.10", "en", "r")
    refused = credentials.authenticate(visit, "jane", PASSWORD)
    assert isinstance(refused, NotAuthenticated)
    assert (refused.cause, "/sign-in/to/" in refused.urls.update_security_question) == ("question_required", True)
    assert behind.tables(one_portal)["api_tokens"] == []
    now, answers = one_portal.base.clock.now(), one_portal.means.answers
    new = answers.prepare(person_id=jane.id, user_id="jane", question=OWN, asked="", answer=OAK)
    with one_portal.base.database.begin() as transaction:
        answers.set_first(transaction, jane.id, new, now)
    good = credentials.authenticate(visit, "jane", PASSWORD)
    assert isinstance(good, Authenticated)
    assert "/sign-in/to/" in good.urls.update_security_question
