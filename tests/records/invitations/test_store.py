"""Invitations on both databases: one is alive for each person, and each step of it is taken once."""

import threading

import pytest

from app.foundation.secretbox import fingerprint
from app.records.invitations import store
from app.records.invitations.model import CODE_TRIES, LIFE, Invitation
from app.records.people import store as people
from tests.cast import add_person
from tests.hands import START

DAY = 86_400


@pytest.fixture
def nina(database, chance):
    with database.begin() as transaction:
        return add_person(transaction, "nina", chance, email="nina@example.org", confirmed=False)


def invite(database, person, token="first", reached=""):
    with database.begin() as transaction:
        (mailbox,) = people.contacts_of(transaction, person.id)
        one = Invitation(fingerprint(token), person.id, mailbox.id, "", reached, START + LIFE)
        store.add(transaction, one)
    return one


def at_once(database, deed, threads=8):
    """What each of many transactions at once was answered."""
    gate, answers = threading.Barrier(threads), []

    def press():
        gate.wait()
        with database.begin() as transaction:
            answers.append(deed(transaction))

    running = [threading.Thread(target=press) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return answers


def test_an_invitation_is_found_until_its_time_is_over(database, nina):
    one = invite(database, nina)
    with database.read() as looking:
        assert store.find(looking, one.id, START + LIFE - 1) == one
        assert store.find(looking, one.id, START + LIFE) is None
        assert store.find(looking, "0" * 64, START) is None


def test_a_later_invitation_takes_the_earlier_ones_place(database, nina):
    first, second = invite(database, nina), invite(database, nina, "second")
    with database.read() as looking:
        assert store.find(looking, first.id, START) is None
        assert store.find(looking, second.id, START) == second


def test_of_many_devices_at_once_one_takes_a_step(database, nina):
    one = invite(database, nina, reached="contacts")
    answers = at_once(database, lambda transaction: store.reach(transaction, one.id, "contacts", "app"))
    assert sorted(answers) == [False] * 7 + [True]
    with database.read() as looking:
        found = store.find(looking, one.id, START)
    assert found is not None
    assert found.reached == "app"


def test_of_many_at_once_one_ends_it_and_no_step_follows(database, nina):
    one = invite(database, nina, reached="codes")
    assert at_once(database, lambda transaction: store.end(transaction, one.id, START)).count(True) == 1
    with database.begin() as transaction:
        assert store.find(transaction, one.id, START) is None
        assert store.unfinished(transaction, nina.id) is None
        assert not store.reach(transaction, one.id, "codes", "done")


def test_of_many_codes_at_once_no_more_are_counted_than_there_are_tries(database, nina):
    one = invite(database, nina)
    answers = at_once(database, lambda transaction: store.count_code(transaction, one.id), threads=2 * CODE_TRIES)
    assert answers.count(True) == CODE_TRIES


def test_what_is_forgotten_is_what_was_over_before(database, nina, chance):
    invite(database, nina)
    with database.begin() as transaction:
        assert store.forget(transaction, START + LIFE) == 0
        assert store.unfinished(transaction, nina.id) is not None
        assert store.forget(transaction, START + LIFE + 1) == 1
        assert store.unfinished(transaction, nina.id) is None
