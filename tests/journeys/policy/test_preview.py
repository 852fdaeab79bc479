"""The preview against brute force: every person by the plain rules, one at a time."""

import csv
from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes, sets
from app.factors.totp.store import apps
from app.journeys.policy import rules
from app.journeys.policy.model import Facts
from app.journeys.policy.service import Policies, PolicyMeans
from app.records.delivery.rules import country_of
from app.records.organizations import store as organizations
from app.records.organizations.model import (
    STANDARD,
    Organization,
    PasswordPolicy,
    Policy,
    Proof,
    RecoveryPolicy,
    Role,
    Version,
)
from app.records.organizations.rules import met, strictest
from app.records.people import store as people
from app.records.people.model import Channel, Contact, Person, Status
from tests.hands import START, HandClock
from tests.records.organizations.policies import recoveries

DAY = 86_400
NUMBERS = ("+491701234567", "+436641234567", "+12025550123", "+447700900123", "+499001234567", "+881234567890")
OURS, OTHERS = "0" * 36, ("1" * 36, "2" * 36)
COUNTRIES = ("AT", "DE", "GB", "US")

policies = st.builds(
    Policy,
    recovery=recoveries,
    sms_countries=st.lists(st.sampled_from(COUNTRIES), unique=True, max_size=3).map(tuple),
    password=st.builds(PasswordPolicy, max_age_days=st.sampled_from([0, 30, 90])),
)
moments = st.sampled_from([START - DAY, START, START + 1, START + DAY])
ends = st.none() | st.sampled_from([START - DAY, START, START + DAY])
app_rows = st.tuples(st.sampled_from(["active", "disabled", "locked", "removed"]), moments)
code_rows = st.tuples(moments, ends, ends, st.booleans())  # usable_from, voided_at, serves_until, one is left
contact_rows = st.tuples(
    st.sampled_from([*NUMBERS, "jane@example.org"]), st.booleans(), moments, st.booleans()
)  # address, confirmed, usable_from, removed
persons = st.fixed_dictionaries(
    {
        "status": st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.FROZEN]),
        "waits": st.sampled_from([False, False, False, True]),
        "home": st.booleans(),
        "others": st.lists(st.tuples(st.sampled_from(OTHERS), st.booleans()), max_size=2, unique_by=lambda one: one[0]),
        "password": st.none() | st.tuples(st.sampled_from([0, 29, 30, 31, 90, 91]), st.booleans()),
        "apps": st.lists(app_rows, max_size=2),
        "codes": st.lists(code_rows, max_size=2),
        "contacts": st.lists(contact_rows, max_size=3),
    }
)


def means(database, countries=None):
    stands_on = dict.fromkeys(("chance", "outbox", "staffing"))
    return PolicyMeans(
        database=database,
        clock=HandClock(),
        country_of=country_of,
        countries=countries,
        language="en",
        **stands_on,  # type: ignore[arg-type]
    )


TABLES = (codes, sets, apps, passwords, people.contacts, organizations.memberships, organizations.policies)


def fill(database, several, before, others):
    """People as drawn, in place of those before."""
    with database.begin() as transaction:
        for table in (*TABLES, people.people, organizations.organizations):
            transaction.execute(delete(table))
        for identifier in (OURS, *OTHERS):
            organizations.add(transaction, Organization(identifier, f"of {identifier}", START))
        for identifier, policy in ((OURS, before), *zip(OTHERS, others, strict=True)):
            organizations.add_version(transaction, Version(identifier, 1, policy, START, "operator", START))
        return {number: add(transaction, number, drawn) for number, drawn in enumerate(several)}


def add(transaction, number, drawn):
    name = f"p{number}"
    person = people.add(
        transaction,
        Person(0, name, name, "=Given", name, drawn["status"], "stamp", "en", OURS, START, None),
    ).id
    waits = START if drawn["waits"] else None
    organizations.join(
        transaction, person, OURS, Role.MEMBER, is_primary=drawn["home"] or not drawn["others"], proposed_at=waits
    )
    for place, (identifier, waiting) in enumerate(drawn["others"]):
        organizations.join(
            transaction,
            person,
            identifier,
            Role.MEMBER,
            is_primary=not drawn["home"] and place == 0,
            proposed_at=START if waiting else None,
        )
    if drawn["password"] is not None:
        days, owed = drawn["password"]
        row = {"person_id": person, "hash": "x", "pepper": "", "form": "nfc1", "history_salt": "", "compromised": False}
        transaction.execute(insert(passwords).values(**row, changed_at=START - days * DAY, must_change=owed))
    for place, (state, usable_from) in enumerate(drawn["apps"]):
        row = {"id": f"{name}.{place}", "person_id": person, "label": "x", "seed": "x", "state": state}
        transaction.execute(insert(apps).values(**row, bound_at=START, usable_from=usable_from))
    for place, (usable_from, voided_at, serves_until, left) in enumerate(drawn["codes"]):
        row = {"id": f"{name}.{place}", "person_id": person, "salt": "x", "digest_key": "x", "made_at": START}
        transaction.execute(
            insert(sets).values(**row, usable_from=usable_from, voided_at=voided_at, serves_until=serves_until)
        )
        used = {"set_id": f"{name}.{place}", "digest": "1", "used_at": START}
        transaction.execute(insert(codes), [used, {**used, "digest": "2", "used_at": None if left else START}])
    for place, (address, confirmed, usable_from, removed) in enumerate(drawn["contacts"]):
        channel = Channel.SMS if address.startswith("+") else Channel.EMAIL
        contact = Contact(
            f"{name}.{place}",
            person,
            channel,
            address,
            place,
            START if confirmed else None,
            usable_from,
            START if removed else None,
        )
        people.add_contact(transaction, contact, START)
    return person


