"""The security question of somebody signed in."""

import pytest

from app.factors.security_question.model import WAITING
from app.factors.totp import store as apps
from app.records.organizations.model import PRESETS, Profile
from app.records.people import store as people
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import Portal

PHONE, EMAIL = "+491700000001", "jane@example.org"
HOME, PAGE = "/authenticators", "/authenticators/security-question"
OWN, OAK = "Where did we two meet?", "Under the old oak"


def add(portal: Portal, user_id="jane", **options):
    """Somebody who has set a question."""
    portal.decide(PRESETS[Profile.CLASSIC])
    person = portal.add(user_id, **{"phone": PHONE, "email": EMAIL, "app": False, **options})
    new = portal.means.answers.prepare(person_id=person.id, user_id=user_id, question=OWN, asked="", answer=OAK)
    with portal.base.database.begin() as transaction:
        assert portal.means.answers.set_first(transaction, person.id, new, portal.base.clock.now())
    return person


def found(portal, person):
    with portal.base.database.read() as looking:
        return portal.means.answers.find(looking, person.id)


@pytest.fixture
def jane(one_portal):
    return add(one_portal)


def signed_in(portal):
    browser = portal.browser()
    browser.sign_in_by_pin(portal, "jane", PHONE)
    return browser


def row(browser):
    page = browser.get(HOME).text
    begin = page.find('<li data-kind="security_question"')
    return page[begin : page.index("</li>", begin)] if begin >= 0 else ""


def test_another_question_takes_the_place_of_the_present_one_and_its_owner_is_told(one_portal, jane):
    browser = signed_in(one_portal)
    assert 'data-state="active"' in row(browser)
    assert f'href="{PAGE}"' in row(browser)
    one_portal.base.clock.sleep(10)
    assert OWN in browser.get(PAGE).text
    assert browser.post(PAGE, question="first_film", answer="Casablanca").location == HOME
    assert 'data-state="pending"' in row(browser)
    assert (found(one_portal, jane).question, found(one_portal, jane).usable_from) == (
        "first_film",
        one_portal.base.clock.now() + WAITING,
    )
    assert behind.happened(one_portal, jane.id, "security_question_set") == 1
    assert {line["channel"] for line in behind.queued(one_portal, "notice_question_set")} == {"sms", "email"}


