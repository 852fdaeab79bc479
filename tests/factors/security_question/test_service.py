"""Keeping and checking answers: one slow hash a try, whoever is asked."""

from dataclasses import replace

import pytest

from app.factors.security_question.model import WAITING
from app.factors.security_question.service import SecurityAnswers
from app.foundation.refusals import Code, Wrong
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.slowhash import SlowHasher
from tests.cast import add_person
from tests.hands import START

OWN = "Where did we two meet?"


@pytest.fixture
def hasher(chance):
    made = SlowHasher(memory_kib=64, passes=1, slots=1, queue=8, chance=chance)
    yield made
    made.close()


@pytest.fixture
def answers(database, hasher, keyring):
    return SecurityAnswers(database, hasher, keyring)


@pytest.fixture
def jane(database, chance):
    with database.begin() as transaction:
        return add_person(transaction, "jane", chance)


def prepared(answers, person, answer="Under the old oak", question=OWN):
    return answers.prepare(person_id=person.id, user_id=person.user_id, question=question, asked="", answer=answer)


def test_an_answer_is_right_however_it_is_written_and_nobody_elses(database, answers, jane):
    with database.begin() as transaction:
        assert answers.set_first(transaction, jane.id, prepared(answers, jane), START)
        found = answers.find(transaction, jane.id)
    assert (found.question, found.own, found.set_at, found.usable(START)) == (OWN, True, START, True)
    assert answers.check(found, answers.shape("under the OLD oak!"))
    assert not answers.check(found, answers.shape("under the old elm"))
    assert not answers.check(replace(found, person_id=jane.id + 1), answers.shape("under the old oak"))
    assert "oak" not in found.hash


def test_each_check_costs_one_slow_hash_whoever_is_asked(database, answers, jane, hasher):
    with database.begin() as transaction:
        answers.set_first(transaction, jane.id, prepared(answers, jane), START)
        found = answers.find(transaction, jane.id)
    for record in (found, None, replace(found, pepper="gone"), replace(found, hash="no hash")):
        before = hasher.done
        answers.check(record, "whatever it is")
        assert hasher.done == before + 1


def test_the_first_answer_is_set_once(database, answers, jane):
    first, second = prepared(answers, jane), prepared(answers, jane, "By the sea shore")
    with database.begin() as transaction:
        assert answers.set_first(transaction, jane.id, first, START)
    with database.begin() as transaction:
        assert not answers.set_first(transaction, jane.id, second, START)
        assert answers.find(transaction, jane.id).hash == first.hash


def test_an_answer_that_replaces_another_waits_a_day(database, answers, jane):
    with database.begin() as transaction:
        assert answers.replace(transaction, jane.id, prepared(answers, jane), START).usable_from == START + WAITING
    with database.begin() as transaction:
        replaced = answers.replace(transaction, jane.id, prepared(answers, jane, "By the sea shore"), START + 5)
        assert answers.find(transaction, jane.id) == replaced
    assert (replaced.usable(START + 4 + WAITING), replaced.usable(START + 5 + WAITING)) == (False, True)


def test_what_was_set_since_a_moment_can_be_forgotten_and_nothing_older(database, answers, jane):
    with database.begin() as transaction:
        answers.set_first(transaction, jane.id, prepared(answers, jane), START)
        assert not answers.roll_back(transaction, jane.id, START + 1)
        assert answers.find(transaction, jane.id) is not None
        assert answers.roll_back(transaction, jane.id, START)
        assert answers.find(transaction, jane.id) is None
        assert not answers.remove(transaction, jane.id)


def test_a_right_answer_moves_to_the_present_key_and_cost(database, answers, jane, chance, keyring):
    with database.begin() as transaction:
        answers.set_first(transaction, jane.id, prepared(answers, jane), START)
        found = answers.find(transaction, jane.id)
    assert found is not None
    answer = answers.shape("under the old oak")
    assert not answers.strengthen(found, answer)
    dearer = SlowHasher(memory_kib=128, passes=1, slots=1, queue=8, chance=chance)
    later = SecurityAnswers(database, dearer, keyring)
    assert later.strengthen(found, answer)
    assert not later.strengthen(found, answer)  # somebody was faster
    with database.read() as looking:
        moved = later.find(looking, jane.id)
    assert moved is not None
    assert later.check(moved, answer)
    assert not later.strengthen(moved, answer)
    dearer.close()


def test_after_a_rotation_an_answer_is_right_by_its_old_key_and_moves_to_the_new_one(database, jane, hasher, chance):
    old, new = MasterKey("old", chance.octets(32)), MasterKey("new", chance.octets(32))
    before = SecurityAnswers(database, hasher, Keyring([old], chance))
    after = SecurityAnswers(database, hasher, Keyring([new, old], chance))
    with database.begin() as transaction:
        before.set_first(transaction, jane.id, prepared(before, jane), START)
        found = before.find(transaction, jane.id)
    assert found is not None
    answer = before.shape("under the old oak")
    assert after.check(found, answer)
    assert after.strengthen(found, answer)
    with database.read() as looking:
        moved = after.find(looking, jane.id)
    assert moved is not None
    assert moved.pepper == "new"


def test_all_that_is_wrong_is_said_at_once_and_costs_no_hash(answers, jane, hasher):
    before = hasher.done
    with pytest.raises(Wrong) as wrong:
        answers.prepare(person_id=jane.id, user_id="jane", question="", asked="", answer="abc")
    named = [(one.field, one.code) for one in (wrong.value, *wrong.value.also)]
    assert named == [("question", Code.MISSING), ("answer", Code.TOO_SHORT)]
    assert hasher.done == before