def brute(database, person_id, drawn, after, countries):
    """What one person loses, and whether a password is owed at once, by the journeys' own reads of the records."""
    now = START
    with database.read() as looking:
        joined = [one for one in organizations.memberships_of(looking, person_id) if one.proposed_at is None]
        joined.sort(key=lambda one: (not one.is_primary, one.organization.id))
        olds = organizations.policies_of_person(looking, person_id, now)
        each = [
            after if one.organization.id == OURS else organizations.policy_of(looking, one.organization.id, now)
            for one in joined
        ]
        usable = people.usable_contacts(looking, person_id, now)
    facts = Facts(
        password=drawn["password"] is not None,
        app=any(state == "active" and usable_from <= now for state, usable_from in drawn["apps"]),
        signing_app=any(state == "active" for state, _ in drawn["apps"]),
        code=any(left and at <= now and (until is None or until > now) for at, _, until, left in drawn["codes"]),
        signing_code=any(left and voided is None for _, voided, _, left in drawn["codes"]),
        email=any(one.channel is Channel.EMAIL for one in usable),
    )
    where = [country_of(one.address) for one in usable if one.channel is Channel.SMS]
    sms = [rules.gets_sms(several[0], where, countries) for several in (olds, each)]
    has = {Proof.APP: facts.app, Proof.RECOVERY_CODE: facts.code, Proof.EMAIL: facts.email}
    had = [{proof for proof, there in {**has, Proof.SMS: one}.items() if there} for one in sms]
    old, new = (
        replace(strictest(several), recovery=met(several, having))
        for several, having in zip((olds, each), had, strict=True)
    )
    lost = rules.verdict(old, new, facts, sms_before=sms[0], sms_after=sms[1])
    owing = False
    if drawn["password"] is not None and not drawn["password"][1]:
        at = now - drawn["password"][0] * DAY
        owing = rules.expired(new, at, now) and not rules.expired(old, at, now)
    return lost, owing


def compare(database, several, before, after, others, countries):
    ids = fill(database, several, before, others)
    found = Policies(means(database, countries)).preview(Organization(OURS, "ours", START), after)
    expected, owing, counted = {}, 0, 0
    for number, drawn in enumerate(several):
        if drawn["status"] is not Status.ACTIVE or drawn["waits"]:
            continue
        counted += 1
        lost, owes = brute(database, ids[number], drawn, after, countries)
        owing += owes
        if lost.losses:
            expected[ids[number]] = lost
    assert found.stranded == expected
    assert (found.people, found.owing) == (counted, owing)
    assert [one.person_id for one in found.first] == sorted(expected)[:50]


drawn = given(
    st.lists(persons, min_size=1, max_size=12),
    policies,
    policies,
    st.tuples(policies, policies),
    st.sampled_from([None, frozenset(COUNTRIES), frozenset({"DE"})]),
)


@drawn
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_preview_is_what_brute_force_finds(sqlite_database, several, before, after, others, countries):
    compare(sqlite_database, several, before, after, others, countries)


@drawn
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_finds_the_same(postgresql_database, several, before, after, others, countries):
    compare(postgresql_database, several, before, after, others, countries)


# ---- what only the home organization decides


@pytest.mark.parametrize(("home", "stranded"), [(True, 1), (False, 0)])
@pytest.mark.parametrize(
    "after",
    [
        replace(STANDARD, sms_countries=("AT",)),
        replace(STANDARD, recovery=RecoveryPolicy(first=(Proof.ACCESS_CODE,))),
        replace(STANDARD, recovery=RecoveryPolicy(first=(Proof.RECOVERY_CODE,))),
        replace(STANDARD, recovery=RecoveryPolicy(second=(Proof.EMAIL,))),
    ],
    ids=["countries", "access codes alone", "codes alone", "e-mail alone"],
)
def test_no_guest_is_stranded_by_what_only_their_home_decides(sqlite_database, after, home, stranded):
    somebody = {
        "status": Status.ACTIVE,
        "waits": False,
        "home": home,
        "others": [(OTHERS[0], False)],
        "password": (0, False),
        "apps": [("active", START)],
        "codes": [],
        "contacts": [("+491701234567", True, START, False)],
    }
    fill(sqlite_database, [somebody], STANDARD, (STANDARD, STANDARD))
    found = Policies(means(sqlite_database)).preview(Organization(OURS, "ours", START), after)
    assert len(found.stranded) == stranded


