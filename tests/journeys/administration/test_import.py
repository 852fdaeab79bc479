"""Importing people, on both databases."""

import json
import random
import threading
from base64 import b32encode

import pytest

from app.factors.password.model import Form
from app.factors.totp.model import Finding
from app.factors.totp.rules import hotp, step_at
from app.journeys.administration.model import NotDone, Tally
from app.journeys.administration.service import BATCH
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people

SEED = b"a seed of twenty !!!"
JANE = {
    "user_id": "Jane",
    "first_name": "Jane",
    "last_name": "Müller",
    "email": "jane@example.org",
    "phone": "+4915112345678",
    "contacts_verified": True,
}


def person(house, canonical):
    with house.database.read() as looking:
        found = people.find(looking, canonical)
        assert found is not None
        return found


def contacts(house, canonical):
    with house.database.read() as looking:
        return people.contacts_of(looking, person(house, canonical).id)


def record(house, canonical):
    with house.database.read() as looking:
        return house.passwords.find(looking, person(house, canonical).id)


def test_a_row_makes_a_person_with_a_home(house):
    assert house.take(JANE | {"role": "support"}) == Tally(rows=1, created=1)
    jane = person(house, "jane")
    assert (jane.user_id, jane.name, jane.created_at) == ("Jane", "Jane Müller", house.clock.now())
    with house.database.read() as looking:
        (held,) = organizations.memberships_of(looking, jane.id)
    assert (held.organization.name, held.role, held.is_primary) == ("default", Role.SUPPORT, True)
    assert held.proposed_at is None
    assert held.organization.id == jane.home_organization


def test_verified_contacts_count_at_once_and_others_not_at_all(house):
    house.take(JANE, JANE | {"user_id": "omar", "contacts_verified": False})
    now = house.clock.now()
    assert [contact.usable(now) for contact in contacts(house, "jane")] == [True, True]
    assert [contact.confirmed_at for contact in contacts(house, "omar")] == [None, None]


def test_a_password_is_temporary_and_works(house):
    house.take({"user_id": "jane", "password": "eight8 8"})
    kept = record(house, "jane")
    assert kept.must_change
    assert house.passwords.check(kept, "eight8 8")
    assert not house.passwords.check(kept, "eight888")


def test_a_hash_works_at_once_and_need_not_be_changed(house):
    phc = house.hasher.hash(b"correct horse").replace("m=64,t=1", "m=19456,t=2")
    house.take({"user_id": "jane", "password_hash": phc})
    kept = record(house, "jane")
    assert (kept.hash, kept.pepper, kept.form, kept.must_change) == (phc, "", Form.TYPED, False)


def test_a_code_of_an_imported_key_is_right_at_once(house):
    house.take({"user_id": "jane", "totp_secret": b32encode(SEED).decode().lower()})
    now = house.clock.now()
    with house.database.begin() as transaction:
        usable = house.apps.usable(transaction, person(house, "jane").id, now)
        match = house.apps.recognise(usable, hotp(SEED, step_at(now)), now)
        assert house.apps.settle(transaction, match, now).finding is Finding.ACCEPTED


def test_nothing_secret_is_kept_as_it_came(house):
    secret = b32encode(SEED).decode()
    house.take({"user_id": "jane", "password": "a very plain password", "totp_secret": secret})
    kept = repr(house.everything())
    assert "a very plain password" not in kept
    assert secret not in kept
    assert "jane" in kept


def test_good_rows_are_kept_and_bad_ones_told_with_line_and_reason(house):
    first, nobody, lost, last = ({"user_id": name} for name in ("first", "", "x", "last"))
    rows = [json.dumps(row) for row in (first, nobody, lost | {"organization": "acme"}, last)]
    rows.insert(2, "nonsense")
    tally = house.take("\n".join(rows))
    assert tally == Tally(rows=5, created=2, refused=3)
    assert house.reasons == {
        2: "user_id: is missing",
        3: "is not JSON",
        4: "organization: there is no organization 'acme'",
    }
    assert person(house, "first")
    assert person(house, "last")


def test_a_second_run_changes_nothing_and_hashes_nothing(house):
    rows = [JANE | {"password": "temporary password"}, {"user_id": "omar", "totp_secret": b32encode(SEED).decode()}]
    house.take(*rows)
    before, hashes = house.everything(), house.hasher.done
    house.clock.advance(1_000)
    assert house.take(*rows) == Tally(rows=2, existing=2)
    assert house.everything() == before
    assert house.hasher.done == hashes


def test_somebody_who_is_there_is_never_altered(house):
    house.take({"user_id": "jane", "first_name": "Jane"})
    before = house.everything()
    tally = house.take(
        JANE | {"user_id": "JANE", "first_name": "Mallory", "password": "a new password", "role": "administrator"}
    )
    assert tally == Tally(rows=1, existing=1)
    assert house.everything() == before


def test_a_user_id_that_stands_twice_is_told_in_any_spelling_and_in_every_run(house):
    rows = [{"user_id": "jane"}, {"user_id": "omar"}, {"user_id": " JANE "}, {"user_id": "ｊａｎｅ"}]  # noqa: RUF001
    for dry_run in (True, False, False):
        tally = house.take(*rows, dry_run=dry_run)
        assert tally.refused == 2
        assert house.reasons == {
            3: "user_id: stands in line 1 already",
            4: "user_id: stands in line 1 already",
        }


