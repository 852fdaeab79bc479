"""The demo's phones and mailbox: what the cast would hold in their hands."""

import json
from datetime import UTC, datetime

from app.factors.password.service import Passwords
from app.factors.totp.model import SEED, STEP
from app.factors.totp.rules import hotp, step_at
from app.factors.totp.service import AuthenticatorApps, from_base32, provisioning_uri
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import Ephemeral
from app.foundation.sql import Database, Transaction
from app.journeys.demo.model import CAST, Phone, Role
from app.records.attempts import rules as attempts
from app.records.attempts import store as attempts_store
from app.records.attempts.model import Door, Factor, History
from app.records.attempts.rules import STRANGERS_CAP
from app.records.audit import store as audit
from app.records.audit.model import Event, Record
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT
from app.records.organizations.model import Role as OrganizationRole
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status, canonical_user_id
from app.steps.invite import Invitations

_INBOX = "demo:inbox"
_MOST = 50
_LIFE = 86_400
_PAUSE = 60  # seconds between two guesses at Jane's password, where there is no longer wait
_GUESSER = "203.0.113.66"  # of a block for documentation (RFC 5737)


class DemoInbox:
    """Where the demo's messages arrive; shared by the worker's process and the portal's."""

    def __init__(self, ephemeral: Ephemeral) -> None:
        self._ephemeral = ephemeral

    def append(self, message: dict[str, object]) -> None:
        """Keep one message, the newest fifty."""
        self._ephemeral.give(_INBOX, json.dumps(message).encode(), most=_MOST, ttl=_LIFE)

    def messages(self) -> list[dict[str, object]]:
        """The newest first."""
        return [json.loads(raw) for raw in reversed(self._ephemeral.listed(_INBOX))]

    def trouble(self, channel: str) -> str:
        """How the next message of a channel fails; empty where it arrives."""
        return (self._ephemeral.get(_failing(channel)) or b"").decode()

    def fail(self, channel: str, *, failing: bool) -> None:
        """Make a channel fail, or mend it."""
        if failing:
            self._ephemeral.put(_failing(channel), b"permanent", _LIFE)
        else:
            self._ephemeral.drop(_failing(channel))


class DemoDesk:
    """What the page /demo shows."""

    def __init__(
        self, *, database: Database, apps: AuthenticatorApps, inbox: DemoInbox, clock: Clock, issuer: str
    ) -> None:
        self._database = database
        self._apps = apps
        self._inbox = inbox
        self._clock = clock
        self._issuer = issuer

    def cast(self) -> list[Phone]:
        """Everybody's phone as it looks now."""
        now = self._clock.now()
        phones = []
        for role in CAST:
            with self._database.read() as looking:
                person = people.find(looking, canonical_user_id(role.user_id))
                if person is None:
                    continue
                usable = self._apps.usable(looking, person.id, now)
                contacts = people.contacts_of(looking, person.id)
            # the first of a kind is the one that gets the PIN
            theirs = [one for one in reversed(contacts) if one.confirmed_at is not None or role.invited]
            shown = {one.channel: one.address for one in theirs}
            key = self._apps.reveal(usable[0]) if usable else ""
            clock = now - role.slow
            phones.append(
                Phone(
                    user_id=person.user_id,
                    name=person.name,
                    story=role.story,
                    password=role.password,
                    phone=shown.get(Channel.SMS, ""),
                    email=shown.get(Channel.EMAIL, ""),
                    code=hotp(from_base32(key), step_at(clock)) if key else "",
                    seconds_left=STEP - clock % STEP,
                    uri=provisioning_uri(from_base32(key), person.user_id, self._issuer) if key else "",
                    key=" ".join(key[i : i + 4] for i in range(0, len(key), 4)),
                    qr_url=f"/demo/qr/{person.user_id}.svg",
                )
            )
        return phones

    def uri(self, user_id: str) -> str:
        """The ``otpauth:`` link of one of the cast; empty for anybody else."""
        return next((phone.uri for phone in self.cast() if phone.user_id == user_id), "")

    def messages(self) -> list[dict[str, object]]:
        """SMS and e-mails, the newest first."""
        shown = []
        for message in self._inbox.messages():
            at = int(str(message["at"]))
            shown.append(
                {
                    "channel": message["channel"],
                    "to": message["to"],
                    "subject": message["subject"],
                    "body": message["text"],
                    "at": at,
                    "at_text": f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC",
                }
            )
        return shown

    def failing(self) -> set[str]:
        """The channels that were made to fail."""
        return {channel.value for channel in Channel if self._inbox.trouble(channel.value)}

    def fail(self, channel: str, *, failing: bool) -> None:
        """Make a channel fail, or mend it."""
        self._inbox.fail(channel, failing=failing)


