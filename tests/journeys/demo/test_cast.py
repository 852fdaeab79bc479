"""Who is in the demo when it starts."""

import pytest

from app.factors.password.blocklist import Blocklist
from app.factors.password.service import Passwords
from app.factors.totp.model import Finding
from app.factors.totp.service import AuthenticatorApps
from app.foundation.settings import ROOT
from app.foundation.slowhash import SlowHasher
from app.journeys.demo.model import CAST
from app.journeys.demo.service import DemoCast, DemoDesk, DemoInbox
from app.records.attempts.model import Factor
from app.records.attempts.service import Tries
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.invitations import store as invitations
from app.records.organizations import store as organizations
from app.records.people import store as people
from app.records.people.model import Channel
from app.steps.invite import Invitations
from tests.cast import organization


class Stage:
    """The demo's database after it was seeded."""

    def __init__(self, database, clock, chance, keyring, ephemeral) -> None:
        self.database, self.clock = database, clock
        self.hasher = SlowHasher(memory_kib=64, passes=1, slots=2, queue=8, chance=chance)
        self.tries = Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=3_000)
        self.apps = AuthenticatorApps(keyring, chance)
        self.passwords = Passwords(
            database,
            self.hasher,
            keyring,
            clock=clock,
            chance=chance,
            blocklist=Blocklist(ROOT / "config" / "blocklist.bin"),
            tries=self.tries,
            outbox=Outbox(keyring, chance, "localhost"),
            undo=UndoLinks(chance=chance, public_url="http://localhost"),
        )
        with database.begin() as transaction:
            organization(transaction, chance)
        cast = DemoCast(
            database=database,
            passwords=self.passwords,
            apps=self.apps,
            invitations=Invitations(
                keyring=keyring,
                chance=chance,
                outbox=Outbox(keyring, chance, "localhost"),
                public_url="http://localhost",
            ),
            clock=clock,
            chance=chance,
            language="en",
        )
        self.cast = cast.seed()
        self.desk = DemoDesk(
            database=database, apps=self.apps, inbox=DemoInbox(ephemeral), clock=clock, issuer="Keyturn"
        )

    def person(self, user_id):
        with self.database.read() as looking:
            return people.find(looking, user_id)


@pytest.fixture
def stage(database, clock, chance, keyring, valkey_ephemeral):
    standing = Stage(database, clock, chance, keyring, valkey_ephemeral)
    yield standing
    standing.hasher.close()


def test_everybody_is_there_with_the_password_that_is_told(stage):
    assert stage.cast == CAST
    for role in CAST:
        person = stage.person(role.user_id)
        assert person.name == role.name
        with stage.database.read() as looking:
            record = stage.passwords.find(looking, person.id)
            (held,) = organizations.memberships_of(looking, person.id)
        assert held.role.value == role.role
        if role.invited:
            assert record is None
            continue
        assert stage.passwords.check(record, role.password)
        assert not record.change_owed


def test_contacts_are_usable_and_omar_has_no_phone(stage):
    now = stage.clock.now()
    for role in CAST:
        with stage.database.read() as looking:
            contacts = people.contacts_of(looking, stage.person(role.user_id).id)
        assert all(contact.usable(now) is not role.invited for contact in contacts)
        channels = [contact.channel for contact in contacts]
        assert channels == ([Channel.EMAIL] if role.user_id == "omar" else [Channel.SMS, Channel.EMAIL])


def test_jane_is_locked_out_of_signing_in_for_as_long_as_the_demo_runs(stage):
    jane = stage.person("jane")
    for _ in range(3):
        with stage.database.read() as looking:
            locked = {
                factor: stage.tries.standing(looking, jane.id, factor).locked(stage.clock.now())
                for factor in (Factor.PASSWORD, Factor.APP, Factor.PIN)
            }
        assert locked == {Factor.PASSWORD: True, Factor.APP: False, Factor.PIN: False}
        stage.clock.advance(86_400)


def test_janes_lock_came_from_failed_sign_ins_that_are_all_in_the_past(stage):
    with stage.database.read() as looking:
        events = audit.of_person(looking, stage.person("jane").id, limit=500)
    failures = [event for event in events if event.event is Event.SIGN_IN_FAIL]
    assert len(failures) == 50
    assert max(event.at for event in failures) < stage.clock.now()


def test_nobody_else_is_locked(stage):
    for role in CAST:
        if role.user_id != "jane":
            with stage.database.read() as looking:
                standing = stage.tries.standing(looking, stage.person(role.user_id).id, Factor.PASSWORD)
            assert not standing.locked(stage.clock.now())


def test_each_phone_shows_a_code_that_is_right_but_anas_which_is_slow(stage):
    now = stage.clock.now()
    for phone in stage.desk.cast():
        if not phone.code:
            assert phone.user_id == "nina"
            continue
        with stage.database.begin() as transaction:
            usable = stage.apps.usable(transaction, stage.person(phone.user_id).id, now)
            outcome = stage.apps.settle(transaction, stage.apps.recognise(usable, phone.code, now), now)
        if phone.user_id == "ana":
            assert (outcome.finding, outcome.offset) in {(Finding.CLOCK_OFF, -3), (Finding.CLOCK_OFF, -4)}
        else:
            assert outcome.finding is Finding.ACCEPTED


def test_nina_is_invited_and_her_contacts_are_told_though_they_are_not_confirmed(stage):
    nina = stage.person("nina")
    with stage.database.read() as looking:
        assert invitations.unfinished(looking, nina.id) is not None
        assert Event.INVITED in {event.event for event in audit.of_person(looking, nina.id)}
    (shown,) = [phone for phone in stage.desk.cast() if phone.user_id == "nina"]
    assert (shown.phone, shown.email, shown.password) == ("+491700000006", "nina@example.org", "")