def test_a_bad_row_does_not_take_the_user_id_from_a_good_one(house):
    tally = house.take({"user_id": "jane", "email": "nonsense"}, {"user_id": "jane", "email": "jane@example.org"})
    assert (tally.created, tally.refused) == (1, 1)
    assert [contact.address for contact in contacts(house, "jane")] == ["jane@example.org"]


def test_more_rows_than_a_batch_holds_are_all_made(house):
    count = 2 * BATCH + 7
    rows = [{"user_id": f"person {number}", "email": f"p{number}@example.org"} for number in range(count)]
    rows[BATCH + 3] = {"user_id": "Person 1"}
    assert house.take(*rows) == Tally(rows=count, created=count - 1, refused=1)
    with house.database.read() as looking:
        assert len(list(people.all_user_ids(looking))) == count - 1


def test_a_dry_run_judges_and_writes_nothing(house):
    house.take({"user_id": "jane"})
    before, hashes = house.everything(), house.hasher.done
    rows = [{"user_id": "jane"}, {"user_id": "omar", "password": "temporary password"}, {"user_id": ""}]
    assert house.take(*rows, dry_run=True) == Tally(rows=3, created=1, existing=1, refused=1)
    assert house.everything() == before
    assert house.hasher.done == hashes


def test_csv_is_taken_like_json_lines(house):
    tally = house.take(
        "\ufeffuser_id;first_name;email;contacts_verified;password\r\n"
        "jane;Jane;jane@example.org;yes; spaces count \r\n"
        ';"no, one";;;\r\n'
        "omar;;;;\r\n",
        name="people.csv",
    )
    assert tally == Tally(rows=3, created=2, refused=1)
    assert house.passwords.check(record(house, "jane"), " spaces count ")
    assert contacts(house, "jane")[0].usable(house.clock.now())
    assert record(house, "omar") is None


def test_every_person_made_is_written_down_without_secrets(house):
    house.take(JANE | {"password": "temporary password"})
    with house.database.read() as looking:
        (event,) = audit.of_person(looking, person(house, "jane").id)
    assert (event.event, event.actor, event.outcome, event.reason) == (
        Event.USER_CREATED,
        "operator",
        "success",
        "import",
    )
    assert event.details["with"] == ["phone", "email", "password"]
    assert "temporary password" not in json.dumps(event.details)
    assert "jane@example.org" not in json.dumps(event.details)


def test_two_imports_of_one_file_at_once_make_everybody_once(house):
    rows = [{"user_id": f"person {number}", "phone": f"+49151{number:07d}"} for number in range(600)]
    tallies = []
    imports = [threading.Thread(target=lambda: tallies.append(house.take(*rows))) for _ in range(3)]
    for one in imports:
        one.start()
    for one in imports:
        one.join()
    assert sum(tally.created for tally in tallies) == 600
    assert sum(tally.existing for tally in tallies) == 1_200
    stored = house.everything()
    assert [len(stored[name]) for name in ("people", "contacts", "memberships", "audit_events")] == [600] * 4


def test_an_import_that_is_stopped_keeps_what_it_has_made(house):
    rows = [{"user_id": f"person {number}"} for number in range(BATCH + 100)]
    rows[BATCH + 50] = {"user_id": ""}

    class Stopped(Exception):
        pass

    def stop(_):
        raise Stopped

    import io

    content = "\n".join(map(json.dumps, rows)).encode()
    with pytest.raises(Stopped):
        house.people.import_people(io.BytesIO(content), "people", refused=stop, advanced=lambda _: None)
    with house.database.read() as looking:
        assert len(list(people.all_user_ids(looking))) == BATCH
    assert house.take(content) == Tally(rows=BATCH + 100, created=99, existing=BATCH, refused=1)


def test_any_text_at_all_is_either_taken_and_found_again_or_refused(house):
    draw = random.Random(7)
    rare = [chr(code) for code in (*range(0x20), 0x7F, 0x85, 0x2028, 0xD800, 0xE000, 0xFFFE, 0x10FFFF, 0x202E)]
    alphabet = (
        [chr(draw.randrange(0x20, 0x250)) for _ in range(300)] + ["ﬀ", "ß", "İ", "ﷺ", "\u0301", "👩‍💻", "字"] + rare
    )

    def text():
        return "".join(draw.choices(alphabet, k=draw.randrange(1, 4)))

    rows = [{"user_id": f"{number} {text()}", "first_name": text(), "last_name": text()} for number in range(600)]
    tally = house.take(*rows)
    refused = {bad.line for bad in house.refused}
    assert (tally.created, tally.refused) == (600 - len(refused), len(refused))
    assert 100 < tally.created < 600
    with house.database.read() as looking:
        stored = set(people.all_user_ids(looking))
    assert stored == {row["user_id"].strip() for line, row in enumerate(rows, 1) if line not in refused}


def test_a_file_that_is_no_import_makes_nobody(house):
    before = house.everything()
    with pytest.raises(NotDone):
        house.take("user_id,shoe_size\njane,40\n", name="people.csv")
    assert house.everything() == before
