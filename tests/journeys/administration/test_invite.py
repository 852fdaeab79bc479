"""Inviting by the command, on both databases: where the link goes, who may be invited, and what is written down."""

import re
import threading

import pytest
from sqlalchemy import select

from app.journeys.administration.model import NotDone
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.delivery.store import outbox
from app.records.invitations import store as invitations
from app.records.invitations.store import invitations as rows
from app.records.people import store as people
from app.records.people.model import Status

FIELDS = {"user_id": "nina", "email": "nina@example.org", "phone": "+4915112345678"}
SEED = b"s" * 20


@pytest.fixture
def nina(house):
    return house.people.create(FIELDS).person


def invited(house, person):
    with house.database.read() as looking:
        return invitations.unfinished(looking, person.id)


def test_the_link_goes_to_the_mailbox_and_the_phone_is_the_second_thing(house, nina):
    done = house.people.invite("NINA")
    assert (done.destination, done.activation_code) == ("n•••@e•••.org", "")
    found = invited(house, nina)
    assert found is not None
    assert found.code_digest == ""
    with house.database.read() as looking:
        queued = looking.execute(select(outbox)).all()
        (event,) = [one for one in audit.of_person(looking, nina.id) if one.event is Event.INVITED]
    assert [row.template for row in queued] == ["invitation"]
    assert event.actor == "operator"
    assert event.details["by_code"] is False


def test_where_no_phone_is_filed_a_code_is_shown_once_and_kept_as_a_digest(house):
    omar = house.people.create({"user_id": "omar", "email": "omar@example.org"}).person
    code = house.people.invite("omar").activation_code
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code)
    assert code not in repr(house.people.show("omar"))
    kept = invited(house, omar)
    assert kept is not None
    assert code.replace("-", "") not in kept.code_digest
    assert house.people.invite("omar").activation_code != code


def test_a_new_invitation_voids_the_earlier_one(house, nina):
    house.people.invite("nina")
    first = invited(house, nina)
    house.people.invite("nina")
    second = invited(house, nina)
    assert first is not None
    assert second is not None
    assert first.id != second.id
    with house.database.read() as looking:
        assert invitations.find(looking, first.id, house.clock.now()) is None


def test_of_two_invitations_at_once_one_is_alive(house, nina):
    second = threading.Thread(target=house.people.invite, args=("nina",))
    with house.database.begin() as transaction:
        assert house.people._invitations.send(transaction, nina, "en", house.clock.now()) is not None
        second.start()
        second.join(0.5)  # it has to wait for this one's end
    second.join(30)
    with house.database.read() as looking:
        assert len(looking.execute(select(rows).where(rows.c.person_id == nina.id)).all()) == 1


@pytest.mark.parametrize("how", ["nobody", "no mailbox", "inactive", "a password", "an app"])
def test_whoever_cannot_be_invited_is_told_and_nothing_is_written(house, how):
    fields = {"user_id": "nina", "phone": "+4915112345678"} if how == "no mailbox" else {**FIELDS}
    if how == "a password":
        fields["password"] = "their own passphrase"
    if how != "nobody":
        person = house.people.create(fields, temporary=how != "a password", app=how == "an app").person
        if how == "inactive":
            with house.database.begin() as transaction:
                people.set_status(transaction, person.id, Status.INACTIVE)
    before = house.everything()
    with pytest.raises(NotDone):
        house.people.invite("nina")
    assert house.everything() == before


def test_somebody_with_a_temporary_password_may_be_invited(house):
    house.people.create({**FIELDS, "password": "temporary password"})
    assert house.people.invite("nina").destination


def test_an_activation_that_stopped_goes_on_and_one_that_never_began_does_not_take_over_an_account_in_use(house, nina):
    house.people.invite("nina")
    begun = invited(house, nina)
    assert begun is not None
    now = house.clock.now()
    with house.database.begin() as transaction:
        house.apps.bind(transaction, person_id=nina.id, seed=SEED, label="Phone", now=now, usable_from=now)
    with pytest.raises(NotDone):
        house.people.invite("nina")
    with house.database.begin() as transaction:
        assert invitations.reach(transaction, begun.id, "", "codes")
    house.people.invite("nina")
    again = invited(house, nina)
    assert again is not None
    assert (again.id != begun.id, again.reached) == (True, "codes")
