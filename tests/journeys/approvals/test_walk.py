"""Each action walked from the question to the deed."""

import re

from app.factors.totp import store as apps
from app.records.attempts.model import Factor
from app.records.organizations.model import Policy, Proof, RecoveryPolicy
from app.records.people import store as people
from app.records.people.model import Channel, Status
from tests.journeys import behind
from tests.journeys.approvals.conftest import DAY, EMAIL, PHONE, REASON
from tests.portal import PASSWORD


def test_an_unlock_takes_the_persons_approval_alone(desk):
    desk.lock()
    desk.asked("unlock")
    assert desk.state == "asked"
    browser = desk.open(desk.words())
    page = browser.get("/approve/decide").text
    for shown in ("Sam Doe", "default", "Unlock the account", REASON, "If they called you, stop."):
        assert shown in page
    assert browser.post("/approve/decide", decision="approve").location == "/approve/done"
    assert desk.state == "granted"
    assert desk.do("carry-out").status_code == 303
    assert desk.state == "done"
    with desk.portal.base.database.read() as looking:
        assert not desk.portal.means.tries.standing(looking, desk.jane.id, Factor.PASSWORD).locked(desk.now)


def test_an_unlock_after_a_temporary_password_lapsed_lets_another_link_be_asked_for(desk):
    from sqlalchemy import select, update

    from app.factors.password.store import passwords

    def until(moment):
        with desk.portal.base.database.begin() as transaction:
            transaction.execute(
                update(passwords)
                .where(passwords.c.person_id == desk.jane.id)
                .values(good_until=moment, must_change=True)
            )

    until(desk.now + DAY)
    assert desk.ask("unlock").status_code == 422  # good still: nothing is locked
    until(desk.now)
    desk.asked("unlock")
    desk.decide(desk.words())
    assert desk.do("carry-out").status_code == 303
    with desk.portal.base.database.read() as looking:
        kept = looking.execute(select(passwords.c.good_until).where(passwords.c.person_id == desk.jane.id))
        assert kept.scalar_one() == 0
    assert not behind.signs_in(desk.portal, "jane", PASSWORD)


