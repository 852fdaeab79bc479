"""Making one person, looking, unlocking, on both databases."""

from dataclasses import asdict
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from app.factors.totp.model import Finding
from app.factors.totp.rules import hotp, step_at
from app.factors.totp.service import from_base32
from app.journeys.administration.model import NotDone
from app.records.attempts import store as attempts
from app.records.attempts.model import Door, Factor, History
from app.records.attempts.rules import HARD_CAP
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.cases import store as cases
from app.records.cases.model import Dispute, DisputeState, Kind
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import Status
from tests.cast import organization

FIELDS = {
    "user_id": "Jane",
    "first_name": "Jane",
    "last_name": "Doe",
    "email": "jane@example.org",
    "phone": "+4915112345678",
    "contacts_verified": True,
    "password": "temporary password",
}


@pytest.fixture
def jane(house):
    return house.people.create(FIELDS).person


def lock(house, person, factor, door=Door.SIGN_IN, tries=5):
    """Wrong tries, as they are counted."""
    from app.records.attempts import rules

    with house.database.begin() as transaction:
        history = attempts.lock(transaction, str(person.id), factor)
        for _ in range(tries):
            history = rules.spend(history, factor, door, house.clock.now() - 1).history
        attempts.write(transaction, str(person.id), factor, history)


def locked(house, person):
    return {one.factor for one in house.people.show(person.user_id).locks if one.locked}


def test_the_default_organization_is_made_once(house):
    assert house.people.make_default_organization() is False


def test_a_person_is_made_with_a_temporary_password(house, jane):
    with house.database.read() as looking:
        record = house.passwords.find(looking, jane.id)
    assert record is not None
    assert record.must_change
    assert house.passwords.check(record, "temporary password")


def test_a_password_that_they_chose_need_not_be_changed(house):
    jane = house.people.create(FIELDS, temporary=False).person
    with house.database.read() as looking:
        record = house.passwords.find(looking, jane.id)
    assert record is not None
    assert not record.must_change


