"""The lists of people: exactly who is on each, in pages, and as CSV that no spreadsheet runs."""

import csv
import io
import re
from dataclasses import replace

import pytest

from app.factors.password.store import passwords
from app.factors.recovery_code.store import codes
from app.factors.totp.store import apps
from app.foundation.visit import Visit
from app.journeys.directory.model import Listed
from app.journeys.directory.service import PAGE, Directory, DirectoryMeans
from app.records.attempts.model import Door, Factor
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.organizations import store as organizations
from app.records.organizations.model import PasswordPolicy, Policy, Proof, RecoveryPolicy, Role, Version
from app.records.organizations.rules import met
from app.records.people import store as people
from app.records.people.model import Status
from app.wiring import build_steps
from tests.cast import organization
from tests.doors import PHONE

DAY = 86_400
ADMIN = "/admin/people"
MAIL = "somebody@example.org"


def administrator(portal, user_id="ada"):
    portal.add(user_id, phone=PHONE, email=MAIL, role=Role.ADMINISTRATOR)
    return signed_in(portal, user_id)


def signed_in(portal, user_id="ada"):
    browser = portal.browser()
    browser.sign_in(portal, user_id)
    browser.get("/profile")
    return browser


def on(browser, listed, **asked):
    """Who is on a list: all its pages, one after the other, and its count."""
    found, path = [], f"{ADMIN}?list={listed}" + "".join(f"&{name}={value}" for name, value in asked.items())
    while path:
        page = browser.get(path).text
        found += re.findall(r'data-user="([^"]*)"', page)
        more = re.search(r'rel="next" href="([^"]*)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    counted = re.search(r'data-count="([0-9]+)"', page)
    assert counted is None or int(counted[1]) == len(found)
    return found


def crowd(portal, letter, size):
    """Many people of the organization at once."""
    with portal.base.database.begin() as transaction:
        like = people.get(transaction, 1)
        assert like
        names = [f"{letter}{number:04}" for number in range(size)]
        ids = people.add_many(transaction, [replace(like, user_id=name, canonical_id=name) for name in names])
        organizations.join_many(transaction, [(one, like.home_organization, Role.MEMBER) for one in ids.values()])


def decide(portal, policy, name="default"):
    with portal.base.database.begin() as transaction:
        one = organization(transaction, portal.base.chance, name)
        number = len(organizations.versions(transaction, one.id)) + 1
        organizations.add_version(transaction, Version(one.id, number, policy, 1, "ada", 1))
    return one


def join(portal, person, name, role=Role.MEMBER, proposed_at=None):
    with portal.base.database.begin() as transaction:
        one = organization(transaction, portal.base.chance, name)
        organizations.join(transaction, person.id, one.id, role, is_primary=False, proposed_at=proposed_at)


def test_people_of_this_organization_are_listed_by_user_id_and_found_by_its_beginning(portal):
    for name in ("jane", "Jan", "JAN%", "jo_hn", "zoe"):
        portal.add(name)
    portal.add("janet", home="other")
    guest = portal.add("jana", home="other")
    waits = portal.add("janus", home="other")
    browser = administrator(portal)
    join(portal, guest, "default")
    join(portal, waits, "default", proposed_at=portal.base.clock.now())
    assert on(browser, "everybody") == ["ada", "Jan", "JAN%", "jana", "jane", "jo_hn", "zoe"]
    assert on(browser, "everybody", q="JAN") == ["Jan", "JAN%", "jana", "jane"]
    assert on(browser, "everybody", q="jan%25") == ["JAN%"]
    assert on(browser, "everybody", q="jo_") == ["jo_hn"]
    assert on(browser, "everybody", q="x") == []
    assert on(browser, "nonsense", q="z") == ["zoe"]


@pytest.mark.parametrize("others", [0, 2_000])  # a large organization's User IDs are walked through in their order
def test_a_long_list_comes_in_pages_without_gaps_whatever_the_size_of_the_organization(one_portal, others):
    browser = administrator(one_portal)
    crowd(one_portal, "p", 2 * PAGE + 3)
    crowd(one_portal, "q", others)
    one_portal.add("p0000x", app=False, password="", home="other")
    assert on(browser, "everybody", q="p") == [f"p{number:04}" for number in range(2 * PAGE + 3)]


def test_another_organizations_list_is_not_there(one_portal):
    browser = administrator(one_portal)
    one_portal.add("far", home="other")
    with one_portal.base.database.begin() as transaction:
        other = organization(transaction, one_portal.base.chance, "other")
    assert browser.get(f"{ADMIN}?organization={other.id}").status_code == 404
    browser.get("/profile")
    assert browser.post(f"{ADMIN}/export", organization=other.id, list="everybody").status_code == 404
    assert browser.get(f"{ADMIN}?organization=nonsense").status_code == 404


def test_who_is_administrator_of_several_chooses_one_of_them(one_portal):
    browser = administrator(one_portal)
    one_portal.add("far", home="other")
    with one_portal.base.database.begin() as transaction:
        ada = people.find(transaction, "ada")
    join(one_portal, ada, "other", Role.ADMINISTRATOR)
    join(one_portal, ada, "third", Role.SUPPORT)
    with one_portal.base.database.read() as looking:
        ids = {one.name: one.id for one in organizations.everyone(looking)}
    assert on(browser, "everybody", organization=ids["other"]) == ["ada", "far"]
    assert browser.get(f"{ADMIN}?organization={ids['third']}").status_code == 404


def test_locked_are_those_of_whom_some_factor_takes_nothing_now(portal):
    browser = administrator(portal)
    for name in ("password", "app", "fine", "frozen", "gone"):
        person = portal.add(name)
        subject = portal.means.tries.subject(person.canonical_id, person.id)
        if name in {"password", "gone"}:
            portal.lock(person)
        if name == "app":
            for _ in range(5):
                portal.means.tries.spend(subject, Factor.APP, Door.SIGN_IN)
        if name == "fine":
            portal.means.tries.spend(subject, Factor.PASSWORD, Door.SIGN_IN)
        if name == "frozen":
            with portal.base.database.begin() as transaction:
                people.freeze(transaction, person.id, "x" * 32)
        if name == "gone":
            with portal.base.database.begin() as transaction:
                people.set_status(transaction, person.id, Status.INACTIVE)
    far = portal.add("far", home="other")
    portal.lock(far)
    assert on(browser, "locked") == ["app", "frozen", "password"]
    assert on(browser, "locked", q="p") == ["password"]
    portal.base.clock.advance(DAY + 1)
    assert on(signed_in(portal), "locked") == ["frozen"]


def test_never_activated_are_those_who_have_neither_an_app_nor_a_password_of_their_own(portal):
    browser = administrator(portal)
    portal.add("new", password="", app=False)
    portal.add("temporary", must_change=True, app=False)
    portal.add("app", password="")
    portal.add("own", app=False)
    portal.add("gone", password="", app=False, status=Status.INACTIVE)
    removed = portal.add("removed", password="")
    with portal.base.database.begin() as transaction:
        transaction.execute(apps.update().where(apps.c.person_id == removed.id).values(state="removed"))
    assert on(browser, "never-activated") == ["new", "removed", "temporary"]


def test_expiring_is_judged_by_the_strictest_of_somebodys_policies(portal):
    browser = administrator(portal)
    assert on(browser, "expiring", days=90) == []
    decide(portal, Policy(password=PasswordPolicy(max_age_days=100)))
    decide(portal, Policy(password=PasswordPolicy(max_age_days=50)), "other")
    now = portal.base.clock.now()
    for name, days in (("fresh", 10), ("nearly", 95), ("over", 120), ("both", 40), ("waits", 40), ("temporary", 120)):
        person = portal.add(name, must_change=name == "temporary")
        with portal.base.database.begin() as transaction:
            transaction.execute(
                passwords.update().where(passwords.c.person_id == person.id).values(changed_at=now - days * DAY)
            )
        if name in {"both", "waits"}:
            join(portal, person, "other", proposed_at=None if name == "both" else now)
    assert on(browser, "expiring") == ["both", "nearly", "over"]
    assert on(browser, "expiring", days=0) == ["over"]
    assert on(browser, "expiring", days=5) == ["nearly", "over"]
    assert "was to be changed by" in browser.get(f"{ADMIN}?list=expiring&q=over").text


def test_idle_are_those_who_did_not_sign_in_for_so_many_days_and_were_there_all_the_time(portal):
    administrator(portal)
    portal.add("idle")
    portal.add("active")
    portal.base.clock.advance(20 * DAY)
    signed_in(portal, "active")
    portal.base.clock.advance(15 * DAY)
    browser = signed_in(portal)
    assert on(browser, "idle", days=10) == ["active", "idle"]
    assert on(browser, "idle", days=16) == ["idle"]
    assert on(browser, "idle", days=36) == []
    assert "No sign-in is remembered." in browser.get(f"{ADMIN}?list=idle&days=16").text


@pytest.mark.parametrize(
    ("typed", "taken"), [("", "90"), ("0", "1"), ("-1", "90"), ("99999", "365"), ("9" * 80, "90"), ("x", "90")]
)
def test_the_days_stay_within_their_bounds(one_portal, typed, taken):
    page = administrator(one_portal).get(f"{ADMIN}?list=idle&days={typed}").text
    assert f'name="days" value="{taken}"' in page


def test_nobody_is_called_idle_by_sign_ins_that_were_forgotten(one_portal):
    portal, steps = one_portal, build_steps(one_portal.base, one_portal.means)
    means = DirectoryMeans(portal.base.database, portal.means.tries, portal.base.clock, steps.staffing, keep_days=30)
    browser = administrator(portal)
    staff = steps.staffing.administrator(browser.cookie("keyturn-session"), Visit("192.0.2.10", "en", "request"))
    look = Directory(means).look(staff, organization="", listed="idle", days="365", prefix="")
    assert look is not None
    assert (look.listed, look.days) == (Listed.IDLE, 30)


def proofs(first, second=(Proof.SMS, Proof.EMAIL)):
    return Policy(recovery=RecoveryPolicy(first=tuple(first), second=tuple(second)))


def cast_of_proofs(portal):
    """Who has what: a for an app, c for codes, s for SMS, e for e-mail; n is somebody with a password alone."""
    cast = {}
    for name in ("n", "a", "as", "ae", "cs", "ase", "e"):
        cast[name] = portal.add(name, app="a" in name, phone=PHONE * ("s" in name), email=MAIL * ("e" in name))
        if "c" in name:
            portal.add_codes(cast[name])
    return cast


def test_not_recoverable_are_those_who_lack_a_first_or_a_second_proof(portal):
    browser = administrator(portal)
    cast_of_proofs(portal)
    portal.add("never", password="", app=False)
    portal.add("waiting", phone=PHONE, app=False)
    with portal.base.database.read() as looking:
        waiting = people.find(looking, "waiting")
    portal.add_codes(waiting, usable_in=DAY)
    assert on(browser, "not-recoverable") == ["a", "e", "n", "waiting"]
    page = browser.get(f"{ADMIN}?list=not-recoverable&q=n").text
    assert "no app and no saved code" in page
    assert "no contact for a PIN" in page


def test_used_up_codes_and_unconfirmed_contacts_recover_nobody(one_portal):
    portal, browser = one_portal, administrator(one_portal)
    used = portal.add("used", app=False, phone=PHONE)
    portal.add_codes(used)
    filed = portal.add("filed", phone=PHONE)
    with portal.base.database.begin() as transaction:
        transaction.execute(codes.update().values(used_at=1))
        transaction.execute(
            people.contacts.update().where(people.contacts.c.person_id == filed.id).values(confirmed_at=None)
        )
    assert on(browser, "not-recoverable") == ["filed", "used"]


def test_what_a_policy_does_not_take_recovers_nobody(portal):
    browser = administrator(portal)
    cast_of_proofs(portal)
    decide(portal, proofs([Proof.APP], [Proof.SMS]))
    assert on(browser, "not-recoverable") == ["a", "ae", "cs", "e", "n"]
    decide(portal, proofs([Proof.RECOVERY_CODE, Proof.ACCESS_CODE], [Proof.SMS, Proof.EMAIL]))
    assert on(browser, "not-recoverable") == ["a", "ada", "ae", "as", "ase", "e", "n"]


def test_not_recoverable_agrees_with_the_policies_that_hold_for_each_person(portal):
    """Brute force: every pair of policies, for people in one organization, the other, or both (security rule 12)."""
    browser = administrator(portal)
    cast = cast_of_proofs(portal)
    now = portal.base.clock.now()
    for name in ("as", "cs", "ase", "ae"):
        join(portal, cast[name], "other")
    guests = {name: portal.add(f"g{name}", app="a" in name, phone=PHONE, home="other") for name in ("a", "c")}
    for name, guest in guests.items():
        if name == "c":
            portal.add_codes(guest)
        join(portal, guest, "default")
    firsts = ([Proof.APP], [Proof.RECOVERY_CODE], [Proof.ACCESS_CODE], [Proof.APP, Proof.RECOVERY_CODE])
    seconds = ([Proof.SMS], [Proof.EMAIL], [Proof.SMS, Proof.EMAIL])
    for first in firsts:
        for second in seconds:
            for there in firsts:
                decide(portal, proofs(first, second))
                decide(portal, proofs(there, [Proof.SMS]), "other")
                expected = []
                with portal.base.database.read() as looking:
                    for name in ("ada", *cast, "ga", "gc"):
                        person = people.find(looking, name)
                        assert person is not None
                        each = organizations.policies_of_person(looking, person.id, now)
                        plain = name.removeprefix("g") + "s" * name.startswith("g")
                        has = {Proof.APP: "a" in plain, Proof.RECOVERY_CODE: "c" in plain}
                        has |= {Proof.SMS: "s" in plain, Proof.EMAIL: "e" in plain}
                        if name == "ada":
                            has |= {Proof.SMS: True, Proof.EMAIL: True, Proof.RECOVERY_CODE: False}
                        had = {one for one, there in has.items() if there}
                        recovery = met(each, had)
                        helped = any(
                            had & set(getattr(recovery, step))
                            and not had.intersection(*(getattr(one.recovery, step) for one in each))
                            for step in ("first", "second")
                        )
                        if helped or not (had & set(recovery.first) and had & set(recovery.second)):
                            expected.append(name)
                assert on(browser, "not-recoverable") == sorted(expected), (first, second, there)


# ---- as CSV


def export(browser, **fields):
    browser.get(ADMIN)
    answer = browser.post(f"{ADMIN}/export", **fields)
    text = answer.text
    answer.close()
    assert (answer.status_code, answer.mimetype) == (200, "text/csv"), text
    return list(csv.DictReader(io.StringIO(text)))


def test_a_list_is_saved_as_a_whole_and_that_it_was_is_written_down(portal):
    browser = administrator(portal)
    for number in range(PAGE + 5):
        portal.add(f"p{number:04}", app=False, password="")
    portal.add("far", app=False, password="", home="other")
    rows = export(browser, list="never-activated", q="p")
    assert [row["user_id"] for row in rows] == [f"p{number:04}" for number in range(PAGE + 5)]
    assert set(rows[0]) == {"user_id", "first_name", "last_name", "status", "role", "made", "why"}
    with portal.base.database.read() as looking:
        (row,) = looking.execute(audit.events.select().where(audit.events.c.event == Event.PEOPLE_EXPORTED.value)).all()
        ada = people.find(looking, "ada")
    assert (row.actor, row.person_id, row.address) == ("ada", None, "192.0.2.10")
    assert ada
    assert row.organization_id == ada.home_organization
    assert '"list": "never-activated"' in row.details
    assert [row["user_id"] for row in export(browser, list="locked")] == []


@pytest.mark.parametrize("begins", ["=", "+", "-", "@"])
def test_no_cell_of_it_is_a_formula(one_portal, begins):
    browser = administrator(one_portal)
    one_portal.add(f'{begins}HYPERLINK("http://x")')
    cells = [cell for row in export(browser, list="everybody") for cell in row.values()]
    assert f'\'{begins}HYPERLINK("http://x")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_looking_takes_two_factors_and_a_lost_role_saves_nothing(one_portal):
    portal, browser = one_portal, administrator(one_portal)
    browser.get(ADMIN)
    with portal.base.database.begin() as transaction:
        transaction.execute(organizations.memberships.update().values(role="member"))
    assert browser.post(f"{ADMIN}/export", list="everybody").status_code == 403
    by_mail = portal.browser()
    by_mail.sign_in_by_pin(portal, "ada", MAIL)
    assert by_mail.get(ADMIN).location == "/step-up"


def test_a_membership_that_waits_shows_nobody(one_portal):
    browser = administrator(one_portal)
    far = one_portal.add("far", home="other")
    join(one_portal, far, "default", proposed_at=one_portal.base.clock.now())
    assert on(browser, "everybody") == ["ada"]


def test_the_home_administrator_sees_whom_only_the_home_organizations_policy_lets_recover(portal):
    """Security rule 12: the case is flagged; the guest has an app, and the other organization takes codes alone."""
    browser = administrator(portal)
    guest = portal.add("guest", phone=PHONE)
    decide(portal, proofs([Proof.RECOVERY_CODE], [Proof.SMS, Proof.EMAIL]), "other")
    assert "guest" not in on(browser, "not-recoverable")
    join(portal, guest, "other")
    assert "guest" in on(browser, "not-recoverable")
    assert "recovers by the policy of the home organization alone" in browser.get(f"{ADMIN}?list=not-recoverable").text
    portal.add_codes(guest)
    assert "guest" not in on(browser, "not-recoverable")