def test_a_removal_of_an_app_takes_approval_second_agent_and_a_day(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    assert desk.state == "second"
    listed = desk.agent("tess").get("/support/approvals").text
    assert desk.request.id in listed
    assert desk.review().status_code == 303
    assert desk.do("carry-out").status_code == 409
    desk.later(DAY - 120)
    assert desk.do("carry-out").status_code == 409
    desk.later(120)
    assert desk.do("carry-out").status_code == 303
    with desk.portal.base.database.read() as looking:
        assert apps.of_person(looking, desk.jane.id) == ()


def test_an_access_code_stands_in_for_the_app_and_its_pin_goes_to_another_contact(desk):
    desk.granted("access-code")
    assert desk.do("carry-out").status_code == 303
    code = desk.access_code()
    browser = desk.portal.browser()
    browser.recover_to_pin_by_code("jane", code)
    desk.portal.deliver()
    answer = browser.post("/recovery/pin", pin=behind.pins_by_sms(desk.portal, PHONE)[-1])
    assert answer.location == "/recovery/password", answer.text
    browser.get("/recovery/password")
    new = "a fine new passphrase"
    assert browser.post("/recovery/password", new_password=new, confirm_password=new).location == "/recovery/done"


def test_another_organization_that_takes_saved_codes_alone_keeps_no_guest_from_an_access_code(desk):
    """Security rule 12: who has none recovers as at home, where support may send one."""
    desk.portal.decide(Policy(recovery=RecoveryPolicy(first=(Proof.RECOVERY_CODE,))), "other")
    behind.join(desk.portal, desk.jane, "other")
    desk.granted("access-code")
    assert desk.do("carry-out").status_code == 303
    desk.portal.browser().recover_to_pin_by_code("jane", desk.access_code())


def test_a_contact_takes_approval_second_agent_a_day_a_code_and_a_week(desk):
    desk.granted("contact", address="+49 170 999 99 99")
    assert desk.do("carry-out").status_code == 303
    assert desk.state == "confirming"
    browser = desk.open(desk.words("+491709999999"))
    assert "Is this contact yours?" in browser.get("/approve/decide").text
    assert browser.post("/approve/decide", decision="approve").location == "/approve/done"
    assert desk.state == "done"
    with desk.portal.base.database.read() as looking:
        new = next(one for one in people.contacts_of(looking, desk.jane.id) if one.address == "+491709999999")
    assert (new.channel, new.confirmed_at, new.usable_from) == (Channel.SMS, desk.now, desk.now + 7 * DAY)


def test_a_freezing_takes_effect_at_once_and_the_person_is_told(desk):
    own = desk.portal.browser()
    own.sign_in(desk.portal, "jane")
    assert desk.ask("freeze").status_code == 303
    with desk.portal.base.database.read() as looking:
        person = people.get(looking, desk.jane.id)
    assert person is not None
    assert person.status is Status.FROZEN
    assert own.get("/authenticators").location == "/sign-in"
    for to in (PHONE, EMAIL):
        assert "freeze your account" in desk.texts(to)[-1]


def test_an_activation_link_is_sent_again_once_a_second_agent_agrees(desk):
    guest = desk.portal.invite("nina", phone="+491700000077", email="nina@example.org")
    desk.jane = guest.person
    assert desk.ask("resend-activation", user_id="nina").status_code == 303
    assert desk.state == "second"
    assert desk.review().status_code == 303
    before = len(desk.texts("nina@example.org"))
    path = "/support/people/nina/resend-activation"
    assert desk.agent("sam").post(path, do="carry-out", request=desk.request.id).status_code == 303
    assert any("/activate/" in text for text in desk.texts("nina@example.org")[before:])


def filed_for_somebody_who_reaches_nothing(desk, address):
    desk.asked("contact", at="nowhere", address=address)
    assert desk.state == "second"
    assert desk.review().status_code == 303
    desk.later(DAY)
    assert desk.do("carry-out").status_code == 303
    desk.decide(desk.words(address))


def test_whoever_can_reach_nothing_any_more_gets_in_again_after_ten_days(desk):
    """Both contacts and the app are gone; what support filed serves, and what is on file is told all the while."""
    new_phone, new_mail = "+491709999999", "new@example.org"
    for address in (new_phone, new_mail):
        filed_for_somebody_who_reaches_nothing(desk, address)
    for to in (PHONE, EMAIL):
        assert len([text for text in desk.texts(to) if "/approve/cancel/" in text]) == 6
    assert desk.ask("access-code", at=new_mail).status_code == 422
    desk.later(7 * DAY)
    desk.asked("access-code", at=new_mail)
    desk.decide(desk.words(new_mail))
    assert desk.review().status_code == 303
    desk.later(DAY)
    assert desk.do("carry-out").status_code == 303
    browser = desk.portal.browser()
    browser.recover_to_pin_by_code("jane", desk.access_code(new_mail))
    desk.portal.deliver()
    assert behind.pins_by_sms(desk.portal, PHONE) == []
    (pin,) = behind.pins_by_sms(desk.portal, new_phone)
    assert browser.post("/recovery/pin", pin=pin).location == "/recovery/password"


def told(desk, agent, path):
    """What the page that they are led to says was done, once: the second look says nothing."""
    browser = desk.agents[agent]
    first, second = (re.findall(r'role="status">.*?<span>(.*?)</span>', browser.get(path).text) for _ in range(2))
    assert second == []
    return first


def test_agents_are_told_once_what_each_press_of_theirs_did(desk):
    page = "/support/people/jane/remove-app"
    desk.asked("remove-app", app=desk.app())
    assert told(desk, "sam", page) == ["It was asked for, and every contact of the person was told."]
    desk.decide(desk.words())
    desk.review()
    assert told(desk, "tess", "/support/approvals") == ["You agreed as the second agent. The person was told."]
    desk.later(DAY)
    desk.do("carry-out")
    assert told(desk, "sam", page) == ["It was carried out, and the person was told."]
    desk.asked("contact", address="+491709999999")
    desk.do("withdraw")
    said = told(desk, "sam", "/support/people/jane/contact")
    assert said == ["The request was withdrawn, and the person was told."]


def test_the_page_of_a_person_says_what_is_under_way_instead_of_offering_it_again(desk):
    desk.lock()
    agent, path = desk.agent("sam"), "/support/people/jane"
    assert 'data-remedy="unlock"' in agent.get(path).text
    desk.asked("unlock")
    asked = desk.agent("sam").get(path).text
    assert re.search(r"Unlock the account\.</b> Waits for the person.*?approval; good until", asked)
    assert 'data-remedy="unlock"' not in asked
    assert f'href="{path}/unlock">Go on with it' in asked
    desk.decide(desk.words())
    assert "Unlock the account.</b> May be carried out now" in desk.agent("sam").get(path).text
    desk.do("carry-out")
    assert "Go on with it" not in desk.agent("sam").get(path).text


def test_whoever_approves_what_waits_is_told_that_it_waits(desk):
    waiting = "A second agent has to agree first, and 24 hours have to pass."
    desk.asked("access-code")
    assert waiting in desk.decide(desk.words()).get("/approve/done").text
    desk.do("withdraw")
    desk.lock()
    desk.asked("unlock")
    assert waiting not in desk.decide(desk.words()).get("/approve/done").text


def test_everything_that_a_question_lacks_is_said_at_once(desk):
    answer = desk.ask("contact", at="nowhere", address="jane", contact="", reason="short")
    assert answer.status_code == 422
    for field in ("address", "contact", "reason"):
        assert f'id="{field}-error"' in answer.text
        assert f'href="#{field}"' in answer.text
    alone = desk.ask("unlock", contact="").text
    assert re.search(r'<fieldset [^>]*aria-describedby="contact-error"', alone)
    assert re.search(r'<input type="radio" name="contact" [^>]*autofocus', alone)


def test_what_agents_typed_about_somebody_is_not_called_theirs(desk):
    answer = desk.ask("contact", address=EMAIL)
    assert "This is a contact of the person already." in answer.text
