"""The policy on its page: shown, saved, refused, staged, withdrawn; by its own administrators alone."""

import json
import re

import pytest
from sqlalchemy import select

from app.records.audit.store import events
from app.records.organizations.model import OnFailures, Opening, Profile, Proof, Role, SupportLine
from tests.journeys import behind
from tests.journeys.policy.conftest import desk


def audited(portal, event):
    with portal.base.database.read() as looking:
        found = looking.execute(select(events).where(events.c.event == event).order_by(events.c.id))
        rows = list(found)
    details = [json.loads(row.details) for row in rows]
    assert [row.organization_id for row in rows] == [one["organization"] for one in details]
    return [(row.actor, row.address, one) for row, one in zip(rows, details, strict=True)]


def test_what_holds_stands_in_the_form_and_every_departure_beside_its_setting(ada):
    assert ada.open().status_code == 200
    fields = ada.fields()
    assert (fields["password_min_length"], fields["lockout_on_failures"], fields["based_on"]) == ("12", "retry", "0")
    assert (fields["recovery_first"], fields["support_time_zone"]) == ("app, recovery_code, access_code", "UTC")
    assert "authenticate_user" not in fields
    assert ada.text.count("data-departs=") == 2
    ada.open(start="classic")
    assert ada.fields()["password_classes"] == "3"
    assert 'data-departs="email-pin"' in ada.text


def test_saving_what_the_page_shows_changes_nothing(ada):
    answer = ada.post()
    assert answer.status_code == 422
    assert ada.versions() == ()


def test_every_setting_can_be_set_and_is_shown_again(ada):
    typed = {
        "password_min_length": "16",
        "password_max_length": "128",
        "password_classes": "3",
        "password_history": "9",
        "password_min_age_hours": "24",
        "password_max_age_days": "90",
        "password_min_strength": "3",
        "password_context_words": "acme, anvil",
        "lockout_on_failures": "lock",
        "lockout_after": "6",
        "lockout_minutes": "0",
        "recovery_first": "recovery_code, app",
        "recovery_second": "email, sms",
        "pin_sms_digits": "7",
        "pin_email_digits": "7",
        "pin_sms_minutes": "4",
        "pin_email_minutes": "9",
        "pin_tries": "4",
        "session_idle_minutes": "10",
        "session_hours": "4",
        "sms_countries": "de, at",
        "support_time_zone": "Europe/Berlin",
        "support_openings_0": "08:00-12:00, 13:00-17:00",
        "support_openings_6": "10:00-24:00",
        "support_closed_on": "2026-12-25",
        "support_lines_0_country": "de",
        "support_lines_0_phone": "+49 30 5550",
        "support_lines_0_note": "dial 0 first",
        "support_lines_1_email": "help@example.org",
        "authenticate_user": "true",
    }
    answer = ada.post(**typed)
    assert answer.status_code == 303, answer.text
    (version,) = ada.versions()
    policy = version.policy
    assert (policy.password.min_length, policy.password.context_words) == (16, ("acme", "anvil"))
    assert (policy.lockout.on_failures, policy.lockout.minutes) == (OnFailures.LOCK, 0)
    assert policy.recovery.first == (Proof.RECOVERY_CODE, Proof.APP)
    assert policy.sms_countries == ("DE", "AT")
    assert policy.support.openings == (
        Opening(0, "08:00", "12:00"),
        Opening(0, "13:00", "17:00"),
        Opening(6, "10:00", "24:00"),
    )
    assert policy.support.lines == (
        SupportLine("DE", "+49 30 5550", "dial 0 first", ""),
        SupportLine("", "", "", "help@example.org"),
    )
    ada.browser.get(answer.location)
    assert 'role="status"' in ada.text
    shown = ada.fields()
    assert {name: shown[name] for name in typed} == {
        **typed,
        "sms_countries": "DE, AT",
        "support_lines_0_country": "DE",
    }
    assert ada.post().status_code == 422  # nothing differs
    ((actor, address, details),) = audited(ada.portal, "policy_changed")
    assert (actor, address, details["version"]) == ("ada", "192.0.2.10", 1)
    assert details["changes"]["password.min_length"] == ["12", "16"]
    assert set(details["changes"]) == {key for key in details["changes"] if key != "profile"}


