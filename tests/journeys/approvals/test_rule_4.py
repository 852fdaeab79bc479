"""Security rule 4, sentence by sentence."""

import pytest

from app.factors.totp import store as apps
from app.records.attempts.model import Door, Factor
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from tests.cast import organization
from tests.journeys import behind
from tests.journeys.approvals.conftest import DAY, EMAIL, PHONE, REASON

WEAKENING = ("access-code", "remove-app", "contact")


def fields_of(desk, action):
    return {"remove-app": {"app": desk.app()}, "contact": {"address": "+491709999999"}}.get(action, {})


# ---- what is asked for and where it goes


@pytest.mark.parametrize("to", [EMAIL, PHONE])
def test_messages_say_that_staff_never_ask_for_the_words_and_carry_no_link_with_them(desk, to):
    desk.asked("remove-app", at=to, app=desk.app())
    (text,) = [text for text in desk.texts(to) if desk.words(to) in text]
    assert "staff never ask for them" in text
    assert "http://localhost/approve" in text
    assert "http://localhost/approve/" not in text
    assert "http://localhost/approve?" not in text


def test_the_words_go_to_one_confirmed_contact_alone_and_the_others_are_told(desk):
    desk.lock()
    desk.asked("unlock", at=EMAIL)
    assert desk.words(EMAIL)
    (told,) = desk.texts(PHONE)
    assert "Sam Doe" in told
    assert "/approve/cancel/" in told
    with pytest.raises(IndexError):
        desk.words(PHONE)


def test_a_contact_in_its_waiting_time_cannot_approve(desk):
    """Security rule 6."""
    desk.lock()
    with desk.portal.base.database.begin() as transaction:
        table = people.contacts
        transaction.execute(table.update().where(table.c.address == EMAIL).values(usable_from=desk.now + DAY))
    assert desk.ask("unlock", at=EMAIL).status_code == 422
    assert desk.texts(EMAIL) == []


def test_the_page_shows_the_agents_name_the_exact_action_and_a_warning_against_callers(desk):
    desk.asked("remove-app", app=desk.app())
    page = desk.open(desk.words()).get("/approve/decide").text
    for shown in ("Sam Doe", "default", "Remove the authenticator app “Phone”", REASON, "If they called you, stop."):
        assert shown in page
    for button in ("Approve just this", "No, and cancel it"):
        assert button in page


def test_no_get_approves_cancels_or_writes_anything(desk):
    desk.asked("remove-app", app=desk.app())
    browser = desk.open(desk.words())
    link = desk.cancel_link(PHONE)
    agent = desk.agent("sam")
    before = behind.tables(desk.portal)
    for path in ("/approve", "/approve/decide", "/approve/done", link):
        assert browser.get(path).status_code in {200, 303}
    assert agent.get("/support/people/jane/remove-app").status_code == 200
    assert agent.get("/support/approvals").status_code == 200
    after = behind.tables(desk.portal)
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} <= {"sessions"}  # when it was used last
    assert desk.state == "asked"


# ---- one action, once


def test_an_approval_works_once_and_for_that_action_alone(desk):
    desk.lock()
    desk.asked("unlock")
    words = desk.words()
    desk.decide(words)
    again = desk.portal.browser()
    again.get("/approve")
    assert again.post("/approve", code=words).status_code == 422
    request = desk.request
    for other in ("remove-app", "access-code", "contact", "freeze", "resend-activation"):
        answer = desk.agent("sam").post(f"/support/people/jane/{other}", do="carry-out", request=request.id)
        assert answer.status_code in {404, 409}, other
    assert desk.do("carry-out").status_code == 303
    assert desk.do("carry-out").status_code == 409
    with desk.portal.base.database.read() as looking:
        assert len(apps.of_person(looking, desk.jane.id)) == 1


def test_an_action_is_shut_until_it_is_approved(desk):
    desk.lock()
    desk.asked("unlock")
    assert desk.do("carry-out").status_code == 409
    with desk.portal.base.database.read() as looking:
        assert desk.portal.means.tries.standing(looking, desk.jane.id, Factor.PASSWORD).locked(desk.now)


