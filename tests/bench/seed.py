"""Any number of people, written by SQL alone: everybody has the same password and an app of their own."""

import hashlib
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.factors.password import rules as password_rules
from app.factors.password.model import NewHash
from app.factors.totp import rules as totp
from app.foundation.secretbox import Keyring
from app.foundation.settings import load_settings
from app.records.organizations.model import STANDARD
from app.records.people.model import Person, Status
from app.wiring import build_foundation, build_means

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "another fine long passphrase"
_PURPOSE = "totp-seed"


@dataclass(frozen=True, slots=True)
class Somebody:
    """One of the seeded people, by number from 1."""

    number: int

    @property
    def user_id(self) -> str:
        return f"person{self.number:07d}"

    @property
    def phone(self) -> str:
        return f"+1202{self.number:07d}"

    def code(self) -> str:
        """What the app shows now."""
        return totp.hotp(_seed_of(self.number), totp.step_at(int(time.time())))


def _seed_of(number: int) -> bytes:
    return hashlib.sha1(b"a seed of the benchmark %d" % number).digest()


_NUMBERS = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count) "
_NAME = "lower(hex(randomblob(16)))"
_TABLES = (
    f"""INSERT INTO people (id, user_id, canonical_id, first_name, last_name, status, stamp, language,
            home_organization, created_at, by_id, by_first, by_last)
        SELECT n, printf('person%07d', n), printf('person%07d', n), 'Given', printf('Family%d', n), 'active', {_NAME},
            'en', :organization, :now, printf('person%07d', n), printf('given family%d', n), printf('family%d given', n)
        FROM numbers""",
    """INSERT INTO memberships (person_id, organization_id, role, is_primary)
        SELECT n, :organization, 'member', 1 FROM numbers""",
    f"""INSERT INTO contacts (id, person_id, channel, address, position, confirmed_at, usable_from, created_at,
            home_organization)
        SELECT {_NAME}, n, 'sms', printf('+1202%07d', n), 0, :now, :now, :now, :organization FROM numbers""",
    f"""INSERT INTO contacts (id, person_id, channel, address, position, confirmed_at, usable_from, created_at,
            home_organization, by_address)
        SELECT {_NAME}, n, 'email', printf('person%07d@example.org', n), 0, :now, :now, :now, :organization,
            printf('person%07d@example.org', n) FROM numbers""",
    """INSERT INTO passwords (person_id, hash, pepper, form, changed_at, must_change, compromised, history_salt)
        SELECT n, :hash, :pepper, :form, :now, 0, 0, :history_salt FROM numbers""",
    """INSERT INTO password_history (person_id, digest_key, digest, created_at)
        SELECT n, :digest_key, :digest, :now FROM numbers""",
    """INSERT INTO totp_apps (id, person_id, label, seed, state, drift, last_step, bound_at, usable_from)
        SELECT app_id(n), n, 'Phone', sealed(n), 'active', 0, 0, :now, :now FROM numbers""",
    # what a person leaves behind in a year: these tables are the ones that grow
    """INSERT INTO audit_events (event, at, person_id, organization_id, actor, outcome, reason, address, details)
        SELECT 'sign_in_password_ok', :now + n, n, :organization, 'self', 'success', '', '192.0.2.10', '{}'
        FROM numbers""",
    """INSERT INTO attempts (subject, factor, history)
        SELECT n, 'password', '{"runs":{"sign_in":[0,0]}}' FROM numbers""",
)


def seed(environ: Mapping[str, str], count: int) -> None:
    """Fill the database that ``keyturn init`` made for these settings with so many people."""
    new, keyring = _one_password(environ)
    assert new.remembered
    at = int(time.time()) - 365 * 86_400

    def app_id(number: int) -> str:
        return hashlib.md5(b"%d" % number).hexdigest()

    def sealed(number: int) -> str:
        return keyring.seal(_PURPOSE, _seed_of(number), f"totp_apps:{app_id(number)}:{number}")

    connection = sqlite3.connect(Path(environ["KEYTURN_STATE_DIR"]) / "keyturn.sqlite")
    connection.create_function("app_id", 1, app_id)
    connection.create_function("sealed", 1, sealed)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    (organization,) = connection.execute("SELECT id FROM organizations WHERE name = 'default'").fetchone()
    values = {
        "count": count,
        "now": at,
        "organization": organization,
        "hash": new.hash,
        "pepper": new.pepper,
        "form": new.form.value,
        "history_salt": new.history_salt,
        "digest_key": new.remembered.key,
        "digest": new.remembered.digest,
    }
    with connection:
        for table in _TABLES:
            connection.execute(_NUMBERS + table, values)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _one_password(environ: Mapping[str, str]) -> tuple[NewHash, Keyring]:
    settings = load_settings(environ)
    base = build_foundation(settings, ephemeral_url="unix:///dev/null/no-store")
    person = Person(1, "somebody", "somebody", "", "", Status.ACTIVE, "", "", "", 0)
    try:
        prepared = build_means(base).passwords.prepare(
            STANDARD.password,
            person,
            candidate=PASSWORD,
            confirm=PASSWORD,
            words=password_rules.context_words(user_id="somebody", names=[], emails=[], services=[]),
            record=None,
            history=(),
        )
        return prepared.new, base.keyring
    finally:
        base.hasher.close()
        base.database.close()