def test_all_that_is_wrong_is_said_at_its_field_and_everything_typed_stays(ada):
    typed = {
        "password_min_length": "7",
        "password_history": "many",
        "lockout_after": "",
        "recovery_first": "",
        "sms_countries": "Germany",
        "support_openings_2": "17:00-08:00",
        "support_lines_0_note": "nobody",
        "support_closed_on": "Christmas",
        "session_hours": "23",
    }
    answer = ada.post(**typed)
    assert answer.status_code == 422
    wrong = {
        "password_min_length",
        "password_history",
        "lockout_after",
        "recovery_first",
        "sms_countries",
        "support_openings",
        "support_lines",
        "support_closed_on",
    }
    assert {name for name in [*ada.fields(), *wrong] if f'id="{name}-error"' in answer.text} == wrong
    shown = ada.fields()
    assert {name: shown[name] for name in typed} == typed
    assert ada.versions() == ()


def test_a_profile_is_a_starting_point_that_keeps_what_only_the_organization_knows(ada):
    assert (
        ada.post(sms_countries="DE", password_min_length="20", support_lines_0_email="h@example.org").status_code == 303
    )
    ada.open(start="classic")
    assert ada.post(password_history="10").status_code == 303
    policy = ada.versions()[0].policy
    assert (policy.profile, policy.password.classes, policy.password.history) == (Profile.CLASSIC, 3, 10)
    assert (policy.sms_countries, policy.support.lines[0].email) == (("DE",), "h@example.org")
    assert policy.password.min_length == 12


def test_a_sole_factor_raises_the_least_length_and_says_so(ada):
    answer = ada.post("/admin/policy/preview", authenticate_user="true")
    assert answer.status_code == 200
    assert ada.fields()["password_min_length"] == "15"
    assert ada.post().status_code == 303
    assert ada.versions()[0].policy.password.min_length == 15
    ada.open()
    answer = ada.post(password_min_length="14")
    assert 'id="password_min_length-error"' in answer.text


def test_a_preview_saves_nothing(ada):
    answer = ada.post("/admin/policy/preview", password_min_length="20")
    assert (answer.status_code, ada.versions()) == (200, ())
    assert "data-preview" in answer.text
    assert audited(ada.portal, "policy_changed") == []


def test_saving_needs_a_fresh_proof_and_keeps_what_was_typed(ada):
    ada.portal.base.clock.sleep(301)
    ada.open()
    answer = ada.post(password_min_length="20")
    assert answer.status_code == 409
    assert (ada.fields()["password_min_length"], ada.versions()) == ("20", ())
    assert 'href="/step-up"' in answer.text
    other = ada.browser.page
    ada.browser.get("/step-up")
    assert ada.browser.post("/step-up", code=ada.portal.code("ada")).status_code == 303
    ada.browser.page = other
    assert ada.post().status_code == 303
    assert ada.versions()[0].policy.password.min_length == 20


def test_the_second_of_two_administrators_gets_both_versions_and_loses_nothing(ada):
    bea = desk(ada.portal, "bea")
    assert bea.post(password_min_length="20", session_hours="4").status_code == 303
    answer = ada.post(password_min_length="24", password_history="9")
    assert answer.status_code == 409
    assert "data-theirs" in answer.text
    assert len(ada.versions()) == 1
    shown = ada.fields()
    assert (shown["password_min_length"], shown["password_history"], shown["session_hours"]) == ("24", "9", "4")
    assert ada.post().status_code == 303
    policy = ada.versions()[0].policy
    assert (policy.password.min_length, policy.password.history, policy.session.hours) == (24, 9, 4)


def test_the_other_administrators_are_told_by_e_mail_and_nobody_else(ada):
    portal = ada.portal
    others = [portal.add("bea", phone="+491700000002", email="bea@example.org", role=Role.ADMINISTRATOR)]
    portal.add("sam", email="sam@example.org", role=Role.SUPPORT)
    portal.add("far", email="far@example.org", role=Role.ADMINISTRATOR, home="other")
    assert ada.post(password_min_length="20").status_code == 303
    queued = behind.queued(portal, "notice_policy_changed")
    assert [(row["person_id"], row["channel"]) for row in queued] == [(others[0].id, "email")]
    portal.deliver()
    letter = portal.mailbox.to("bea@example.org")[-1].text
    assert "ada" in letter
    assert "http://localhost" in letter


