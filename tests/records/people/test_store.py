"""People and contacts in SQL, on each kind of database."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.records.people import store
from app.records.people.model import Channel, Contact, Status
from tests.cast import add_person
from tests.hands import START

LITERAL = {"literal_binds": True}


@pytest.fixture
def jane(database, chance):
    with database.begin() as transaction:
        return add_person(transaction, "Jane", chance, phone="+491700000001", email="jane@example.org")


def test_a_person_is_found_by_the_canonical_id_alone_and_comes_back_whole(database, jane):
    with database.read() as looking:
        assert store.find(looking, "jane") == jane
        assert store.get(looking, jane.id) == jane
        for other in ("Jane", "JANE", "jan", "jane ", "", "j%", "jan_"):
            assert store.find(looking, other) is None
        assert store.get(looking, 0) is None


def test_two_spellings_of_one_id_cannot_be_two_people(database, jane, chance):
    with pytest.raises(IntegrityError), database.begin() as transaction:
        add_person(transaction, "\uff2a\uff21\uff2e\uff25", chance)


def test_a_stamp_is_replaced_once_and_only_for_the_active(database, jane):
    with database.begin() as transaction:
        assert not store.restamp(transaction, jane.id, "f" * 32, "1" * 32)
        assert store.restamp(transaction, jane.id, jane.stamp, "1" * 32)
        assert not store.restamp(transaction, jane.id, jane.stamp, "2" * 32)
        store.set_status(transaction, jane.id, Status.INACTIVE)
        assert not store.restamp(transaction, jane.id, "1" * 32, "3" * 32)
    with database.read() as looking:
        after = store.get(looking, jane.id)
    assert after is not None
    assert (after.stamp, after.status) == ("1" * 32, Status.INACTIVE)


def test_contacts_come_phones_first_each_kind_in_its_order_without_removed_ones(database, jane):
    def add(name: str, channel: Channel, position: int, removed_at: int | None = None) -> None:
        new = Contact(name, jane.id, channel, f"{name}@example.org", position, None, START, removed_at)
        store.add_contact(transaction, new, START)

    with database.begin() as transaction:
        add("a-second", Channel.SMS, 1)
        add("b-second", Channel.EMAIL, 2)
        add("c-removed", Channel.SMS, 0, START)
        add("d-between", Channel.EMAIL, 1)
    with database.read() as looking:
        found = store.contacts_of(looking, jane.id)
        assert [contact.channel for contact in found] == [Channel.SMS] * 2 + [Channel.EMAIL] * 3
        assert [contact.position for contact in found] == [0, 1, 0, 1, 2]
        removed = store.contact(looking, "c-removed")
        assert removed is not None
        assert removed.removed_at == START
        assert store.contact(looking, "none") is None
        assert store.contacts_of(looking, jane.id + 1) == ()


def test_which_of_many_ids_are_taken(database, jane, chance):
    with database.begin() as transaction:
        add_person(transaction, "Omar", chance)
    with database.read() as looking:
        assert store.which_exist(looking, ["jane", "Jane", "omar", "ana"]) == {"jane", "omar"}
        assert store.which_exist(looking, []) == set()
        assert list(store.all_user_ids(looking)) == ["Jane", "Omar"]


def test_postgresql_walks_an_index_to_user_ids_that_begin_alike(postgresql_database):
    with postgresql_database.begin() as transaction:
        transaction.execute(text("SET LOCAL enable_seqscan = off"))  # in an empty table it would be the quickest
        walk = select(store.people.c.id).where(store.begins(transaction, "jane"))
        asked = walk.order_by(store.by_code_points(transaction)).compile(transaction, compile_kwargs=LITERAL)
        plan = "\n".join(row[0] for row in transaction.execute(text(f"EXPLAIN {asked}")))
    assert "ix_people_walk" in plan
    assert "Index Cond" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("prefix", ["a", "a_", "a%", "\u00e4", "\U0010fffd"])
def test_a_beginning_means_itself_and_the_order_is_that_of_code_points(database, chance, prefix):
    known = ["a", "a%b", "a_b", "ab", "a-b", "b", "\u00e4b", "z"]
    with database.begin() as transaction:
        for one in known:
            add_person(transaction, one, chance)
        found = select(store.people.c.canonical_id).where(store.begins(transaction, prefix))
        rows = transaction.execute(found.order_by(store.by_code_points(transaction))).scalars().all()
    assert rows == sorted(one for one in known if one.startswith(prefix))