def test_what_was_done_is_told_once(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(PAGE)
    browser.post(PAGE, question="first_film", answer="Casablanca")
    assert "Your security question was set." in browser.get(HOME).text
    assert "Your security question was set." not in browser.get(HOME).text


def test_a_wrong_answer_leaves_the_present_one(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(PAGE)
    answer = browser.post(PAGE, question="own", own_question="Who?", answer="abc")
    assert (answer.status_code, answer.text.count("Write a question"), answer.text.count("Give an answer")) == (
        422,
        2,
        2,
    )
    assert 'value="Who?"' in answer.text
    assert found(one_portal, jane).question == OWN


def test_a_change_wants_a_fresh_proof_by_a_second_factor(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(PAGE)
    one_portal.base.clock.sleep(301)
    assert browser.post(PAGE, question="first_film", answer="Casablanca").status_code == 409
    assert browser.get(PAGE).location == "/step-up"
    mailed = one_portal.browser()
    mailed.sign_in_by_pin(one_portal, "jane", EMAIL)
    assert mailed.get(PAGE).location == "/step-up"
    assert mailed.post(PAGE, question="first_film", answer="Casablanca").status_code == 409
    assert found(one_portal, jane).question == OWN


def test_for_a_day_after_a_recovery_it_stays_as_it_is(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(PAGE)
    with one_portal.base.database.begin() as transaction:
        people.mark_recovered(transaction, jane.id, one_portal.base.clock.now())
    assert browser.post(PAGE, question="first_film", answer="Casablanca").status_code == 409
    assert browser.get(PAGE).location == HOME


def test_there_is_no_row_and_no_page_for_whom_questions_are_nothing(one_portal, jane):
    one_portal.decide(PRESETS[Profile.STANDARD])
    browser = signed_in(one_portal)
    assert row(browser) == ""
    assert browser.get(PAGE).location == HOME
    assert browser.post(PAGE, question="first_film", answer="Casablanca").status_code == 409


def test_an_app_makes_the_answer_useless_and_leaves_it_where_it_is(one_portal, jane):
    """So that nobody who binds an app takes the owner's answer away for good."""
    browser = signed_in(one_portal)
    seed = one_portal.base.chance.octets(20)
    now = one_portal.base.clock.now()
    with one_portal.base.database.begin() as transaction:
        one_portal.means.apps.bind(
            transaction, person_id=jane.id, seed=seed, label="Phone", now=now, usable_from=now + 86_400
        )
    assert row(browser) == ""
    assert browser.get(PAGE).location == HOME
    assert found(one_portal, jane) is not None


def test_nothing_is_set_where_an_app_comes_while_the_answer_is_hashed(one_portal, jane):
    browser = signed_in(one_portal)
    browser.get(PAGE)
    seed, now = one_portal.base.chance.octets(20), one_portal.base.clock.now()

    def bind():
        with one_portal.base.database.begin() as transaction:
            one_portal.means.apps.bind(
                transaction, person_id=jane.id, seed=seed, label="Phone", now=now, usable_from=now
            )

    with before_writing(one_portal.base.database, bind):
        assert browser.post(PAGE, question="first_film", answer="Casablanca").status_code == 409
    assert found(one_portal, jane).question == OWN


def test_a_first_answer_from_a_session_waits_a_day_as_well(one_portal):
    """Or whoever had a session for a moment would put the app away, answer, and be in by the mailbox (rule 6)."""
    one_portal.decide(PRESETS[Profile.CLASSIC])
    person = one_portal.add("jane", email=EMAIL)
    browser = one_portal.browser()
    browser.sign_in(one_portal, "jane")
    with one_portal.base.database.read() as looking:
        [app] = apps.of_person(looking, person.id)
    browser.get(f"/authenticators/app/{app.id}/remove")
    assert browser.post(f"/authenticators/app/{app.id}/remove").location == HOME
    browser.get(PAGE)
    assert browser.post(PAGE, question="first_film", answer="Casablanca").location == HOME
    assert found(one_portal, person).usable_from == one_portal.base.clock.now() + WAITING


def test_so_many_changes_are_told_and_no_more_are_made(one_portal, jane):
    browser = signed_in(one_portal)
    for number in range(3):
        browser.get(PAGE)
        assert browser.post(PAGE, question=f"{OWN} {number}", answer="Casablanca").status_code == 303
    browser.get(PAGE)
    assert browser.post(PAGE, question=OWN, answer="Casablanca").status_code == 429
    assert found(one_portal, jane).question == f"{OWN} 2"


def test_who_rolls_back_loses_the_answer_that_was_set_since(one_portal, jane):
    """The one before it does not come back: nothing that was replaced is good again."""
    codes = one_portal.add_codes(jane)
    thief = signed_in(one_portal)
    one_portal.base.clock.sleep(10)
    thief.get(PAGE)
    assert thief.post(PAGE, question="first_film", answer="Casablanca").location == HOME
    one_portal.deliver()
    letter = one_portal.mailbox.to(EMAIL)[-1].text
    path = "/undo" + letter.split("/undo")[1].split()[0]
    owner = one_portal.browser()
    assert "The security question of your account was set" in owner.get(path).text
    assert owner.post(path).location == "/undo/choose"
    owner.get("/undo/choose")
    owner.get("/undo/code")
    assert owner.post("/undo/code", code=codes[0]).location == "/undo/decide"
    owner.get("/undo/decide")
    assert owner.post("/undo/decide", decision="roll_back").location == "/undo/done"
    assert found(one_portal, jane) is None


def test_an_answer_that_is_older_than_the_disputed_change_stays(one_portal, jane):
    codes = one_portal.add_codes(jane)
    one_portal.base.clock.sleep(10)
    with one_portal.base.database.begin() as transaction:
        from app.records.cases.model import Kind

        link = one_portal.means.undo.issue(transaction, jane.id, Kind.PASSWORD, one_portal.base.clock.now())
    owner, path = one_portal.browser(), "/undo" + link.rpartition("/undo")[2]
    owner.get(path)
    owner.post(path)
    owner.get("/undo/code")
    owner.post("/undo/code", code=codes[0])
    owner.get("/undo/decide")
    assert owner.post("/undo/decide", decision="roll_back").location == "/undo/done"
    assert found(one_portal, jane) is not None
