"""An operator's house on a migrated database of each kind, with hashing at its cheapest and no store to ask."""

import io
import json
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from app.factors.password.blocklist import Blocklist
from app.factors.password.service import Passwords
from app.factors.totp.service import AuthenticatorApps
from app.foundation.chance import Chance
from app.foundation.ephemeral import Ephemeral
from app.foundation.settings import ROOT
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Database, metadata
from app.journeys.administration.model import Tally
from app.journeys.administration.service import Administration
from app.records.attempts.service import Tries
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.steps.invite import Invitations
from app.steps.roster import BadRow
from tests.hands import HandClock


@dataclass
class House:
    """The service under test and what stands around it."""

    database: Database
    clock: HandClock
    chance: Chance
    hasher: SlowHasher
    passwords: Passwords
    apps: AuthenticatorApps
    tries: Tries
    people: Administration
    refused: list[BadRow] = field(default_factory=list)

    def take(self, *rows, name="people.jsonl", dry_run=False) -> Tally:
        """Import rows: bytes or text as a whole file, or objects."""
        content = rows[0] if isinstance(rows[0], bytes | str) else "\n".join(map(json.dumps, rows))
        data = content.encode() if isinstance(content, str) else content
        self.refused = []
        return self.people.import_people(
            io.BytesIO(data), name, refused=self.refused.append, advanced=lambda _: None, dry_run=dry_run
        )

    @property
    def reasons(self) -> dict[int, str]:
        """What was wrong, by line."""
        return {bad.line: "; ".join(map(str, bad.problems)) for bad in self.refused}

    def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows of all tables."""
        with self.database.read() as looking:
            return {
                table.name: sorted(map(tuple, looking.execute(select(table))), key=repr)
                for table in metadata.sorted_tables
            }


@pytest.fixture
def house(database, clock, chance, keyring):
    hasher = SlowHasher(memory_kib=64, passes=1, slots=2, queue=8, chance=chance)
    ephemeral = Ephemeral("unix:///dev/null/no-store")  # nothing here may ask it
    tries = Tries(database, ephemeral, keyring, clock, stranger_failures_per_day=3_000)
    outbox = Outbox(keyring, chance, "localhost")
    apps = AuthenticatorApps(keyring, chance)
    undo = UndoLinks(chance=chance, public_url="http://localhost")
    passwords = Passwords(
        database,
        hasher,
        keyring,
        clock=clock,
        chance=chance,
        blocklist=Blocklist(ROOT / "config" / "blocklist.bin"),
        tries=tries,
        outbox=outbox,
        undo=undo,
    )
    people = Administration(
        database=database,
        passwords=passwords,
        apps=apps,
        tries=tries,
        outbox=outbox,
        undo=undo,
        clock=clock,
        chance=chance,
        issuer="Keyturn",
        language="en",
        invitations=Invitations(keyring=keyring, chance=chance, outbox=outbox, public_url="http://localhost"),
        hands=2,
    )
    people.make_default_organization()
    yield House(database, clock, chance, hasher, passwords, apps, tries, people)
    hasher.close()
