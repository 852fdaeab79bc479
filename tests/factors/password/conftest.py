"""A house with Jane in it."""

from collections.abc import Iterator

import pytest

from app.foundation.ephemeral.store import Ephemeral
from app.foundation.secretbox import Keyring
from app.foundation.sql import Database
from tests.factors.password.parts import House
from tests.hands import HandClock, SeededChance


@pytest.fixture
def house(
    database: Database, valkey_ephemeral: Ephemeral, keyring: Keyring, chance: SeededChance, clock: HandClock
) -> Iterator[House]:
    """Jane on each kind of database in turn."""
    it = House(database, valkey_ephemeral, keyring, chance, clock)
    yield it
    it.close()


@pytest.fixture
def sqlite_house(
    sqlite_database: Database, valkey_ephemeral: Ephemeral, keyring: Keyring, chance: SeededChance, clock: HandClock
) -> Iterator[House]:
    """Jane on SQLite, where the kind of database makes no difference."""
    it = House(sqlite_database, valkey_ephemeral, keyring, chance, clock)
    yield it
    it.close()
