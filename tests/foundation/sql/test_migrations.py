"""Bringing a database to the present schema, on both kinds."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Boolean, Integer, MetaData, Table, inspect, select, text
from sqlalchemy.exc import IntegrityError

import app
from app.factors.totp import store as totp
from app.factors.totp.model import AppState
from app.foundation.refusals import StoreAway
from app.foundation.sql import Database, metadata
from app.foundation.sql.migrations import FOLDER, NotMigrated, at_head, configuration, current, head, migrate
from app.records.audit import store as audit
from app.records.people import store as people
from app.records.people.model import Status
from tests.conftest import create_tables

ROOT = Path(app.__file__).parents[1]
_MIGRATE = """
import sys
from app.foundation.sql import Database
from app.foundation.sql.migrations import migrate
sys.stdin.readline()
database = Database(sys.argv[1])
print(migrate(database))
database.close()
"""


@pytest.fixture
def database(empty_database_url):
    opened = Database(empty_database_url)
    yield opened
    opened.close()


def test_an_empty_database_is_brought_to_the_head_and_stays_there(database):
    assert current(database) == ""
    assert not at_head(database)
    assert migrate(database) is True
    assert current(database) == head()
    assert at_head(database)
    assert migrate(database) is False


def test_the_migrations_make_exactly_what_the_stores_declare(database, tmp_path):
    create_tables(f"sqlite:///{tmp_path / 'every_store_is_imported.sqlite'}")
    migrate(database)
    with database.engine.connect() as connection:
        # Alembic takes every empty default of SQLite for another one
        options = {"compare_type": True, "compare_server_default": not database.is_sqlite}
        differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert differences == []


# what the stores read as one of a few words
_WORDS = {
    ("people", "status"): "active",
    ("contacts", "channel"): "sms",
    ("totp_apps", "state"): "active",
}


# no release could set another profile than the standard one, and policies say it now
_GONE = {("organizations", "profile")}


def tables_of(database):
    found = MetaData()
    found.reflect(database.engine)
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def filled(table, number):
    """A row of a table that refers to the rows of the same number."""

    def value(column):
        if column.name == "removed_at":
            return None
        if isinstance(column.type, Boolean):
            return bool(number % 2)
        if isinstance(column.type, Integer):
            return number
        return _WORDS.get((table.name, column.name), f"row {number}")

    return {column.name: value(column) for column in table.columns}


def rows_of(database, tables):
    with database.read() as looking:
        return {table.name: sorted(looking.execute(select(*_staying(table))).all(), key=repr) for table in tables}


def _staying(table):
    return [column for column in table.columns if (table.name, column.name) not in _GONE]


@pytest.fixture
def of_the_first_release(database):
    """A database of revision 0001 with three rows in each of its tables."""
    return filled_at("0001", database)


def filled_at(revision, database):
    """A database of a revision with three rows in each of its tables."""
    made = configuration()
    with database.engine.begin() as connection:
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
    tables = tables_of(database)
    with database.begin() as transaction:
        for table in tables:
            transaction.execute(table.insert(), [filled(table, number) for number in (1, 2, 3)])
    return database


def test_what_was_sealed_before_events_named_an_organization_stays_as_it_was_sealed(database):
    filled_at("0002", database)
    with database.begin() as transaction:
        transaction.execute(text("UPDATE audit_seals SET upto = 2"))
    migrate(database)
    with database.read() as looking:
        found = {one.id: one.organization_id for one in audit.stored(looking, [1, 2, 3])}
    assert found == {1: None, 2: None, 3: "row 3"}


def test_what_a_database_of_the_first_release_held_is_all_there_after_the_migrations(of_the_first_release):
    database = of_the_first_release
    tables = tables_of(database)
    before = rows_of(database, tables)
    assert {"people", "contacts", "totp_apps", "outbox"} <= set(before)
    assert {len(rows) for rows in before.values()} == {3}
    assert migrate(database) is True
    assert rows_of(database, tables) == before
    with database.read() as looking:
        person, (contact,), (bound,), (happened,) = (
            people.get(looking, 2),
            people.contacts_of(looking, 2),
            totp.of_person(looking, 2),
            audit.stored(looking, [2]),
        )
    assert person is not None
    assert (person.user_id, person.status, person.recovered_at) == ("row 2", Status.ACTIVE, None)
    assert (contact.usable(3), contact.last_used_at, contact.pending_until) == (True, None, None)
    assert (bound.state, bound.seed, bound.off_at, bound.mark) == (AppState.ACTIVE, "row 2", None, None)
    assert (happened.person_id, happened.organization_id) == (2, "row 2")


def test_a_database_of_the_first_release_has_the_indexes_and_constraints_of_today(of_the_first_release):
    database = of_the_first_release
    migrate(database)
    found = {table.name: table for table in tables_of(database)}
    for name, table in found.items():
        assert {index.name for index in table.indexes} == {index.name for index in metadata.tables[name].indexes}
    apps: Table = found["totp_apps"]
    with pytest.raises(IntegrityError), database.begin() as transaction:
        transaction.execute(apps.insert(), {**filled(apps, 4), "person_id": 9})
    with database.begin() as transaction:
        transaction.execute(apps.update().where(apps.c.person_id == 1).values(mark="one seed"))
    with pytest.raises(IntegrityError), database.begin() as transaction:
        transaction.execute(apps.update().where(apps.c.person_id == 2).values(mark="one seed"))


def test_eight_processes_that_migrate_at_once_all_succeed(empty_database_url):
    command = [sys.executable, "-c", _MIGRATE, empty_database_url]
    processes = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8
    assert sorted(said) == ["False"] * 7 + ["True"]


def test_a_database_of_a_later_version_is_refused(database):
    migrate(database)
    with database.begin() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotMigrated, match="9999"):
        migrate(database)
    assert current(database) == "9999"


def test_a_migration_that_fails_leaves_everything_as_it_was(database):
    with database.begin() as transaction:
        transaction.execute(text("CREATE TABLE totp_apps (id INTEGER)"))  # in the way of one of the last tables
    with pytest.raises(NotMigrated, match="totp_apps"):
        migrate(database)
    assert current(database) == ""
    with database.read() as looking:
        assert inspect(looking).get_table_names() == ["totp_apps"]


def test_what_refers_to_nothing_is_refused_after_a_migration_too(database):
    migrate(database)
    with pytest.raises(IntegrityError), database.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO memberships (person_id, organization_id, role, is_primary) VALUES (7, 'x', 'member', true)"
            )
        )


def test_looking_at_a_database_that_is_not_there_does_not_make_it(tmp_path):
    path = tmp_path / "none.sqlite"
    looked = Database(f"sqlite:///{path}")
    assert current(looked) == ""
    looked.close()
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_does_not_answer_is_said_to_be_away(tmp_path):
    away = Database(f"postgresql+psycopg://app@/none?host={tmp_path}")
    with pytest.raises(StoreAway):
        migrate(away)
    nowhere = Database(f"sqlite:///{tmp_path / 'none' / 'keyturn.sqlite'}")
    with pytest.raises(StoreAway):
        migrate(nowhere)


def test_there_is_one_line_of_migrations_numbered_without_a_gap():
    scripts = ScriptDirectory.from_config(configuration())
    assert scripts.get_heads() == [head()]
    revisions = sorted(script.revision for script in scripts.walk_revisions())
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]
    names = sorted(path.name for path in (FOLDER / "versions").glob("*.py"))
    assert [name[:4] for name in names] == revisions


def test_no_migration_depends_on_what_the_stores_declare_today():
    for path in (FOLDER / "versions").glob("*.py"):
        assert not re.search(r"^(from|import) app\b", path.read_text(), re.MULTILINE), path.name
