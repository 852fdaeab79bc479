"""A house with Jane in it, her phone and her mailbox."""

from collections.abc import Iterator

import pytest

from app.foundation.secretbox import Keyring
from app.foundation.settings import Settings
from app.foundation.sql import Database
from tests.edges import Certificates, Mailbox, Phone
from tests.hands import HandClock, SeededChance
from tests.records.delivery.parts import House, settings


@pytest.fixture
def house(database: Database, keyring: Keyring, chance: SeededChance, clock: HandClock) -> House:
    """Jane on each kind of database in turn."""
    return House(database, keyring, chance, clock)


@pytest.fixture
def sqlite_house(sqlite_database: Database, keyring: Keyring, chance: SeededChance, clock: HandClock) -> House:
    """Jane on SQLite, where the kind of database makes no difference."""
    return House(sqlite_database, keyring, chance, clock)


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    """An authority of our own."""
    return Certificates()


@pytest.fixture
def phone() -> Iterator[Phone]:
    """Twilio, and the phones behind it."""
    with Phone() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server without TLS, on this machine."""
    with Mailbox() as running:
        yield running


@pytest.fixture
def world(phone: Phone, mailbox: Mailbox) -> Settings:
    """Settings that lead to both."""
    return settings(sms=phone.base, mail=mailbox.url)
