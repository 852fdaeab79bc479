"""What the check of the configuration shows, and that the documents say the same."""

import re
from dataclasses import fields, replace

import pytest

from app.foundation.secretbox import MasterKey
from app.foundation.settings import ROOT, SECRETS, Settings
from app.foundation.sql import Database
from app.foundation.sql.migrations import migrate
from app.journeys.diagnosis.model import Check, Facts, Level
from app.journeys.diagnosis.rules import deviations, worst
from app.journeys.diagnosis.service import Diagnosis
from app.journeys.policy.rules import SETTINGS
from app.records.organizations import store as organizations
from app.records.organizations.model import PRESETS, STANDARD, Organization, PasswordPolicy, Policy, Profile, Version
from app.records.organizations.rules import ALL_DEPARTURES, departures
from tests.hands import START, HandClock

WORST = Facts(
    secure=False,
    sms=True,
    email=True,
    plain_smtp=True,
    plain_twilio=True,
    security_contact=False,
    policies={
        "acme": replace(
            PRESETS[Profile.CLASSIC],
            password=PasswordPolicy(min_length=15, classes=3, max_age_days=90, min_age_hours=24, min_strength=3),
            authenticate_user=True,
        ),
        "bolt": PRESETS[Profile.CLASSIC],
        "default": STANDARD,
    },
)
BEST = Facts(secure=True, sms=False, email=False, plain_smtp=False, plain_twilio=False, security_contact=True)


@pytest.fixture
def diagnosis(tmp_path, chance):
    settings = Settings(
        state_dir=tmp_path,
        smtp_url="smtp://user:very-secret@127.0.0.1",
        mail_from="keyturn@example.org",
        redis_url="redis://:very-secret@127.0.0.1/0",
        twilio_auth_token="very-secret",
        metrics_token="very-secret",
        secret_keys=(MasterKey("one", b"very-secret" * 3),),
    )
    database = Database(settings.database)
    yield Diagnosis(settings, database, HandClock(), chance)
    database.close()


def test_every_setting_is_shown_and_no_secret(diagnosis):
    shown = diagnosis.effective()
    assert set(shown) == {setting.name.upper() for setting in fields(Settings)} - {"DEMO"}
    assert "very-secret" not in repr(shown)
    assert {name for name, value in shown.items() if value == "(hidden)"} == {
        "SMTP_URL",
        "REDIS_URL",
        "TWILIO_AUTH_TOKEN",
        "METRICS_TOKEN",
        "SECRET_KEYS",
    }
    assert {name for name in SECRETS if shown[name] == ""} == {"DATABASE_URL", "TWILIO_API_KEY_SECRET"}


def test_profiles_are_read_where_there_is_a_database(diagnosis, tmp_path):
    assert diagnosis.profiles() == {}
    assert list(tmp_path.iterdir()) == []
    database = Database(f"sqlite:///{tmp_path / 'keyturn.sqlite'}")
    migrate(database)
    with database.begin() as transaction:
        organizations.add(transaction, Organization("1", "acme", START))
        organizations.add_version(transaction, Version("1", 1, PRESETS[Profile.CLASSIC], START, "operator", START))
    database.close()
    assert diagnosis.profiles() == {"acme": "classic"}
    assert "classic" in {deviation.key for deviation in diagnosis.deviations()}


def test_what_always_departs_is_always_told():
    assert [deviation.key for deviation in deviations(BEST)] == [
        "no-phishing-resistant-option",
        "totp-window",
        "argon2id",
    ]


def test_every_departure_has_its_own_cause():
    told = {deviation.key for deviation in deviations(WORST)} - {deviation.key for deviation in deviations(BEST)}
    assert told == {
        "email-pin",
        "sms-pin",
        "plain-http",
        "plain-smtp",
        "plain-twilio",
        "no-security-contact",
        "classic",
        "composition",
        "strength-rule",
        "password-expiry",
        "password-minimum-age",
        "lock",
        "sole-password",
    }


def test_a_departure_of_policies_is_told_once_with_who_decided_it():
    told = {deviation.key: deviation.sentence for deviation in deviations(WORST)}
    assert told["classic"].endswith("Used by: acme, bolt.")
    assert told["sole-password"].endswith("Used by: acme.")
    assert "default" not in "".join(told.values())


def test_page_command_and_document_have_the_same_departures_of_a_policy():
    text = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
    told = [deviation.key for deviation in deviations(WORST)]
    everything = departures(WORST.policies["acme"])
    assert everything == ALL_DEPARTURES
    headings = re.findall(r"^## `([a-z0-9-]+)`$", text, re.MULTILINE)
    keys = [one.key for one in everything]
    assert [key for key in told if key in keys] == [key for key in headings if key in keys] == keys
    assert {one.key for one in departures(Policy())} == {"email-pin", "sms-pin"}
    known = {*SETTINGS, "profile"}
    assert all(one.setting in known for one in ALL_DEPARTURES)


def test_the_document_explains_every_departure_in_the_same_order_and_no_other():
    text = (ROOT / "docs" / "deviations.md").read_text(encoding="utf-8")
    assert re.findall(r"^## `([a-z0-9-]+)`$", text, re.MULTILINE) == [deviation.key for deviation in deviations(WORST)]


def test_the_worst_check_decides():
    ok, warn, fail = (Check(level.value, level, "") for level in (Level.OK, Level.WARN, Level.FAIL))
    assert worst([]) is Level.OK
    assert worst([ok, warn]) is Level.WARN
    assert worst([ok, fail, warn]) is Level.FAIL
