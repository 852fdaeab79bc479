"""A request whose time is over says so, once: to whoever was told of it, to support, and under ACTIVITY."""

import threading

import pytest
from sqlalchemy import update

from app.journeys.approvals.service import Approvals
from app.journeys.operations.service import Housekeeping
from app.records.people import store as people
from app.wiring import build_approval_means, build_steps
from tests.journeys import behind
from tests.journeys.approvals.conftest import DAY, EMAIL, PHONE, Desk

EXPIRED = "support_expired"


def duty(desk: Desk) -> Approvals:
    base, means = desk.portal.base, desk.portal.means
    return Approvals(build_approval_means(base, means, build_steps(base, means)))


def told_so(desk: Desk, to: str) -> int:
    words = "its time is over" if to.startswith("+") else "The time is over in which Sam Doe"
    return sum(words in text for text in desk.texts(to))


@pytest.mark.parametrize("two", [False, True], ids=["one worker", "two at once"])
def test_a_request_that_nobody_approved_expires_once_and_the_person_is_told(both_desk, two):
    desk = both_desk
    desk.asked("remove-app", app=desk.app())
    worker = duty(desk)
    desk.later(DAY - 1)
    assert worker.expire() == 0
    desk.later(1)
    found: list[int] = []
    hands = [threading.Thread(target=lambda: found.append(worker.expire())) for _ in range(2 if two else 1)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert sum(found) == 1
    assert worker.expire() == 0
    assert desk.state == "expired"
    assert behind.happened(desk.portal, desk.jane.id, EXPIRED) == 1
    assert (told_so(desk, PHONE), told_so(desk, EMAIL)) == (1, 1)


def test_tidying_up_swallows_no_expiry(desk):
    desk.asked("remove-app", app=desk.app())
    desk.later(DAY)
    Housekeeping(desk.portal.base.database, desk.portal.base.clock).tidy()
    assert duty(desk).expire() == 1


def test_the_notice_of_an_expiry_has_no_link_for_there_is_nothing_left_to_cancel_or_undo(desk):
    desk.lock()
    desk.asked("unlock")
    desk.later(DAY)
    duty(desk).expire()
    assert "/approve/cancel/" not in desk.texts(EMAIL)[-1]
    assert "/undo/" not in desk.texts(EMAIL)[-1]


def test_support_sees_that_it_expired_and_what_it_lacked(desk):
    desk.asked("remove-app", app=desk.app())
    desk.later(DAY)
    for _ in range(2):  # the pages say it before the worker came by, and after
        listed = desk.agent("tess").get("/support/approvals").text
        assert "Expired in the last three days" in listed
        assert desk.request.id in listed
        assert "the person did not approve in time" in listed
        assert "Expired: the person did not approve" in desk.agent("sam").get("/support/people/jane/remove-app").text
        duty(desk).expire()
    assert (
        "Expired, nothing was done: remove an authenticator app" in desk.agent("sam").get("/support/people/jane").text
    )
    desk.later(3 * DAY)
    assert desk.request.id not in desk.agent("tess").get("/support/approvals").text


def test_what_another_organization_asked_is_not_listed(desk):
    desk.asked("remove-app", app=desk.app())
    desk.later(DAY)
    assert desk.request.id not in desk.agent("far").get("/support/approvals").text


def test_the_person_sees_it_under_activity(desk):
    desk.asked("remove-app", app=desk.app())
    desk.later(DAY)
    duty(desk).expire()
    own = desk.portal.browser()
    own.sign_in(desk.portal, "jane")
    page = own.get("/activity").text
    assert f'data-event="{EXPIRED}"' in page
    assert "request expired: remove an authenticator app of yours" in page
    assert "Support wants to do something" not in page


def test_one_that_lacked_the_second_agent_or_was_never_carried_out_says_so(desk):
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    desk.later(2 * DAY)
    assert "no second agent agreed in time" in desk.agent("tess").get("/support/approvals").text
    duty(desk).expire()
    desk.granted("remove-app", app=desk.app())
    desk.later(2 * DAY)
    assert "it was not carried out in time" in desk.agent("tess").get("/support/approvals").text


def test_a_filed_contact_that_nobody_proved_goes_with_its_request(desk):
    desk.granted("contact", address="+49 170 999 99 99")
    assert desk.do("carry-out").status_code == 303
    desk.later(DAY)
    assert "the new contact was not proved in time" in desk.agent("tess").get("/support/approvals").text
    duty(desk).expire()
    with desk.portal.base.database.read() as looking:
        assert all(one.address != "+491709999999" for one in people.contacts_of(looking, desk.jane.id))
    assert told_so(desk, "+491709999999") == 0


def test_whoever_could_not_be_told_of_a_request_is_not_told_that_it_expired(desk):
    """Nobody had a contact when it was asked for; one that came later never heard of it."""
    with desk.portal.base.database.begin() as transaction:
        transaction.execute(
            update(people.contacts)
            .where(people.contacts.c.person_id == desk.jane.id)
            .values(removed_at=desk.now - 30 * DAY)
        )
    desk.asked("remove-app", at="nowhere", app=desk.app())
    desk.later(60)
    with desk.portal.base.database.begin() as transaction:
        transaction.execute(
            update(people.contacts)
            .where(people.contacts.c.person_id == desk.jane.id, people.contacts.c.address == EMAIL)
            .values(removed_at=None, confirmed_at=desk.now, usable_from=desk.now)
        )
    desk.later(3 * DAY)
    assert duty(desk).expire() == 1
    assert behind.happened(desk.portal, desk.jane.id, EXPIRED) == 1
    assert behind.queued(desk.portal, "notice_support") == []


def test_the_account_that_was_frozen_meanwhile_has_no_request_left_to_expire(desk):
    desk.asked("remove-app", app=desk.app())
    assert desk.ask("freeze").status_code == 303
    desk.later(3 * DAY)
    assert duty(desk).expire() == 0
    assert behind.happened(desk.portal, desk.jane.id, EXPIRED) == 0
