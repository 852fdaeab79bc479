"""Organizations and their policies by the command (product.md section 3)."""

import json

import pytest
from sqlalchemy import select

from app.foundation.settings import load_settings
from app.foundation.sql import Database
from app.records.audit.store import events


@pytest.fixture
def acme(either):
    either.ok("init")
    either.ok("org", "create", "acme")
    return either


def policy(operator, *args):
    return json.loads(operator.ok("org", "policy", "acme", "--json", *args).stdout)


def audited(operator, event):
    database = Database(load_settings(operator.environ).database)
    try:
        with database.read() as looking:
            rows = looking.execute(select(events).where(events.c.event == event).order_by(events.c.id))
            return [(row.actor, json.loads(row.details)) for row in rows]
    finally:
        database.close()


def test_an_organization_is_made_once_and_listed(acme):
    acme.ok("user", "create", "jane", "--organization", "acme")
    assert "already" in acme.refused("org", "create", "acme")
    assert "printable" in acme.refused("org", "create", " ")
    listed = {
        one["name"]: (one["profile"], one["people"]) for one in json.loads(acme.ok("org", "list", "--json").stdout)
    }
    assert listed == {"acme": ("standard", 1), "default": ("standard", 0)}
    ((actor, details),) = audited(acme, "organization_created")
    assert (actor, details["name"]) == ("operator", "acme")


def test_the_contracts_own_example_works_and_says_that_the_least_length_rose(acme):
    said = acme.ok("org", "policy", "acme", "--profile", "standard", "--set", "authenticate_user=true").stdout
    assert "password.min_length is 15 now" in said
    shown = policy(acme)
    assert (shown["settings"]["authenticate_user"], shown["settings"]["password.min_length"]) == ("true", "15")
    assert "sole-password" in {one["key"] for one in shown["departures"]}
    assert "15" in acme.refused("org", "policy", "acme", "--set", "password.min_length=14")


def test_a_profile_sets_all_rules_and_what_is_set_comes_after_it(acme):
    policy(acme, "--set", "session.hours=4", "--set", "sms_countries=DE,AT")
    done = policy(acme, "--profile", "classic", "--set", "password.history=10")
    assert (done["saved"], done["version"]) == (True, 2)
    shown = policy(acme)
    settings = shown["settings"]
    assert (shown["profile"], settings["password.classes"], settings["password.history"]) == ("classic", "3", "10")
    assert (settings["session.hours"], settings["sms_countries"]) == ("8", "DE, AT")
    changed = audited(acme, "policy_changed")[-1]
    assert (changed[0], changed[1]["changes"]["profile"]) == ("operator", ["standard", "classic"])
    assert changed[1]["changes"]["session.hours"] == ["4", "8"]


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_saved(acme):
    said = acme.refused(
        "org",
        "policy",
        "acme",
        "--set",
        "password.history=99",
        "--set",
        "lockout.on_failures=explode",
        "--set",
        "recovery.first=sms",
        "--set",
        "nope=1",
    )
    for part in (
        "password.history: must lie between 0 and 24",
        "lockout.on_failures: must be one of: retry, delay, lock",
        "recovery.first: must be at least one, each once, of: app, recovery_code, access_code",
        "nope: there is no such setting",
    ):
        assert part in said
    assert policy(acme)["versions"] == []
    assert acme.run("org", "policy", "acme", "--set", "x").exit_code == 2
    assert acme.run("org", "policy", "acme", "--from", "2026-12-24").exit_code == 2
    assert "no organization" in acme.refused("org", "policy", "nobody")


def test_a_dry_run_says_whom_it_would_strand_and_changes_nothing(acme):
    acme.ok(
        "user", "create", "jane", "--organization", "acme", "--email", "j@example.org", "--contacts-verified", "--app"
    )
    found = policy(acme, "--set", "recovery.second=sms", "--dry-run")
    assert (found["saved"], found["preview"]["people"], found["preview"]["lose_recovery"]) == (False, 1, 1)
    assert [one["key"] for one in found["changes"]] == ["recovery.second"]
    assert policy(acme)["versions"] == []
    assert "1 could no longer recover" in acme.ok("org", "policy", "acme", "--set", "recovery.second=sms").stdout
    assert policy(acme)["settings"]["recovery.second"] == "sms"


def test_a_policy_may_hold_from_a_day_on(acme):
    assert "within a year" in acme.refused("org", "policy", "acme", "--set", "session.hours=4", "--from", "2020-01-01")
    from datetime import UTC, datetime, timedelta

    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    assert policy(acme, "--set", "session.hours=4", "--from", day)["saved"]
    shown = policy(acme)
    assert (shown["settings"]["session.hours"], shown["staged"]["version"]) == ("8", 1)
    assert "staged" in acme.ok("org", "policy", "acme").stdout


def test_what_holds_already_is_not_saved_again(acme):
    assert not policy(acme, "--set", "session.hours=8")["saved"]
    assert "nothing changes" in acme.ok("org", "policy", "acme", "--set", "session.hours=8").stdout
