"""A house with Jane in it, and what tests do with her password."""

from app.factors.password import rules
from app.factors.password.blocklist import Blocklist
from app.factors.password.model import PasswordRecord, Prepared, Remembered
from app.factors.password.service import Passwords
from app.foundation.ephemeral.store import Ephemeral
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.settings import ROOT
from app.foundation.slowhash import SlowHasher
from app.foundation.sql import Database
from app.records.attempts.service import Tries
from app.records.cases.service import UndoLinks
from app.records.delivery.outbox import Outbox
from app.records.organizations.model import PasswordPolicy
from app.records.people import store as people
from app.records.people.model import Contact, Person
from tests.cast import add_person
from tests.hands import HandClock, SeededChance

DEFAULT = PasswordPolicy()
FIRST = "correct horse battery staple"
BLOCKLIST = Blocklist(ROOT / "config" / "blocklist.bin")


class House:
    """The room of passwords on real parts, hashing at its cheapest, and Jane with two usable contacts."""

    def __init__(
        self, database: Database, ephemeral: Ephemeral, keyring: Keyring, chance: SeededChance, clock: HandClock
    ) -> None:
        self.database = database
        self.ephemeral = ephemeral
        self.chance = chance
        self.clock = clock
        self.keyring = keyring
        self._hashers: list[SlowHasher] = []
        self.build()
        with database.begin() as transaction:
            self.jane = add_person(transaction, "jane", chance, phone="+4915112345678", email="jane@example.org")

    def build(self, *, memory_kib: int = 64, passes: int = 1, keys: tuple[MasterKey, ...] = ()) -> None:
        """The same house after a restart: with other parameters, or another keyring."""
        if keys:
            self.keyring = Keyring(keys, self.chance)
        self.hasher = SlowHasher(memory_kib=memory_kib, passes=passes, slots=2, queue=64, chance=self.chance)
        self._hashers.append(self.hasher)
        tries = Tries(self.database, self.ephemeral, self.keyring, self.clock, stranger_failures_per_day=3_000)
        self.tries = tries
        self.passwords = Passwords(
            self.database,
            self.hasher,
            self.keyring,
            clock=self.clock,
            chance=self.chance,
            blocklist=BLOCKLIST,
            tries=tries,
            outbox=Outbox(self.keyring, self.chance, "keyturn.example.org"),
            undo=UndoLinks(chance=self.chance, public_url="https://keyturn.example.org"),
        )

    def close(self) -> None:
        """End the hashers' threads."""
        for hasher in self._hashers:
            hasher.close()

    @property
    def person(self) -> Person:
        """Jane as she is now."""
        with self.database.read() as looking:
            found = people.get(looking, self.jane.id)
        assert found is not None
        return found

    @property
    def record(self) -> PasswordRecord:
        """Jane's password as it is stored."""
        with self.database.read() as looking:
            found = self.passwords.find(looking, self.jane.id)
        assert found is not None
        return found

    @property
    def history(self) -> tuple[Remembered, ...]:
        """What is remembered of Jane's passwords."""
        with self.database.read() as looking:
            return self.passwords.history(looking, self.jane.id)

    def has(self, typed: str) -> bool:
        """Whether that is Jane's password."""
        return self.passwords.check(self.record, typed)

    def prepare(self, candidate: str, *, confirm: str | None = None, policy: PasswordPolicy = DEFAULT) -> Prepared:
        """Prepare a new password for Jane as she is now."""
        with self.database.read() as looking:
            record = self.passwords.find(looking, self.jane.id)
        return self.passwords.prepare(
            policy,
            self.person,
            candidate=candidate,
            confirm=candidate if confirm is None else confirm,
            words=rules.context_words(user_id=self.jane.user_id, services=("Keyturn",)),
            record=record,
            history=self.history,
        )

    def set(self, prepared: Prepared) -> tuple[Contact, ...]:
        """Set it in a transaction of its own."""
        with self.database.begin() as transaction:
            changed = self.passwords.set_new(
                transaction,
                person=self.person,
                prepared=prepared,
                actor="self",
                address="192.0.2.7",
                language="en",
                reason="recovery",
                now=self.clock.now(),
            )
        return changed.told

    def change(self, candidate: str, *, policy: PasswordPolicy = DEFAULT) -> tuple[Contact, ...]:
        """Prepare and set."""
        return self.set(self.prepare(candidate, policy=policy))

    def give(self, *, phc: str = "", typed: str = "", must_change: bool = False) -> None:
        """A first password: imported as a hash, or temporary."""
        new = self.passwords.imported(phc) if phc else self.passwords.first(typed)
        with self.database.begin() as transaction:
            self.passwords.first_password(transaction, self.jane.id, new, must_change=must_change, now=self.clock.now())