def test_a_day_stages_a_policy_which_can_be_replaced_and_withdrawn(ada):
    answer = ada.post(password_min_length="20", holds_from="2026-12-24")
    assert answer.status_code == 303, answer.text
    (staged,) = ada.versions()
    assert staged.holds_from > ada.portal.base.clock.now()
    ada.browser.get(answer.location)
    assert 'data-staged="1"' in ada.text
    assert ada.fields()["password_min_length"] == "12"
    ada.open(start="staged")
    assert (ada.fields()["password_min_length"], ada.fields()["holds_from"]) == ("20", "2026-12-24")
    assert ada.post(holds_from="2027-01-01", password_min_length="22").status_code == 303
    newest, withdrawal, first = ada.versions()
    # or the first would hold from its day until the second's
    assert (withdrawal.policy.password.min_length, withdrawal.holds_from) == (12, withdrawal.made_at)
    assert (newest.policy.password.min_length, first.number) == (22, 1)
    ada.open()
    assert (
        ada.browser.post(
            "/admin/policy/withdraw", organization=ada.organization_id, based_on=str(newest.number)
        ).status_code
        == 303
    )
    assert ada.versions()[0].policy.password.min_length == 12
    ada.open()
    assert "data-staged" not in ada.text
    shown = re.findall(r'data-version="(\d)" data-standing="(\w+)"', ada.text)
    assert shown == [("4", "holds"), ("3", "withdrawn"), ("2", "replaced"), ("1", "withdrawn")]
    assert ada.text.count("Withdrawn: it was to hold from") == 2
    again = ada.browser.post("/admin/policy/withdraw", organization=ada.organization_id, based_on="4")
    assert again.status_code == 409


@pytest.mark.parametrize("day", ["yesterday", "2020-01-01", "2026-09-21", "2030-01-01", "9999-12-31"])
def test_a_day_that_is_none_or_too_far_is_refused(ada, day):
    answer = ada.post(password_min_length="20", holds_from=day)
    assert (answer.status_code, ada.versions()) == (422, ())
    assert 'id="holds_from-error"' in answer.text
    assert ada.fields()["holds_from"] == day


def test_what_is_not_theirs_is_not_there(ada):
    """Nobody reads, saves, previews, exports or withdraws the policy of another organization by its id."""
    far = desk(ada.portal, "far", home="other")
    assert far.post(password_min_length="30", holds_from="2026-12-24").status_code == 303
    theirs = far.organization_id
    assert ada.browser.get(f"/admin/policy?organization={theirs}").status_code == 404
    assert ada.browser.get("/admin/policy?organization=x").status_code == 404
    ada.open()
    fields = {**ada.fields(), "organization": theirs, "based_on": "1"}
    for path in ("/admin/policy", "/admin/policy/preview", "/admin/policy/stranded", "/admin/policy/withdraw"):
        assert ada.browser.post(path, **fields).status_code == 404, path
    assert [version.number for version in far.versions()] == [1]


@pytest.mark.parametrize("role", [Role.MEMBER, Role.SUPPORT])
def test_it_is_for_administrators_alone(one_portal, role):
    sam = desk(one_portal, "sam", role=role)
    assert sam.open().status_code == 403
    for path in ("/admin/policy", "/admin/policy/preview", "/admin/policy/stranded", "/admin/policy/withdraw"):
        sam.browser.page = None
        assert sam.browser.post(path, organization=sam.organization_id, password_min_length="20").status_code == 403
    assert sam.versions() == ()


def test_an_administrator_of_two_organizations_chooses(ada):
    far = desk(ada.portal, "far", home="other")
    from app.records.organizations import store

    with ada.portal.base.database.begin() as transaction:
        ada_id = transaction.execute(select(store.memberships.c.person_id).order_by("person_id")).first()[0]
        store.join(transaction, ada_id, far.organization_id, Role.ADMINISTRATOR, is_primary=False)
    ada.browser.get("/admin/policy")
    assert f'value="{ada.organization_id}"' in ada.text
    assert ada.browser.get(f"/admin/policy?organization={far.organization_id}").status_code == 200
    assert ada.post(password_min_length="20").status_code == 303
    assert [len(one.versions()) for one in (ada, far)] == [0, 1]
