"""What a database knows of itself."""

import pytest

from app.foundation.sql import Database, installation
from app.foundation.sql.migrations import migrate


@pytest.fixture
def database(empty_database_url):
    opened = Database(empty_database_url)
    migrate(opened)
    yield opened
    opened.close()


def test_a_database_is_the_demos_only_once_it_was_marked(database):
    with database.begin() as transaction:
        assert not installation.is_demo(transaction)
        installation.mark_demo(transaction)
        installation.mark_demo(transaction)
    with database.read() as looking:
        assert installation.is_demo(looking)


def test_a_new_database_takes_any_keys_and_knows_them_again(database):
    with database.begin() as transaction:
        assert installation.remember_keys(transaction, {"one": "aa"}) == ()
        assert installation.remember_keys(transaction, {"one": "aa"}) == ()
        assert installation.unfit_keys(transaction, {"one": "aa"}) == ()


def test_a_key_may_join_and_an_old_one_may_leave_as_long_as_one_is_known(database):
    with database.begin() as transaction:
        installation.remember_keys(transaction, {"one": "aa"})
        assert installation.remember_keys(transaction, {"two": "bb", "one": "aa"}) == ()
        assert installation.remember_keys(transaction, {"two": "bb"}) == ()


def test_other_keys_than_those_it_was_used_with_are_named_and_not_remembered(database):
    with database.begin() as transaction:
        installation.remember_keys(transaction, {"one": "aa"})
        assert installation.remember_keys(transaction, {"other": "cc"}) == ("one",)
        assert installation.remember_keys(transaction, {"one": "dd"}) == ("one",)
        assert installation.unfit_keys(transaction, {"one": "aa"}) == ()
        assert installation.unfit_keys(transaction, {"other": "cc"}) == ("one",)