def test_an_app_is_bound_and_its_link_returned_once(house):
    made = house.people.create({"user_id": "jane"}, app=True)
    seed = from_base32(parse_qs(urlsplit(made.uri).query)["secret"][0])
    now = house.clock.now()
    with house.database.begin() as transaction:
        usable = house.apps.usable(transaction, made.person.id, now)
        match = house.apps.recognise(usable, hotp(seed, step_at(now)), now)
        assert house.apps.settle(transaction, match, now).finding is Finding.ACCEPTED
    assert made.uri not in repr(made)
    assert house.people.create({"user_id": "omar"}).uri == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"user_id": "JANE "}, "already"),
        ({"user_id": ""}, "user_id: is missing"),
        ({"user_id": "x", "phone": "0151"}, "phone: is not an E.164"),
        ({"user_id": "x", "role": "root"}, "role: is none of"),
        ({"user_id": "x", "organization": "acme"}, "no organization 'acme'"),
        ({"user_id": "x", "password": "short"}, "password: is shorter"),
        ({"user_id": "\x1b[2J"}, "user_id: holds characters"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(house, jane, change, why):
    before = house.everything()
    with pytest.raises(NotDone, match=why) as refused:
        house.people.create(FIELDS | change)
    assert str(refused.value).isprintable()
    assert house.everything() == before


def test_looking_shows_everything_but_secrets(house):
    made = house.people.create(FIELDS, app=True)
    secret = parse_qs(urlsplit(made.uri).query)["secret"][0]
    shown = house.people.show(" JANE ")
    assert shown.person.user_id == "Jane"
    assert shown.organizations == (("default", "member", True),)
    assert [(one.channel, one.usable) for one in shown.contacts] == [("sms", True), ("email", True)]
    assert shown.password is not None
    assert shown.password.must_change
    assert [one.state for one in shown.apps] == ["active"]
    assert [one.locked for one in shown.locks] == [False] * 3
    assert [one.event for one in shown.events] == [Event.USER_CREATED]
    told = repr({**asdict(shown), "person": None})
    for hidden in (secret, "argon2", "jane@example.org", "+4915112345678", "temporary password"):
        assert hidden not in told


def test_unlocking_ends_the_waits_of_all_factors_and_tells_the_person(house, jane):
    for factor in (Factor.PASSWORD, Factor.APP, Factor.PIN):
        lock(house, jane, factor, Door.RECOVERY)
    assert locked(house, jane) == {Factor.PASSWORD, Factor.APP, Factor.PIN}
    done = house.people.unlock("JANE", " she called, ticket 7 ")
    assert done.cleared == (Factor.PASSWORD, Factor.APP, Factor.PIN)
    assert done.left == ()
    assert len(done.told) == 2
    assert "jane@example.org" not in repr(done)
    assert locked(house, jane) == set()
    with house.database.read() as looking:
        event = audit.of_person(looking, jane.id)[0]
        queued = looking.execute(text("SELECT channel, template, purpose, state FROM outbox ORDER BY channel")).all()
    assert (event.event, event.actor, event.details["reason"]) == (Event.UNLOCKED, "operator", "she called, ticket 7")
    assert [tuple(row) for row in queued] == [
        ("email", "notice_unlocked", "notice", "queued"),
        ("sms", "notice_unlocked", "notice", "queued"),
    ]


def test_unlocking_gives_no_tries_of_the_day_back(house, jane):
    lock(house, jane, Factor.APP, tries=5)
    house.people.unlock("jane", "she called")
    with house.database.read() as looking:
        assert house.tries.failures_today(looking, jane.id, Factor.APP) == 5


def test_what_has_to_be_bound_again_stays_closed(house, jane):
    with house.database.begin() as transaction:
        attempts.lock(transaction, str(jane.id), Factor.APP)
        attempts.write(transaction, str(jane.id), Factor.APP, History(consecutive=HARD_CAP, strangers={"recovery": 1}))
    lock(house, jane, Factor.PASSWORD)
    done = house.people.unlock("jane", "she called")
    assert (done.cleared, done.left) == ((Factor.PASSWORD,), (Factor.APP,))
    assert locked(house, jane) == {Factor.APP}


def test_unlocking_tells_no_contact_that_is_not_confirmed(house):
    house.people.create(FIELDS | {"contacts_verified": False})
    assert house.people.unlock("jane", "she called").told == ()


def test_unlocking_changes_neither_password_nor_stamp(house, jane):
    lock(house, jane, Factor.PASSWORD)
    before = house.everything()
    house.people.unlock("jane", "she called")
    after = house.everything()
    assert after["passwords"] == before["passwords"]
    assert after["people"] == before["people"]


def test_unfreezing_opens_the_account_and_ends_its_dispute_and_tells_the_person(house, jane):
    now = house.clock.now()
    with house.database.begin() as transaction:
        people.freeze(transaction, jane.id, "frozen")
        cases.add(transaction, Dispute("d", jane.id, Kind.PASSWORD, now, DisputeState.SUPPORT, now))
    assert house.people.show("jane").person.status is Status.FROZEN
    assert len(house.people.unfreeze("JANE", " she came in person ")) == 2
    shown = house.people.show("jane")
    assert shown.person.status is Status.ACTIVE
    assert shown.person.stamp not in {jane.stamp, "frozen"}
    event = shown.events[0]
    assert (event.event, event.actor, event.details["reason"]) == (
        Event.USER_UNFROZEN,
        "operator",
        "she came in person",
    )
    with house.database.read() as looking:
        assert cases.living(looking, jane.id) is None
        assert cases.resolved_since(looking, jane.id, now)
        queued = looking.execute(text("SELECT channel, template FROM outbox ORDER BY channel")).all()
    assert [tuple(row) for row in queued] == [("email", "notice_unfrozen"), ("sms", "notice_unfrozen")]


def test_only_somebody_frozen_is_unfrozen_and_not_without_a_reason(house, jane):
    before = house.everything()
    with pytest.raises(NotDone, match="not frozen"):
        house.people.unfreeze("jane", "why not")
    with pytest.raises(NotDone, match="reason"):
        house.people.unfreeze("jane", " ")
    assert house.everything() == before


@pytest.mark.parametrize("typed", ["nobody", "", "\ud800", "a" * 5_000, "\x1b[2J"])
def test_nobody_is_said_to_be_nobody(house, typed):
    for ask in (
        house.people.show,
        lambda name: house.people.unlock(name, "why"),
        lambda name: house.people.unfreeze(name, "why"),
    ):
        with pytest.raises(NotDone, match="nobody") as refused:
            ask(typed)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "x" * 501])
def test_an_unlock_needs_a_reason(house, jane, reason):
    lock(house, jane, Factor.PASSWORD)
    with pytest.raises(NotDone, match="reason"):
        house.people.unlock("jane", reason)
    assert locked(house, jane) == {Factor.PASSWORD}
    with house.database.read() as looking:
        assert people.find(looking, "jane") is not None


def test_whoever_is_shut_out_by_the_operator_leaves_no_other_organization_without_word(house):
    with house.database.begin() as transaction:
        organization(transaction, house.chance, "other")
    jane = house.people.create({**FIELDS, "user_id": "Jane"}).person
    eve = house.people.create({**FIELDS, "user_id": "eve", "organization": "other", "email": "eve@example.org"}).person
    with house.database.begin() as transaction:
        other = organizations.find(transaction, "other")
        assert other is not None
        organizations.set_role(transaction, eve.id, other.id, Role.MEMBER, Role.ADMINISTRATOR)
        organizations.join(transaction, jane.id, other.id, Role.ADMINISTRATOR, is_primary=False)
    house.people.deactivate("jane", "left the company")
    with house.database.read() as looking:
        written = [
            row.details
            for row in looking.execute(
                text("select details from audit_events where event = 'organization_staff_deactivated'")
            )
        ]
        told = looking.execute(
            text("select count(*) from outbox where template = 'notice_staff_lost' and person_id = :eve"),
            {"eve": eve.id},
        ).scalar_one()
    assert len(written) == 1
    assert told == 2
