"""The search itself on both kinds of database: order, prefixes beyond ASCII, and rows of the first release."""

import pytest

from app.journeys.support import queries
from app.journeys.support.queries import Prefixes
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from app.records.people.model import search_key
from tests.cast import add_person, organization

_NAMES = ("zoë", "zoe", "Zo", "zoo", "züri", "zz", "zo_e", "zo%e", "你好", "zo你")


@pytest.fixture
def ids(database, chance) -> tuple[str, str]:
    """The ids of the home of all these people, and of another organization where one of them is a guest."""
    with database.begin() as transaction:
        home, other = (organization(transaction, chance, name).id for name in ("default", "other"))
        for name in _NAMES:
            person = add_person(transaction, name, chance, email=f"{search_key(name)[:1]}{len(name)}@example.org")
        organizations.join(transaction, person.id, other, Role.MEMBER, is_primary=False)
    return home, other


def found(database, homes, typed: str, most: int = 50) -> list[str]:
    prefixes = Prefixes(typed, search_key(typed), search_key(typed))
    with database.read() as looking:
        return [one.user_id for one in queries.search(looking, homes, prefixes, most)]


def test_a_prefix_finds_by_code_points_whatever_the_language_of_the_database(database, ids):
    home, other = ids
    # names are kept without accents, User IDs with them; whoever is found by both comes once
    assert found(database, [home], "zo") == ["Zo", "zo%e", "zo_e", "zoe", "zoo", "zoë", "zo你"]
    assert found(database, [home], "zoe") == ["zoe", "zoë"]
    assert found(database, [home], "züri") == ["züri"]
    assert found(database, [home], "zo%") == ["zo%e"]
    assert found(database, [home], "zo_") == ["zo_e"]
    assert found(database, [home], "你") == ["你好"]
    assert found(database, [home], "doe 你") == ["你好"]
    assert set(found(database, [home], "z3@")) == {"zoë", "zoe", "zoo", "zo你"}
    assert found(database, [home], "zo", most=3) == ["Zo", "zo%e", "zo_e"]
    assert found(database, [other], "zo") == ["zo你"]
    assert found(database, [other], "zoe") == []
    assert found(database, [home, other], "zo你") == ["zo你"]


def test_rows_of_the_first_release_get_their_keys_some_at_a_time(database, ids):
    home, _ = ids
    with database.begin() as transaction:
        transaction.execute(people.people.update().values(by_id=None, by_first=None, by_last=None))
        transaction.execute(people.contacts.update().values(by_address=None, home_organization=None))
    assert found(database, [home], "zo") == ["Zo"]  # whole, by the User ID itself
    rounds = 0
    while True:
        with database.begin() as transaction:
            if not people.fill_keys(transaction, 3):
                break
        rounds += 1
    assert rounds == 4
    assert len(found(database, [home], "zo")) == 7
    assert len(found(database, [home], "z3@")) == 4