class DemoCast:
    """The people of the demo, as they are when it starts. Only for a database that was just made for it."""

    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        apps: AuthenticatorApps,
        invitations: Invitations,
        clock: Clock,
        chance: Chance,
        language: str,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._apps = apps
        self._invitations = invitations
        self._clock = clock
        self._chance = chance
        self._language = language

    def seed(self) -> tuple[Role, ...]:
        """Make the cast in the organization `default`, with real hashes, lock Jane out and invite Nina. Returns it."""
        # before the transaction: they are slow
        hashes = {role.user_id: self._passwords.first(role.password) for role in CAST if role.password}
        now = self._clock.now()
        with self._database.begin() as transaction:
            home = organizations.find(transaction, DEFAULT)
            if home is None:
                raise LookupError("the demo's database has no organization")
            for role in CAST:
                person = self._add(transaction, role, home.id, now)
                if role.user_id in hashes:
                    new = hashes[role.user_id]
                    self._passwords.first_password(transaction, person.id, new, must_change=False, now=now)
                if role.has_app:
                    seed = self._chance.octets(SEED)
                    self._apps.bind(
                        transaction, person_id=person.id, seed=seed, label="Phone", now=now, usable_from=now
                    )
                if role.invited:
                    self._invitations.send(transaction, person, self._language, now)
                    audit.add(transaction, Record(Event.INVITED, now, person.id, "operator", "success", reason="demo"))
                if role.locked:
                    _lock_out(transaction, person, now)
        return CAST

    def _add(self, transaction: Transaction, role: Role, home: str, now: int) -> Person:
        first_name, _, last_name = role.name.partition(" ")
        person = people.add(
            transaction,
            Person(
                id=0,
                user_id=role.user_id,
                canonical_id=canonical_user_id(role.user_id),
                first_name=first_name,
                last_name=last_name,
                status=Status.ACTIVE,
                stamp=self._chance.name(),
                language="",
                home_organization=home,
                created_at=now,
            ),
        )
        organizations.join(transaction, person.id, home, OrganizationRole(role.role), is_primary=True)
        for channel, address in ((Channel.SMS, role.phone), (Channel.EMAIL, role.email)):
            if address:
                confirmed_at = None if role.invited else now
                contact = Contact(self._chance.name(), person.id, channel, address, 0, confirmed_at, now, None)
                people.add_contact(transaction, contact, now)
        audit.add(transaction, Record(Event.USER_CREATED, now, person.id, "operator", "success", reason="demo"))
        return person


def _lock_out(transaction: Transaction, person: Person, now: int) -> None:
    """Somebody has guessed at the password for two days, until only the owner's own ways were left open.

    By the same rules as a real guesser, so the lock lasts as long as the demo: until the person recovers.
    """
    history, at, times = History(), 0, []
    while history.strangers.get(Door.SIGN_IN, 0) < STRANGERS_CAP:
        verdict = attempts.spend(history, Factor.PASSWORD, Door.SIGN_IN, at)
        if verdict.allowed:
            times.append(at)
        history, at = verdict.history, at + max(_PAUSE, verdict.retry_after)
    # the same once more, ending just now
    history, shift = History(), now - times[-1] - _PAUSE
    for at in times:
        history = attempts.spend(history, Factor.PASSWORD, Door.SIGN_IN, at + shift).history
    attempts_store.lock(transaction, str(person.id), Factor.PASSWORD)
    attempts_store.write(transaction, str(person.id), Factor.PASSWORD, history)
    audit.add_many(
        transaction,
        [
            Record(
                Event.SIGN_IN_FAIL,
                at + shift,
                person.id,
                "self",
                "failure",
                reason="wrong_password",
                address=_GUESSER,
                details={"journey": "sign_in"},
            )
            for at in times
        ],
    )


def _failing(channel: str) -> str:
    return f"demo:failing:{channel}"
