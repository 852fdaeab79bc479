"""People are told of a policy to come that would strand them, by the worker."""

import pytest
from sqlalchemy import select

from app.journeys.policy.service import PolicyNotices
from app.records.organizations.store import policy_notices
from app.wiring import build_policies, build_steps
from tests.journeys import behind
from tests.meanwhile import WRITING, before_writing, dying_before


@pytest.fixture
def staged(ada):
    """Ada, two people who lack a phone, one who lacks nothing and one without e-mail, and a policy for later."""
    portal = ada.portal
    for name in ("omar", "owen"):
        portal.add(name, email=f"{name}@example.org", language="de" if name == "owen" else "en")
    portal.add("jane", phone="+491700000002", email="jane@example.org")
    return ada


def notices(ada):
    base, means = ada.portal.base, ada.portal.means
    return PolicyNotices(build_policies(base, means, build_steps(base, means)), at_once=1)


def told(ada):
    return sorted(row["channel"] for row in behind.queued(ada.portal, "notice_policy"))


def stage(ada, **typed):
    ada.open()
    answer = ada.post(**{"recovery_second": "sms", "holds_from": "2026-12-24", "known": "2", **typed})
    assert answer.status_code == 303, answer.text


def test_whoever_would_be_stranded_is_told_once_what_to_add_until_when(staged):
    stage(staged)
    assert told(staged) == []  # not by the request
    worker = notices(staged)
    assert worker.tell() == 2
    assert worker.tell() == 0
    assert told(staged) == ["email", "email"]
    staged.portal.deliver()
    letter = staged.portal.mailbox.to("omar@example.org")[-1].text
    assert "24 December 2026, 00:00 UTC" in letter
    assert "- a phone number\n" in letter
    assert "authenticator app" not in letter.partition("waiting time")[0]
    assert "eine Telefonnummer" in staged.portal.mailbox.to("owen@example.org")[-1].text


def test_whoever_has_no_e_mail_is_told_by_sms_only_where_that_was_asked_for(staged):
    staged.portal.add("sim", phone="+491700000003")
    stage(staged, recovery_second="email", known="1")
    assert notices(staged).tell() == 0
    stage(staged, recovery_second="email", known="1", by_sms="yes", holds_from="2026-12-25")
    assert notices(staged).tell() == 1
    assert told(staged) == ["sms"]


def test_nobody_is_told_of_what_was_withdrawn_or_holds_already(staged):
    stage(staged)
    newest = staged.versions()[0].number
    staged.browser.post("/admin/policy/withdraw", organization=staged.organization_id, based_on=str(newest))
    assert notices(staged).tell() == 0
    stage(staged)
    staged.portal.base.clock.sleep(200 * 86_400)
    assert notices(staged).tell() == 0
    assert told(staged) == []


@pytest.mark.parametrize(
    ("saying", "number"),
    [(WRITING, 2), ("UPDATE policy_notices", 2), ("INSERT INTO outbox", 2)],
    ids=["between two people", "before it moves on", "before it writes the letter"],
)
def test_a_worker_that_dies_goes_on_where_it_was(staged, saying, number):
    stage(staged)
    with pytest.raises(KeyboardInterrupt), dying_before(staged.portal.base.database, saying, number):
        notices(staged).tell()
    assert len(told(staged)) == 1
    assert notices(staged).tell() == 1
    people = [row["person_id"] for row in behind.queued(staged.portal, "notice_policy")]
    assert len(people) == len(set(people)) == 2


@pytest.mark.parametrize(("number", "told_by_one"), [(1, 0), (2, 1)])
def test_two_workers_tell_nobody_twice(staged, number, told_by_one):
    stage(staged)
    one, other, count = notices(staged), notices(staged), []
    with before_writing(staged.portal.base.database, lambda: count.append(other.tell()), number):
        assert one.tell() == told_by_one
    assert count == [2 - told_by_one]
    assert len(told(staged)) == 2
    with staged.portal.base.database.read() as looking:
        (row,) = looking.execute(select(policy_notices)).all()
    assert row.ended_at is not None
