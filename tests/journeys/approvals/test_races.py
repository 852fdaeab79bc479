"""Two at once: every move of a request is one conditional write, on both kinds of database."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.factors.totp import store as apps
from app.foundation.refusals import OutOfOrder, Refusal
from app.foundation.visit import Visit
from app.journeys.approvals.model import Asked, DeadLink, Decision
from app.journeys.approvals.service import Approvals, Approving
from app.records.attempts.model import Door
from app.records.cases.model import Action
from app.records.organizations.model import Role
from app.wiring import build_approval_means, build_steps
from tests.journeys import behind
from tests.journeys.approvals.conftest import PHONE, REASON

VISIT = Visit("192.0.2.50", "en", "request")
AT_ONCE = 8


def sides(desk):
    steps = build_steps(desk.portal.base, desk.portal.means)
    means = build_approval_means(desk.portal.base, desk.portal.means, steps)
    return Approvals(means), Approving(means), steps.staffing


def staff(desk, name):
    steps = build_steps(desk.portal.base, desk.portal.means)
    return steps.staffing.support(desk.agent(name).cookie("keyturn-session"), VISIT)


def together(*deeds: Callable[[], Any]) -> list[Any]:
    """What each of them returned, or its refusal; begun at the same moment."""
    gate, ends = threading.Barrier(len(deeds)), list[Any]([None] * len(deeds))

    def run(place: int, deed: Callable[[], Any]) -> None:
        gate.wait()
        try:
            ends[place] = deed() or "done"
        except (Refusal, DeadLink) as refusal:
            ends[place] = refusal

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def refusals(ends):
    return [end for end in ends if isinstance(end, (Refusal, DeadLink))]


def test_of_many_approvals_at_once_one_counts(both_desk):
    desk = both_desk
    desk.asked("remove-app", app=desk.app())
    _, approving, _ = sides(desk)
    words = desk.words()
    cookies = [desk.open(words, REMOTE_ADDR=f"198.51.100.{n}").cookie("keyturn-approval") for n in range(AT_ONCE)]
    ends = together(*(lambda cookie=cookie: approving.decide(VISIT, cookie, Decision.APPROVE) for cookie in cookies))
    assert len(refusals(ends)) == AT_ONCE - 1
    assert all(isinstance(one, OutOfOrder) for one in refusals(ends))
    assert desk.state == "second"
    assert behind.happened(desk.portal, desk.jane.id, "support_approved") == 1


def test_of_two_second_agents_at_once_one_confirms_and_the_person_is_told_once(both_desk):
    desk = both_desk
    desk.portal.add("uma", phone="+491710000055", role=Role.SUPPORT)
    desk.asked("remove-app", app=desk.app())
    desk.decide(desk.words())
    approvals, _, _ = sides(desk)
    tess, uma = staff(desk, "tess"), staff(desk, "uma")
    number = desk.request.id
    ends = together(
        *(lambda one=one: approvals.review(VISIT, one, number, Decision.CONFIRM) for one in (tess, uma, tess, uma))
    )
    assert len(refusals(ends)) == 3
    assert desk.state == "granted"
    assert behind.happened(desk.portal, desk.jane.id, "support_confirmed") == 1
    assert len([text for text in desk.texts(PHONE) if "two agents agree" in text]) == 1


def test_of_many_hands_that_carry_it_out_one_does(both_desk):
    desk = both_desk
    request = desk.granted("access-code")
    approvals, _, _ = sides(desk)
    sam = staff(desk, "sam")
    ends = together(
        *[lambda: approvals.carry_out(VISIT, sam, "jane", Action.ACCESS_CODE, request.id) for _ in range(AT_ONCE)]
    )
    assert len(refusals(ends)) == AT_ONCE - 1
    assert len(behind.tables(desk.portal)["access_codes"]) == 1
    assert len(behind.queued(desk.portal, "access_code")) == 1


@pytest.mark.parametrize("turn", range(3))
def test_a_cancel_and_a_carrying_out_exclude_each_other(both_desk, turn):
    desk = both_desk
    request = desk.granted("remove-app", app=desk.app())
    approvals, approving, _ = sides(desk)
    sam = staff(desk, "sam")
    token = desk.cancel_link(PHONE).rpartition("/")[2]
    deeds = [
        lambda: approving.cancel(VISIT, token),
        lambda: approvals.carry_out(VISIT, sam, "jane", Action.REMOVE_APP, request.id),
    ]
    ends = together(*(deeds if turn % 2 else reversed(deeds)))
    assert len(refusals(ends)) == 1
    with desk.portal.base.database.read() as looking:
        left = len(apps.of_person(looking, desk.jane.id))
    assert (desk.state, left) in {("cancelled", 1), ("done", 0)}


def test_of_many_questions_at_once_one_is_asked(both_desk):
    desk = both_desk
    approvals, _, _ = sides(desk)
    sam, tess = staff(desk, "sam"), staff(desk, "tess")
    asked = Asked(REASON, "none", desk.app())
    ends = together(
        *(lambda one=one: approvals.ask(VISIT, one, "jane", Action.REMOVE_APP, asked) for one in (sam, tess) * 3)
    )
    assert len(refusals(ends)) == 5
    assert len(behind.tables(desk.portal)["support_requests"]) == 1


def test_of_many_flows_with_one_access_code_one_goes_on(both_desk):
    desk = both_desk
    desk.granted("access-code")
    desk.do("carry-out")
    code = desk.access_code()
    browsers = [desk.portal.browser(REMOTE_ADDR=f"198.51.100.{n}") for n in range(4)]
    for browser in browsers:
        browser.recover_to_token("jane")
        browser.get("/recovery/code")
    statuses = together(*(lambda one=one: one.post("/recovery/code", code=code).status_code for one in browsers))
    assert sorted(statuses) == [303, 422, 422, 422]


def test_of_many_guesses_at_once_five_are_judged(both_desk):
    """Counted before they are judged: afterwards the right words open nothing either."""
    desk = both_desk
    desk.asked("remove-app", app=desk.app())
    right = desk.words()
    words = right.split("-")
    wrong = [
        "-".join([*words[:-1], other])
        for other in ("acorn", "amber", "anchor", "apple", "apron", "arrow", "atlas")
        if other != words[-1]
    ]
    _, approving, _ = sides(desk)
    ends = together(*(lambda typed=typed: approving.open(VISIT, typed) for typed in wrong[:6]))
    assert len(refusals(ends)) == 6
    with pytest.raises(Refusal):
        approving.open(VISIT, right)
    assert desk.request.tries == 5


def test_a_deed_that_fails_leaves_nothing_of_itself_behind(both_desk):
    """The move, the deed, the message and the notices are one transaction."""
    desk = both_desk
    request = desk.granted("access-code")
    for _ in range(3):  # as many messages as one address gets in a quarter of an hour
        with desk.portal.base.database.begin() as transaction:
            desk.portal.means.tries.spend_send(transaction, "jane@example.org", Door.RECOVERY)
    desk.agent("sam")
    before = behind.tables(desk.portal)
    assert desk.do("carry-out").status_code == 429
    after = behind.tables(desk.portal)
    for name in ("support_requests", "access_codes", "outbox", "support_cancel_links", "audit_events"):
        if name in before:
            assert after[name] == before[name], name
    desk.later(900)
    assert desk.do("carry-out", request=request).status_code == 303