# ---- what each rule means


ALL = Facts(password=True, app=True, signing_app=True, code=True, signing_code=True, email=True)


@pytest.mark.parametrize(
    ("first", "second", "facts", "sms", "can"),
    [
        ((Proof.APP,), (Proof.EMAIL,), Facts(app=True, email=True), False, True),
        ((Proof.APP,), (Proof.EMAIL,), Facts(signing_app=True, email=True), False, False),  # it still waits
        ((Proof.APP,), (Proof.EMAIL,), Facts(code=True, email=True), False, False),
        ((Proof.RECOVERY_CODE,), (Proof.SMS,), Facts(code=True, email=True), True, True),
        ((Proof.RECOVERY_CODE,), (Proof.SMS,), Facts(code=True, email=True), False, False),
        # staff would have to give one: that is no way to get in alone
        ((Proof.ACCESS_CODE,), (Proof.SMS, Proof.EMAIL), ALL, True, False),
    ],
)
def test_whoever_has_a_first_and_a_second_proof_can_recover(first, second, facts, sms, can):
    policy = replace(STANDARD, recovery=RecoveryPolicy(first, second))
    assert rules.can_recover(policy, facts, sms=sms) is can


@pytest.mark.parametrize(
    ("facts", "sms", "can"),
    [
        (Facts(password=True, signing_app=True), False, True),
        (Facts(password=True, signing_code=True), False, True),
        (Facts(password=True), True, True),
        (Facts(password=True, email=True), False, False),  # a mailed PIN is good for the password alone
        (Facts(signing_app=True, signing_code=True), True, False),
    ],
)
def test_whoever_has_a_password_and_a_second_factor_can_sign_in(facts, sms, can):
    assert rules.can_sign_in(facts, sms=sms) is can


def test_a_number_without_a_country_never_gets_sms():
    assert not rules.gets_sms(STANDARD, [""], None)
    assert rules.gets_sms(STANDARD, ["", "DE"], None)
    assert not rules.gets_sms(STANDARD, ["DE"], {"AT"})
    assert not rules.gets_sms(replace(STANDARD, sms_countries=("AT",)), ["DE"], None)


# ---- on the page


def strand(portal):
    """Two people whose only second proof is e-mail."""
    return [
        portal.add("omar", email="omar@example.org"),
        portal.add("=cmd", email="cmd@example.org"),
    ]


def test_saving_what_strands_people_needs_their_number_ticked(ada):
    strand(ada.portal)
    answer = ada.post(recovery_second="sms")
    assert (answer.status_code, ada.versions()) == (422, ())
    assert 'data-stranded="omar"' in answer.text
    assert 'name="known" value="2"' in answer.text
    assert ada.post(known="1").status_code == 422
    ada.portal.add("last", email="last@example.org")
    assert ada.post(known="2").status_code == 422  # there is one more meanwhile
    assert ada.post(known="3").status_code == 303
    assert ada.versions()[0].policy.recovery.second == (Proof.SMS,)


def test_a_preview_counts_and_names_them(ada):
    strand(ada.portal)
    answer = ada.post("/admin/policy/preview", recovery_second="sms", password_max_age_days="30")
    for said in ("data-people>3<", "data-recovery>2<", "data-sign-in>0<", "data-owing>0<"):
        assert said in answer.text


def test_the_list_is_saved_as_csv_without_a_formula_and_written_down(ada):
    strand(ada.portal)
    ada.post("/admin/policy/preview", recovery_second="sms")
    answer = ada.post("/admin/policy/stranded")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    rows = list(csv.DictReader(StringIO(answer.text)))
    assert [row["user_id"] for row in rows] == ["omar", "'=cmd"]
    assert (rows[0]["loses"], rows[0]["and_one_of"]) == ("recovery", "phone")
    from tests.journeys.policy.test_page import audited

    ((actor, _, details),) = audited(ada.portal, "policy_preview_exported")
    assert (actor, details["people"]) == ("ada", 2)
    assert ada.post("/admin/policy/stranded", password_min_length="x").status_code == 422


def test_people_of_other_organizations_are_none_of_the_previews_business(ada):
    ada.portal.add("far", email="far@example.org", home="other")
    answer = ada.post("/admin/policy/preview", recovery_second="sms")
    assert "data-recovery>0<" in answer.text
    assert "far" not in {one.partition('"')[0] for one in answer.text.split('data-stranded="')[1:]}
