"""The delivery room as wiring puts it together, and people to write to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update

from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.secretbox import Keyring
from app.foundation.settings import Settings
from app.foundation.sql import Database, Transaction
from app.records.delivery import store
from app.records.delivery.channels import build
from app.records.delivery.channels.letters import Letters
from app.records.delivery.model import Destination, Purpose
from app.records.delivery.outbox import Outbox
from app.records.delivery.worker import Worker
from app.records.organizations.store import organizations
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status
from tests.edges import ACCOUNT, API_KEY, API_SECRET, SENDER

PIN_LIFE = 300
NUMBER = "+4915112345678"
ADDRESS = "jane@example.org"


def settings(*, sms: str = "", mail: str = "", **more: Any) -> Settings:
    """Settings with Twilio's base and SMTP_URL, where they are given."""
    if sms:
        more |= {
            "twilio_account_sid": ACCOUNT,
            "twilio_api_key_sid": API_KEY,
            "twilio_api_key_secret": API_SECRET,
            "twilio_from": SENDER,
            "twilio_api_base": sms,
        }
    if mail:
        more |= {"smtp_url": mail, "mail_from": "keyturn@example.org"}
    return Settings(**{"public_url": "https://keyturn.example.org", **more})


def lookup(transaction: Transaction, contact_id: str) -> Destination | None:
    """What wiring gives the worker."""
    contact = people.contact(transaction, contact_id)
    person = people.get(transaction, contact.person_id) if contact else None
    if contact is None or person is None:
        return None
    return Destination(contact.address, contact.removed_at is not None, person.status is Status.ACTIVE)


def worker(database: Database, keyring: Keyring, chance: Chance, clock: Clock, from_settings: Settings) -> Worker:
    """A worker with the channels of these settings."""
    return Worker(
        database,
        keyring,
        chance,
        clock,
        channels=build(from_settings, clock),
        letters=Letters(from_settings),
        lookup=lookup,
    )


@dataclass
class House:
    """A database with Jane, her phone and her mailbox, and an outbox."""

    database: Database
    keyring: Keyring
    chance: Chance
    clock: Clock
    outbox: Outbox = field(init=False)
    jane: Person = field(init=False)
    phone: Contact = field(init=False)
    mail: Contact = field(init=False)

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.keyring, self.chance, "keyturn.example.org")
        now = self.clock.now()
        with self.database.begin() as transaction:
            transaction.execute(insert(organizations).values(id="o", name="default", created_at=now))
            person = Person(0, "jane", "jane", "Jane", "Doe", Status.ACTIVE, "s", "en", "o", now)
            self.jane = people.add(transaction, person)
        self.phone = self.contact(Channel.SMS, NUMBER)
        self.mail = self.contact(Channel.EMAIL, ADDRESS)

    def contact(self, channel: Channel, address: str, **more: Any) -> Contact:
        """Another contact of Jane's."""
        now = self.clock.now()
        values = {"confirmed_at": now, "usable_from": now, "removed_at": None} | more
        contact = Contact(self.chance.name(), self.jane.id, channel, address, 0, **values)
        with self.database.begin() as transaction:
            people.add_contact(transaction, contact, now)
        return contact

    def remove(self, contact: Contact) -> None:
        """Take a contact off her."""
        with self.database.begin() as transaction:
            transaction.execute(
                update(people.contacts).where(people.contacts.c.id == contact.id).values(removed_at=self.clock.now())
            )

    def pin(self, contact: Contact, pin: str = "482913", *, life: int = PIN_LIFE) -> str:
        """Queue a PIN; the outbox id."""
        now = self.clock.now()
        with self.database.begin() as transaction:
            return self.outbox.enqueue(
                transaction,
                contact=contact,
                template="pin",
                variables={"pin": pin, "minutes": life // 60},
                language="en",
                purpose=Purpose.PIN,
                now=now,
                expires_at=now + life,
            )

    def notice(
        self, contact: Contact, template: str = "notice_password_changed", variables: Mapping[str, object] | None = None
    ) -> str:
        """Queue a notice; the outbox id."""
        now = self.clock.now()
        with self.database.begin() as transaction:
            return self.outbox.enqueue(
                transaction,
                contact=contact,
                template=template,
                variables=variables
                or {"at": now, "address": "203.0.113.7", "undo": "https://keyturn.example.org/undo/x"},
                language="en",
                purpose=Purpose.NOTICE,
                now=now,
            )

    def withdraw(self, outbox_id: str) -> bool:
        with self.database.begin() as transaction:
            return self.outbox.withdraw(transaction, outbox_id, self.clock.now())

    def worker(self, from_settings: Settings) -> Worker:
        return worker(self.database, self.keyring, self.chance, self.clock, from_settings)

    def row(self, outbox_id: str) -> Any:
        """The row as it lies in the table."""
        with self.database.read() as looking:
            return looking.execute(select(store.outbox).where(store.outbox.c.id == outbox_id)).one()

    def state(self, outbox_id: str) -> tuple[str, str]:
        """State and reason."""
        row = self.row(outbox_id)
        return row.state, row.reason


def drain(*workers: Worker) -> None:
    """Work until there is nothing to do at this moment."""
    while sum(worker.run_once() for worker in workers):
        pass
