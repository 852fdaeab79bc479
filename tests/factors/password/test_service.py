"""Where a password becomes a hash: checking, strengthening, judging, and the one list of consequences."""

import base64
import hashlib
import threading
import time
from dataclasses import replace

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text
from structlog.testing import capture_logs

from app.factors.password import store
from app.factors.password.model import Broken, Form, RuleKey
from app.factors.password.rules import Unfit
from app.factors.password.service import Changed
from app.foundation.refusals import Code, OutOfOrder, Refusal, Unavailable, Wrong
from app.foundation.secretbox import MasterKey
from app.records.attempts.model import Door, Factor
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.organizations.model import PasswordPolicy
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Status
from tests.cast import add_person
from tests.factors.password.parts import FIRST, House
from tests.hands import START

THEIRS = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # the weakest that may be imported, nearly


def refusal(work) -> Refusal:
    with pytest.raises(Refusal) as refused:
        work()
    return refused.value


def rules_of(wrong: Refusal) -> list[RuleKey]:
    assert isinstance(wrong, Wrong)
    assert wrong.code is Code.PASSWORD_RULES
    broken = wrong.details["broken"]
    assert isinstance(broken, tuple)
    return [one.rule for one in broken]


# ---- checking


def test_the_right_password_is_right_and_every_other_is_wrong(house: House):
    house.change(FIRST)

    assert house.has(FIRST)
    for other in ("", FIRST.title(), FIRST + " ", " " + FIRST, FIRST[:-1], FIRST[:-1] + "E"):
        assert not house.has(other)


def test_the_last_character_of_256_counts(sqlite_house: House):
    house = sqlite_house
    long = "y" * 255
    house.change(long + "a")

    assert house.has(long + "a")
    assert not house.has(long + "b")
    assert not house.has(long)


def test_a_password_typed_on_another_device_is_the_same(sqlite_house: House):
    house = sqlite_house
    house.change("caf\u00e9 au lait \u2615")

    assert house.has("cafe\u0301\u00a0au lait \u2615")
    assert not house.has("cafe au lait \u2615")
    assert not house.has("\uff43af\u00e9 au lait \u2615")


MALFORMED = ("", "\0", "\ud800", "x" * 1025, "a" + "\u0301" * 131_072, "tab\t", "\U0001f3c6" * 300)


@pytest.mark.parametrize("typed", [FIRST, "wrong", *MALFORMED])
@pytest.mark.parametrize("known", [True, False])
def test_exactly_one_slow_hash_whoever_is_asked_for_and_whatever_is_typed(sqlite_house: House, known, typed):
    house = sqlite_house
    house.change(FIRST)
    record = house.record if known else None
    before, start = house.hasher.done, time.process_time()

    right = house.passwords.check(record, typed)

    assert time.process_time() - start < 0.1
    assert right == (known and typed == FIRST)
    assert house.hasher.done - before == 1