@pytest.mark.parametrize("action", WEAKENING)
def test_an_approval_replaces_neither_the_second_agent_nor_the_waiting(desk, action):
    desk.asked(action, **fields_of(desk, action))
    desk.decide(desk.words())
    assert desk.do("carry-out").status_code == 409
    assert desk.state == "second"
    assert desk.review().status_code == 303
    assert desk.do("carry-out").status_code == 409
    desk.later(DAY - 300)
    assert desk.do("carry-out").status_code == 409
    assert desk.state == "granted"
    desk.later(300)
    assert desk.do("carry-out").status_code == 303


@pytest.mark.parametrize("action", WEAKENING)
def test_a_second_agent_replaces_no_approval(desk, action):
    desk.asked(action, **fields_of(desk, action))
    assert desk.review().status_code == 409
    assert desk.state == "asked"


# ---- who may be the second agent


def test_whoever_asked_is_never_the_second_agent(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    assert desk.review(by="sam").status_code == 403
    assert desk.state == "second"


def test_an_agent_of_another_organization_neither_asks_nor_sees_nor_confirms(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    far = desk.agent("far")
    assert desk.ask("unlock", by="far").status_code == 404
    assert far.get("/support/people/jane/unlock").status_code == 404
    assert desk.request.id not in far.get("/support/approvals").text
    assert far.get(f"/support/approvals/{desk.request.id}").status_code == 404
    assert desk.review(by="far").status_code == 404
    assert desk.do("carry-out", by="far").status_code == 404
    assert desk.do("withdraw", by="far").status_code == 404
    assert desk.state == "second"


def test_an_agent_of_the_other_organization_of_a_guest_sees_her_and_does_not_act_on_her(desk):
    with desk.portal.base.database.begin() as transaction:
        other = organization(transaction, desk.portal.base.chance, "other")
        organizations.join(transaction, desk.jane.id, other.id, Role.MEMBER, is_primary=False)
    assert desk.ask("freeze", by="far").status_code == 403
    assert desk.agent("far").get("/support/people/jane/unlock").status_code == 403


@pytest.mark.parametrize("whom", ["sam", "tess", "ada"])
@pytest.mark.parametrize("action", ["unlock", "freeze", "remove-app", "access-code", "contact", "resend-activation"])
def test_support_never_acts_on_staff_nor_on_itself(desk, whom, action):
    if whom == "ada":
        desk.portal.add("ada", phone="+491710000099", role=Role.ADMINISTRATOR)
    agent = desk.agent("sam")
    path = f"/support/people/{whom}/{action}"
    assert agent.get(path).status_code == 403
    assert desk.ask(action, user_id=whom).status_code == 403
    assert behind.tables(desk.portal)["support_requests"] == []


def test_nothing_is_done_to_somebody_who_became_staff_since_it_was_granted(desk):
    desk.granted("remove-app", app=desk.app())
    with desk.portal.base.database.begin() as transaction:
        table = organizations.memberships
        own = table.c.person_id == desk.jane.id
        transaction.execute(table.update().where(own).values(role=Role.SUPPORT.value))
    assert desk.do("carry-out").status_code == 403
    with desk.portal.base.database.read() as looking:
        assert len(apps.of_person(looking, desk.jane.id)) == 1


def test_an_agent_whose_role_was_taken_away_does_nothing_more(desk):
    desk.granted("remove-app", app=desk.app())
    desk.agent("sam")
    with desk.portal.base.database.begin() as transaction:
        table = organizations.memberships
        sam = people.find(transaction, "sam")
        assert sam is not None
        transaction.execute(table.update().where(table.c.person_id == sam.id).values(role=Role.MEMBER.value))
    assert (
        desk.agents["sam"].post("/support/people/jane/remove-app", do="carry-out", request=desk.request.id).status_code
        == 403
    )


def test_a_confirmation_and_a_weakening_question_need_a_fresh_proof(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    tess, sam = desk.agent("tess"), desk.agent("sam")
    desk.later(301)
    path = f"/support/approvals/{desk.request.id}"
    assert tess.get(path).location == "/step-up"
    assert tess.post(path, decision="confirm").status_code == 409
    assert desk.state == "second"
    for action in WEAKENING:
        assert sam.get(f"/support/people/jane/{action}").location == "/step-up"
        assert sam.post(f"/support/people/jane/{action}", reason=REASON).status_code == 409
    assert sam.get("/support/people/jane/unlock").status_code == 200


# ---- reasons and notices


@pytest.mark.parametrize(
    "reason", ["", "   ", "too short", "x" * 501, "two\nlines of a reason", "a reason with \x00 in it"]
)
def test_a_reason_is_required_and_fit_to_be_shown(desk, reason):
    assert desk.ask("freeze", reason=reason).status_code == 422
    assert behind.tables(desk.portal)["support_requests"] == []


def test_the_person_is_told_of_each_step_on_every_channel_and_sees_it_under_activity(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    desk.review()
    desk.later(DAY)
    desk.do("carry-out")
    by_sms, by_mail = desk.texts(PHONE), desk.texts(EMAIL)
    for texts in (by_sms, by_mail):
        told = [text for text in texts if "remove an authenticator app of yours" in text]
        assert len([text for text in told if "/approve/cancel/" in text]) == 3  # asked, approved, agreed
        assert len([text for text in told if "/undo/" in text]) == 1  # done
    browser = desk.portal.browser()
    browser.sign_in_by_pin(desk.portal, "jane", PHONE)
    page = browser.get("/activity").text
    for said in ("Support asks: ", "You approved: ", "A second agent agreed: ", "Done by support: "):
        assert f"{said}remove an authenticator app of yours" in page
    assert "by staff: sam" in page
    assert "by staff: tess" in page
    assert f"Reason given: {REASON}" in page


def test_somebody_signed_in_sees_what_is_asked_for_before_it_is_done(desk):
    browser = desk.portal.browser()
    browser.sign_in(desk.portal, "jane")
    desk.asked("contact", address="new@example.org")
    page = browser.get("/activity").text
    assert "Support wants to do something: add a phone number or an e-mail address to your account." in page
    assert 'href="/approve"' in page


# ---- the temporary access code


def test_an_access_code_has_sixty_bits_and_no_agent_ever_sees_it_or_the_words(desk):
    desk.granted("access-code")
    words = desk.words()
    assert desk.do("carry-out").status_code == 303
    code = desk.access_code()
    assert len(code.replace("-", "")) == 12  # five bits each
    agent = desk.agent("sam")
    for path in ("/support/people/jane/access-code", "/support/approvals"):
        page = agent.get(path).text
        assert code not in page
        assert words not in page
    rows = repr(behind.tables(desk.portal))
    assert code.replace("-", "") not in rows
    assert code not in rows
    assert words not in rows


def recover(desk, code, **environ):
    browser = desk.portal.browser(**environ)
    browser.recover_to_token("jane")
    browser.get("/recovery/code")
    return browser, browser.post("/recovery/code", code=code)


def test_an_access_code_opens_one_flow(desk):
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    assert recover(desk, code)[1].location == "/recovery/pin"
    assert recover(desk, code)[1].status_code == 422


@pytest.mark.parametrize(("seconds", "good"), [(DAY - 1, True), (DAY, False)])
def test_an_access_code_is_good_for_a_day(desk, seconds, good):
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    desk.later(seconds - (desk.now - (desk.request.ended_at or 0)))
    assert (recover(desk, code)[1].status_code == 303) is good


def test_an_access_code_costs_the_tries_of_app_codes_and_no_others(desk):
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    wrong = "0" * 12 if not code.startswith("0") else "1" * 12
    browser, answer = recover(desk, wrong)
    statuses = [answer.status_code, *(browser.post("/recovery/code", code=wrong).status_code for _ in range(8))]
    assert 429 in statuses
    assert statuses.index(429) <= 6
    # while it is blocked right and wrong get one answer, and an app's code is blocked as well
    assert browser.post("/recovery/code", code=code).status_code == 429
    assert browser.post("/recovery/token", code=desk.portal.code("jane")).status_code == 429


def test_the_pin_of_its_recovery_never_goes_to_the_contact_of_the_approval(desk):
    desk.granted("access-code", at=EMAIL)
    desk.do("carry-out")
    browser, answer = recover(desk, desk.access_code())
    assert answer.location == "/recovery/pin"
    page = browser.get("/recovery/pin").text
    assert "••• ••• 01" in page
    desk.portal.deliver()
    assert behind.pins_by_email(desk.portal, EMAIL) == []
    assert len(behind.pins_by_sms(desk.portal, PHONE)) == 1
    assert browser.post("/recovery/pin/send", channel="email").status_code == 422
    desk.portal.deliver()
    assert behind.pins_by_email(desk.portal, EMAIL) == []


def test_where_only_the_contact_of_the_approval_is_left_no_pin_is_sent(desk):
    desk.granted("access-code", at=EMAIL)
    desk.do("carry-out")
    code = desk.access_code()
    with desk.portal.base.database.begin() as transaction:
        people.remove_contact(transaction, desk.jane.id, desk.contact(PHONE), desk.now)
    browser, answer = recover(desk, code)
    assert answer.location == "/recovery/pin"
    assert "no contact to which a PIN can be sent" in browser.get("/recovery/pin").text
    desk.portal.deliver()
    assert behind.pins_by_email(desk.portal, EMAIL) == []


def test_the_only_phone_is_not_replaced_by_the_mailbox_after_five_failed_codes(desk):
    """Security rule 2: then no PIN goes by e-mail where a phone is on file, even one that may not get it."""
    desk.granted("access-code", at=PHONE)
    desk.do("carry-out")
    code = desk.access_code(PHONE)
    subject = desk.portal.means.tries.subject("jane", desk.jane.id)
    for _ in range(5):
        desk.portal.means.tries.spend(subject, Factor.APP, Door.SIGN_IN)
    _, answer = recover(desk, code)
    assert answer.location == "/recovery/pin"
    desk.portal.deliver()
    assert behind.pins_by_email(desk.portal, EMAIL) == []


def test_without_another_contact_no_access_code_can_be_asked_for(desk):
    with desk.portal.base.database.begin() as transaction:
        people.remove_contact(transaction, desk.jane.id, desk.contact(PHONE), desk.now)
    answer = desk.ask("access-code", at=EMAIL)
    assert answer.status_code == 422
    assert "there is no other" in answer.text


def test_an_access_code_dies_with_a_new_password_and_with_a_freezing(desk):
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    with desk.portal.base.database.begin() as transaction:
        assert people.restamp(transaction, desk.jane.id, desk.jane.stamp, desk.portal.base.chance.name())
    assert recover(desk, code)[1].status_code == 422


def test_an_access_code_signs_nobody_in_and_steps_nobody_up(desk):
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    browser = desk.portal.browser()
    browser.sign_in_to_verify("jane")
    browser.get("/sign-in/code")
    assert browser.post("/sign-in/code", code=code).status_code == 422
    assert recover(desk, code)[1].location == "/recovery/pin"


# ---- who can reach nothing


def test_whoever_can_reach_nothing_waits_a_day_in_full_and_every_contact_on_file_is_told(desk):
    with desk.portal.base.database.begin() as transaction:
        table = people.contacts
        transaction.execute(table.update().where(table.c.address == EMAIL).values(usable_from=desk.now + 7 * DAY))
    desk.lock()
    desk.asked("unlock", at="nowhere")
    assert desk.state == "second"
    assert desk.do("carry-out").status_code == 409
    assert desk.review(by="sam").status_code == 403
    assert desk.review().status_code == 303
    assert desk.do("carry-out").status_code == 409
    for to in (PHONE, EMAIL):
        assert "two agents agree" in desk.texts(to)[-1] or "a second agent agrees" in desk.texts(to)[-1]
        assert "/approve/cancel/" in desk.texts(to)[-1]
    desk.later(DAY)
    desk.lock()
    assert desk.do("carry-out").status_code == 303


def test_any_contact_can_cancel_for_as_long_as_it_is_not_done(desk):
    desk.granted("remove-app", app=desk.app())
    link = desk.cancel_link(PHONE)
    browser = desk.portal.browser()
    page = browser.get(link)
    assert "Sam Doe" in page.text
    assert desk.state == "granted"
    assert browser.post(link).location == "/approve/cancelled"
    assert desk.state == "cancelled"
    assert desk.do("carry-out").status_code == 409
    assert browser.get(link).status_code == 410
    with desk.portal.base.database.read() as looking:
        assert len(apps.of_person(looking, desk.jane.id)) == 1


def test_a_cancel_link_carries_no_stamp_so_a_new_password_does_not_disarm_it(desk):
    desk.granted("remove-app", app=desk.app())
    link = desk.cancel_link(PHONE)
    with desk.portal.base.database.begin() as transaction:
        assert people.restamp(transaction, desk.jane.id, desk.jane.stamp, desk.portal.base.chance.name())
    browser = desk.portal.browser()
    browser.get(link)
    assert browser.post(link).location == "/approve/cancelled"
    assert desk.state == "cancelled"


# ---- what changed between the question and the deed


@pytest.mark.parametrize("action", ["access-code", "contact"])
def test_no_waiting_time_is_saved_once_an_account_came_into_use(desk, action):
    """Asked for at activation, when nothing was in use; by now there is something to take."""
    kim = desk.portal.add("kim", phone="+491700000077", email="kim@example.org", must_change=True, app=False)
    desk.jane = kim
    fields = {"address": "+491709999999"} if action == "contact" else {}
    answer = desk.ask(action, at="kim@example.org", user_id="kim", **fields)
    assert answer.status_code == 303, answer.text
    desk.decide(desk.words("kim@example.org"))
    assert desk.review().status_code == 303
    now = desk.now
    with desk.portal.base.database.begin() as transaction:
        desk.portal.means.apps.bind(
            transaction, person_id=kim.id, seed=b"x" * 20, label="Phone", now=now, usable_from=now
        )
    path, request = f"/support/people/kim/{action}", desk.request
    assert desk.agent("sam").post(path, do="carry-out", request=request.id).status_code == 409
    assert desk.state == "granted"


def test_the_words_for_an_approval_prove_no_contact_that_is_filed_by_it(desk):
    """Opened before, a page still asks what it asked when it was opened."""
    kim = desk.portal.add("kim", phone="+491700000077", email="kim@example.org", must_change=True, app=False)
    desk.jane = kim
    tess = desk.agent("tess")
    assert desk.ask("contact", at="kim@example.org", user_id="kim", address="+491709999999").status_code == 303
    words = desk.words("kim@example.org")
    first, second = desk.open(words), desk.open(words)
    assert first.post("/approve/decide", decision="approve").location == "/approve/done"
    tess.get("/support/approvals")
    assert tess.post(f"/support/approvals/{desk.request.id}", decision="confirm").status_code == 303
    sam = desk.agents["sam"]
    assert sam.post("/support/people/kim/contact", do="carry-out", request=desk.request.id).status_code == 303
    assert desk.state == "confirming"
    assert second.post("/approve/decide", decision="approve").status_code == 409
    assert desk.state == "confirming"


def test_however_much_was_asked_for_an_account_can_be_frozen(desk):
    """Otherwise one agent who asks and withdraws all day takes what stops a theft from all the others."""
    for _ in range(8):
        desk.asked("remove-app", at="none of them", app=desk.app())
        assert desk.do("withdraw").status_code == 303
        desk.later(60)
    assert desk.ask("remove-app", at="none of them", app=desk.app()).status_code == 429
    assert desk.ask("freeze", by="tess").status_code == 303
    assert behind.tables(desk.portal)["disputes"] != []


def test_nothing_is_asked_for_that_is_there_already_or_is_not_there(desk):
    for action, fields in (
        ("contact", {"address": PHONE}),
        ("access-code", {"at": "none of them"}),
        ("remove-app", {"app": "0" * 32}),
        ("resend-activation", {}),
    ):
        assert desk.ask(action, **fields).status_code == 422, action
    assert behind.tables(desk.portal)["support_requests"] == []


def test_nothing_is_asked_for_about_somebody_who_is_shut_out(desk):
    with desk.portal.base.database.begin() as transaction:
        people.deactivate(transaction, desk.jane.id, desk.portal.base.chance.name())
    assert desk.ask("remove-app", app=desk.app()).status_code == 422
    assert behind.tables(desk.portal)["support_requests"] == []
