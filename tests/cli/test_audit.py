"""The audit log by the command: checked, and handed on."""

import csv
import json
from dataclasses import replace

import pytest

from app import wiring
from app.foundation.settings import load_settings
from app.foundation.sql import Database
from app.records.audit.store import events, seals
from app.records.organizations import store as organizations
from app.records.organizations.model import DEFAULT
from tests.hands import HandClock


@pytest.fixture
def log(either):
    """Three people were made."""
    for name in ("jane", "omar", "ana"):
        either.ok("user", "create", name)
    return either


def with_base(operator, what):
    base = wiring.build_foundation(load_settings(operator.environ), ephemeral_url="redis://127.0.0.1:1")
    try:
        return what(base)
    finally:
        base.hasher.close()
        base.database.close()


def seal(operator):
    return with_base(operator, lambda base: wiring.build_auditing(base).seal())


def change(operator, statement):
    def there(base):
        with base.database.begin() as transaction:
            transaction.execute(statement)

    with_base(operator, there)


def first(operator):
    return json.loads(operator.ok("audit", "export").stdout.splitlines()[0])["id"]


def organization(database):
    with database.read() as looking:
        return organizations.find(looking, DEFAULT)


def test_a_whole_log_is_found_whole_with_its_newest_seal(log):
    assert json.loads(log.ok("audit", "verify", "--json").stdout)["waiting"] == 3
    newest = seal(log)
    said = log.ok("audit", "verify").stdout
    assert "whole: 3 events under 1 seals; 0 not sealed yet" in said
    assert f"newest seal: 1 {newest.chain}" in said


def test_what_was_touched_is_named_and_the_status_is_1(log):
    seal(log)
    number = first(log)
    change(log, events.update().where(events.c.id == number).values(actor="nobody"))
    assert log.refused("audit", "verify") == f"event {number} was edited"
    result = log.run("audit", "verify", "--json")
    assert (result.exit_code, json.loads(result.stdout)["fault"]) == (1, {"kind": "edited", "number": number})
    change(log, events.delete().where(events.c.id == number))
    assert log.refused("audit", "verify") == f"event {number} was removed"


def test_seals_kept_outside_show_a_tail_that_was_cut_off(log, tmp_path):
    outside = tmp_path / "seals"
    log.env["KEYTURN_AUDIT_SEALS_TO"] = str(outside)
    seal(log)
    assert outside.stat().st_mode & 0o777 == 0o600
    log.ok("user", "create", "late")
    last = seal(log)
    assert [line.split()[1] for line in outside.read_text().splitlines()] == ["1", "2"]
    log.ok("audit", "verify", "--seals", str(outside))
    change(log, events.delete().where(events.c.id >= last.first_id))

    change(log, seals.delete().where(seals.c.number == 2))
    log.ok("audit", "verify")
    assert "seal 2, which was kept outside" in log.refused("audit", "verify", "--seals", str(outside))


@pytest.mark.parametrize("content", [b"hello\n", b"x 1 short\n", b"\xff\n"])
def test_a_file_that_holds_no_seals_is_refused_as_such(log, tmp_path, content):
    (tmp_path / "seals").write_bytes(content)
    assert str(tmp_path / "seals") in log.refused("audit", "verify", "--seals", str(tmp_path / "seals"))
    assert "missing" in log.refused("audit", "verify", "--seals", str(tmp_path / "missing"))


def test_the_export_has_every_event_with_its_person(log):
    lines = [json.loads(line) for line in log.ok("audit", "export").stdout.splitlines()]
    assert [(line["event"], line["user_id"], line["actor"]) for line in lines] == [
        ("user_created", name, "operator") for name in ("jane", "omar", "ana")
    ]
    rows = list(csv.DictReader(log.ok("audit", "export", "--format", "csv").stdout.splitlines()))
    assert [row["user_id"] for row in rows] == ["jane", "omar", "ana"]
    home = with_base(log, lambda base: organization(base.database))
    assert {one["organization_id"] for one in [*lines, *rows]} == {home.id}
    assert log.ok("audit", "export", "--since", "2999-01-01").stdout == ""
    assert log.run("audit", "export", "--since", "yesterday").exit_code == 2


def test_no_cell_of_the_export_is_a_formula(log):
    number = first(log)
    change(log, events.update().where(events.c.id == number).values(reason="=HYPERLINK(1)", actor="@x"))
    (row, *_) = csv.DictReader(log.ok("audit", "export", "--format", "csv").stdout.splitlines())
    assert (row["reason"], row["actor"]) == ("'=HYPERLINK(1)", "'@x")


def test_events_are_forgotten_when_they_were_kept_long_enough(log):
    def there(base):
        wiring.build_auditing(base).seal()
        return wiring.build_auditing(replace(base, clock=HandClock(base.clock.now() + 401 * 86_400))).forget()

    assert with_base(log, there) == 3
    database = Database(load_settings(log.environ).database)
    with database.read() as looking:
        assert looking.execute(events.select()).all() == []
    database.close()