def test_a_busy_hasher_refuses_known_and_unknown_alike(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    record = house.record
    house.hasher.close()

    for asked in (record, None):
        refused = refusal(lambda asked=asked: house.passwords.check(asked, FIRST))
        assert isinstance(refused, Unavailable)
        assert (refused.code, refused.retry_after > 0) == (Code.HASHER_BUSY, True)


# ---- the pepper


def test_the_hash_from_the_database_alone_fits_no_password(sqlite_house: House):
    """P-14: who steals the database without the keyring cannot even try."""
    house = sqlite_house
    house.change(FIRST)
    stolen = house.record.hash

    assert not house.hasher.verify(stolen, FIRST.encode())
    house.build(keys=(MasterKey("second", b"another key of thirty-two bytes!"),))
    assert not house.has(FIRST)


def test_after_a_rotation_old_hashes_fit_and_become_new_at_the_next_sign_in(house: House):
    house.change(FIRST)
    old, new = MasterKey("old", bytes(range(32))), MasterKey("new", bytes(range(32, 64)))
    house.build(keys=(old,))
    house.change("another password for jane")
    house.build(keys=(new, old))
    record = house.record

    assert record.pepper == "old"
    assert house.has("another password for jane")
    assert house.passwords.strengthen(house.jane.id, record, "another password for jane")
    assert house.record.pepper == "new"
    assert house.has("another password for jane")
    with house.database.read() as looking:
        assert store.keys(looking) == {"new", "old", "second"}  # the history still needs the older ones
    assert rules_of(refusal(lambda: house.prepare("another password for jane"))) == [RuleKey.CURRENT]


def test_where_the_peppers_key_is_gone_nothing_fits_and_the_work_is_the_same(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    house.build(keys=(MasterKey("other", bytes(range(32))),))
    before = house.hasher.done

    with capture_logs() as logged:
        assert not house.has(FIRST)

    assert house.hasher.done - before == 1
    assert logged == [{"event": "pepper_key_missing", "key": "second", "log_level": "error"}]
    house.change("a new one is no trouble")  # whose history is unreadable too
    assert house.has("a new one is no trouble")


# ---- strengthening


def test_raised_parameters_reach_a_password_at_the_next_sign_in(house: House):
    house.change(FIRST)
    house.build(memory_kib=128, passes=2)
    record, stamp, remembered = house.record, house.person.stamp, house.history

    assert house.has(FIRST)
    assert house.passwords.strengthen(house.jane.id, record, FIRST)
    assert house.record.hash.startswith("$argon2id$v=19$m=128,t=2,p=1$")
    assert house.has(FIRST)
    assert not house.passwords.strengthen(house.jane.id, house.record, FIRST)
    assert replace(house.record, hash=record.hash) == record
    assert (house.person.stamp, house.history) == (stamp, remembered)  # the password is the same: nobody is signed out
    assert rules_of(refusal(lambda: house.prepare(FIRST))) == [RuleKey.CURRENT]


def test_a_hash_that_is_as_it_should_be_costs_nothing(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    before = house.hasher.done

    assert not house.passwords.strengthen(house.jane.id, house.record, FIRST)
    assert house.hasher.done == before


def test_a_slow_sign_in_does_not_bring_an_old_password_back(house: House):
    """Strengthening writes only over the very hash that was checked."""
    house.change(FIRST)
    checked = house.record
    house.change("another password for jane")
    house.build(memory_kib=128)

    assert not house.passwords.strengthen(house.jane.id, checked, FIRST)
    assert house.has("another password for jane")
    assert not house.has(FIRST)


def test_a_sign_in_does_not_fail_because_there_is_no_time_to_strengthen(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    house.build(memory_kib=128)
    record = house.record
    house.hasher.close()

    assert not house.passwords.strengthen(house.jane.id, record, FIRST)
    assert house.record == record


# ---- imports


def test_an_imported_hash_works_at_once_and_is_strengthened_at_the_first_sign_in(house: House):
    house.give(phc=THEIRS.hash(FIRST))
    imported = house.record

    assert (imported.pepper, imported.form, imported.history_salt) == ("", Form.TYPED, "")
    assert house.has(FIRST)
    assert not house.has("wrong")
    assert house.history == ()
    assert house.passwords.strengthen(house.jane.id, imported, FIRST)
    record = house.record
    assert (record.pepper, record.form) == (house.keyring.active, Form.NFC1)
    assert not house.hasher.needs_rehash(record.hash)
    assert house.has(FIRST)
    assert rules_of(refusal(lambda: house.prepare(FIRST))) == [RuleKey.CURRENT]
    assert not house.passwords.strengthen(house.jane.id, record, FIRST)


def test_pbkdf2_from_another_directory_is_taken_too(sqlite_house: House):
    house = sqlite_house
    tag = base64.b64encode(hashlib.pbkdf2_hmac("sha256", FIRST.encode(), b"somesaltsomesalt", 600_000)).decode()
    house.give(phc=f"$pbkdf2-sha256$600000$c29tZXNhbHRzb21lc2FsdA${tag.rstrip('=').replace('+', '.')}")
    before = house.hasher.done

    assert house.has(FIRST)
    assert not house.has("wrong")
    assert house.hasher.done - before == 2
    assert house.passwords.strengthen(house.jane.id, house.record, FIRST)
    assert house.record.hash.startswith("$argon2id$")
    assert house.has(FIRST)


def test_an_imported_hash_is_compared_with_the_text_as_it_was_typed(sqlite_house: House):
    """The directory hashed what came, in whatever form, and it comes from the same devices now."""
    house = sqlite_house
    house.give(phc=THEIRS.hash("cafe\u0301 au lait"))

    assert house.has("cafe\u0301 au lait")
    assert house.passwords.strengthen(house.jane.id, house.record, "cafe\u0301 au lait")
    assert house.has("caf\u00e9 au lait")


def test_what_nobody_can_type_is_not_even_the_empty_password(sqlite_house: House):
    house = sqlite_house
    house.give(phc=THEIRS.hash(""))

    for typed in ("\ud800", "x" * 1025):
        assert not house.has(typed)


def test_a_password_that_no_new_one_could_be_stays_as_it_was_imported(sqlite_house: House):
    house = sqlite_house
    house.give(phc=THEIRS.hash("tab\tin the middle"))

    assert house.has("tab\tin the middle")
    assert not house.passwords.strengthen(house.jane.id, house.record, "tab\tin the middle")
    assert house.has("tab\tin the middle")


@pytest.mark.parametrize("phc", ["", "secret", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"])
def test_a_hash_of_another_scheme_is_not_imported_and_not_repeated(sqlite_house: House, phc):
    with pytest.raises(ValueError, match="allowed scheme") as refused:
        sqlite_house.passwords.imported(phc)
    assert not phc or phc not in str(refused.value)


def test_who_was_imported_and_forgot_recovers_with_two_slow_hashes(house: House):
    house.give(phc=THEIRS.hash(FIRST))
    before = house.hasher.done
    assert rules_of(refusal(lambda: house.prepare(FIRST))) == [RuleKey.CURRENT]
    assert house.hasher.done - before == 1

    house.change("another password for jane")

    assert house.hasher.done - before == 3
    assert house.has("another password for jane")
    assert house.passwords.strengthen(house.jane.id, house.record, "another password for jane")
    assert rules_of(refusal(lambda: house.prepare("another password for jane"))) == [RuleKey.CURRENT]


def test_a_temporary_password_works_once_hashed_and_owes_a_change(house: House):
    house.give(typed="Temp-9876", must_change=True)

    assert house.has("Temp-9876")
    owed = house.record.change_owed
    assert owed
    assert house.passwords.strengthen(house.jane.id, house.record, "Temp-9876")  # its digest joins the history
    assert house.record.must_change
    house.change(FIRST)
    owed = house.record.change_owed
    assert not owed
    assert not house.has("Temp-9876")


@pytest.mark.parametrize(
    ("typed", "code"), [("7 chars", "too_short"), ("x" * 1025, "too_long"), ("tab\tabcdef", "bad_characters")]
)
def test_a_temporary_password_has_bounds_too(sqlite_house: House, typed, code):
    with pytest.raises(Unfit) as refused:
        sqlite_house.passwords.first(typed)
    assert refused.value.code == code


def test_a_mark_of_compromise_owes_a_change_until_there_is_one(house: House):
    house.change(FIRST)
    with house.database.begin() as transaction:
        assert store.mark_compromised(transaction, house.jane.id)
        assert not store.mark_compromised(transaction, house.jane.id + 1)

    owed = house.record.change_owed
    assert owed
    assert house.has(FIRST)
    house.change("another password for jane")
    owed = house.record.change_owed
    assert not owed


# ---- judging


@pytest.mark.parametrize(
    ("candidate", "confirm", "expected"),
    [
        ("short", "short", [RuleKey.MIN_LENGTH]),
        ("x" * 257, "x" * 257, [RuleKey.MAX_LENGTH]),
        ("x" * 1025, "x" * 1025, [RuleKey.MAX_LENGTH]),
        ("a" + "\u0301" * 131_072, "", [RuleKey.MAX_LENGTH, RuleKey.CONFIRM]),
        ("password1234", "password1234", [RuleKey.COMMON]),
        ("Keyturn-2026", "Keyturn-2026", [RuleKey.CONTEXT]),
        ("password", "passwort", [RuleKey.MIN_LENGTH, RuleKey.COMMON, RuleKey.CONFIRM]),
    ],
)
def test_a_refused_candidate_costs_no_slow_hash_and_learns_all_its_faults(
    sqlite_house: House, candidate, confirm, expected
):
    house = sqlite_house
    house.change(FIRST)
    before, start = house.hasher.done, time.process_time()

    wrong = refusal(lambda: house.prepare(candidate, confirm=confirm))

    assert time.process_time() - start < 0.1
    assert rules_of(wrong) == expected
    assert wrong.field == "new_password"
    assert wrong.details["strength"]
    assert house.hasher.done == before
    assert house.has(FIRST)


def test_two_different_entries_are_the_second_fields_fault(sqlite_house: House):
    wrong = refusal(lambda: sqlite_house.prepare(FIRST, confirm="something else"))

    assert rules_of(wrong) == [RuleKey.CONFIRM]
    assert wrong.field == "confirm_password"


@pytest.mark.parametrize("candidate", ["a lone \ud800 surrogate", "a nul \0 in the middle", "a tab\tin the middle"])
def test_characters_that_nobody_types_are_refused_by_name(sqlite_house: House, candidate):
    wrong = refusal(lambda: sqlite_house.prepare(candidate))

    assert isinstance(wrong, Wrong)
    assert (wrong.code, wrong.field) == (Code.BAD_CHARACTERS, "new_password")
    assert sqlite_house.hasher.done == 0


def test_neither_refusals_nor_what_was_prepared_show_a_password_or_a_hash(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    wrong = refusal(lambda: house.prepare("password1234"))
    prepared = house.prepare("another password for jane")
    shown = " ".join(
        [repr(wrong), str(wrong), repr(wrong.details), repr(prepared), repr(house.record), repr(house.history)]
    )

    secrets = ["password1234", "another password", "$argon2id", house.history[0].digest, house.person.stamp]
    assert not [one for one in secrets if one in shown]


# ---- history


def test_a_change_costs_two_slow_hashes_however_long_the_history(house: House):
    for number in range(8):
        before = house.hasher.done
        house.change(f"jane's password number {number}")
        assert house.hasher.done - before == 2


def test_the_present_and_the_last_five_passwords_are_refused_and_the_sixth_is_free_again(house: House):
    names = [f"jane's password number {number}" for number in range(7)]
    for name in names:
        house.change(name)

    assert rules_of(refusal(lambda: house.prepare(names[6]))) == [RuleKey.CURRENT]
    for name in names[1:6]:
        before = house.hasher.done
        wrong = refusal(lambda name=name: house.prepare(name))
        assert wrong.details["broken"] == (Broken(RuleKey.HISTORY, {"count": 5}),)
        assert house.hasher.done - before == 1
    assert len(house.history) == 6
    house.change(names[0])
    assert house.has(names[0])
    assert rules_of(refusal(lambda: house.prepare(names[2]))) == [RuleKey.HISTORY]
    assert house.prepare(names[1])


def test_another_spelling_of_a_former_password_is_that_password(sqlite_house: House):
    house = sqlite_house
    house.change("caf\u00e9 au lait ici")
    house.change(FIRST)

    assert rules_of(refusal(lambda: house.prepare("cafe\u0301\u00a0au lait ici"))) == [RuleKey.HISTORY]


def test_without_a_history_only_the_present_password_is_refused(house: House):
    policy = PasswordPolicy(history=0)
    house.change(FIRST, policy=policy)
    house.change("another password for jane", policy=policy)

    assert rules_of(refusal(lambda: house.prepare("another password for jane", policy=policy))) == [RuleKey.CURRENT]
    assert len(house.history) == 1
    house.change(FIRST, policy=policy)


def test_a_shortened_history_holds_at_once(house: House):
    names = [f"jane's password number {number}" for number in range(4)]
    for name in names:
        house.change(name)

    shorter = PasswordPolicy(history=1)
    assert rules_of(refusal(lambda: house.prepare(names[2], policy=shorter))) == [RuleKey.HISTORY]
    assert house.prepare(names[1], policy=shorter)


def test_former_passwords_are_still_known_after_the_parameters_were_raised(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    house.build(memory_kib=128, passes=2)
    house.change("another password for jane")

    assert rules_of(refusal(lambda: house.prepare(FIRST))) == [RuleKey.HISTORY]


def test_a_digest_of_the_history_serves_for_no_sign_in(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    kept = house.history[0]
    raw = house.hasher.raw(FIRST.encode(), house.record.history_salt)

    assert raw.hex() != kept.digest  # keyed: not even the right password shows it without the keyring
    assert house.keyring.mac_hex("password-history", raw) == kept.digest
    assert not house.has(kept.digest)
    assert house.record.history_salt not in house.record.hash


def test_two_people_with_one_password_have_nothing_in_common(house: House):
    house.change(FIRST)
    jane, digest = house.record, house.history[0]
    with house.database.begin() as transaction:
        house.jane = add_person(transaction, "omar", house.chance)
    house.change(FIRST)

    assert house.record.hash != jane.hash
    assert house.record.history_salt != jane.history_salt
    assert house.history[0].digest != digest.digest


# ---- the consequences


def rows(house: House, table: str) -> list[dict[str, object]]:
    with house.database.read() as looking:
        return [dict(row._mapping) for row in looking.execute(text(f"SELECT * FROM {table}"))]


def lock(house: House) -> None:
    """Five wrong passwords."""
    for _ in range(5):
        house.tries.spend(house.tries.subject("jane", house.jane.id), Factor.PASSWORD, Door.SIGN_IN)


def test_everything_follows_from_a_new_password(house: House):
    house.change(FIRST)
    stamp = house.person.stamp
    lock(house)
    house.clock.advance(5)
    prepared = house.prepare("another password for jane")
    before = len(rows(house, "outbox"))

    told = house.set(prepared)

    assert house.has("another password for jane")
    assert not house.has(FIRST)
    assert house.record.changed_at == START + 5
    assert house.person.stamp != stamp
    assert len(house.person.stamp) == 32
    assert len(house.history) == 2
    with house.database.read() as looking:
        standing = house.tries.standing(looking, house.jane.id, Factor.PASSWORD)
        event = audit.of_person(looking, house.jane.id)[0]
    assert not standing.locked(house.clock.now())
    assert [contact.channel for contact in told] == [Channel.SMS, Channel.EMAIL]
    notices = rows(house, "outbox")[before:]
    assert {notice["template"] for notice in notices} == {"notice_password_changed"}
    assert {notice["contact_id"] for notice in notices} == {contact.id for contact in told}
    assert (event.event, event.at, event.actor, event.outcome) == (
        Event.PASSWORD_CHANGED,
        START + 5,
        "self",
        "success",
    )
    assert (event.reason, event.address) == ("recovery", "192.0.2.7")
    assert event.details == {"told": [contact.id for contact in told]}


def test_every_usable_contact_is_told_and_no_other(sqlite_house: House):
    house, now = sqlite_house, START
    with house.database.begin() as transaction:
        for name, confirmed, usable, removed in (
            ("second", now, now, None),
            ("unconfirmed", None, now, None),
            ("waiting", now, now + 1, None),
            ("removed", now, now, now),
        ):
            contact = Contact(name, house.jane.id, Channel.EMAIL, f"{name}@example.org", 1, confirmed, usable, removed)
            people.add_contact(transaction, contact, now)

    told = house.change(FIRST)

    assert [contact.address for contact in told] == ["+4915112345678", "jane@example.org", "second@example.org"]


def test_nothing_happens_where_the_stamp_has_changed_since(house: House):
    house.change(FIRST)
    late = house.prepare("a password that comes late")
    house.change("another password for jane")
    lock(house)
    tables = ("people", "passwords", "password_history", "attempts", "outbox", "audit_events")
    before = [rows(house, table) for table in tables]

    refused = refusal(lambda: house.set(late))

    assert isinstance(refused, OutOfOrder)
    assert refused.code is Code.FLOW_EXPIRED
    assert [rows(house, table) for table in tables] == before


def test_nothing_happens_for_somebody_who_became_inactive(sqlite_house: House):
    house = sqlite_house
    house.change(FIRST)
    prepared = house.prepare("another password for jane")
    with house.database.begin() as transaction:
        people.set_status(transaction, house.jane.id, Status.INACTIVE)

    assert refusal(lambda: house.set(prepared)).code is Code.FLOW_EXPIRED
    assert house.has(FIRST)


def test_what_was_prepared_for_one_person_is_set_for_no_other(sqlite_house: House):
    house = sqlite_house
    prepared = house.prepare(FIRST)
    with house.database.begin() as transaction:
        house.jane = add_person(transaction, "omar", house.chance)

    with pytest.raises(ValueError, match="somebody else"):
        house.set(prepared)


def test_when_the_callers_transaction_fails_nothing_has_happened(house: House):
    house.change(FIRST)
    prepared = house.prepare("another password for jane")
    tables = ("people", "passwords", "password_history", "attempts", "outbox", "audit_events")
    before = [rows(house, table) for table in tables]

    def fail() -> None:
        with house.database.begin() as transaction:
            house.passwords.set_new(
                transaction,
                person=house.person,
                prepared=prepared,
                actor="self",
                address="",
                language="en",
                reason="recovery",
                now=house.clock.now(),
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert [rows(house, table) for table in tables] == before
    assert house.set(prepared)  # and it can still be set


def test_of_twenty_prepared_at_once_one_is_set(house: House):
    house.change(FIRST)
    names = [f"jane's password number {number}" for number in range(20)]
    prepared = [house.prepare(name) for name in names]
    person, barrier = house.person, threading.Barrier(20)
    outcomes: dict[str, object] = {}

    def one(name: str, new) -> None:
        barrier.wait(30)
        try:
            with house.database.begin() as transaction:
                outcomes[name] = house.passwords.set_new(
                    transaction,
                    person=person,
                    prepared=new,
                    actor="self",
                    address="",
                    language="en",
                    reason="recovery",
                    now=house.clock.now(),
                )
        except OutOfOrder as refused:
            outcomes[name] = refused

    threads = [threading.Thread(target=one, args=pair) for pair in zip(names, prepared, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    winners = [name for name, outcome in outcomes.items() if isinstance(outcome, Changed)]
    assert len(outcomes) == 20
    assert len(winners) == 1
    assert house.has(winners[0])
    assert len(house.history) == 2
    assert len(rows(house, "outbox")) == 4  # two contacts, told of the first password and of this one
