"""What administrators do to people, and that they do it to their own people alone (security rules 4, 12, 13)."""

import json
import re
import threading

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from app.factors.totp.store import apps
from app.records.audit import store as audit
from app.records.audit.model import Event
from app.records.audit.store import events as event_rows
from app.records.invitations.store import invitations
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy, Proof, RecoveryPolicy, Role
from app.records.organizations.store import memberships
from app.records.people import store as people
from app.records.people.model import Status
from app.records.people.store import contacts
from tests.journeys.membership.conftest import MAIL
from tests.portal import PASSWORD

ADMIN = "/admin/people"
ACTS = ("invite", "contacts", "deactivate", "reactivate", "role", "remove")
NEW = {"user_id": "nina", "first_name": "Nina", "last_name": "Doe", "email": "nina@example.org", "phone": ""}


def found(looking, user_id):
    person = people.find(looking, user_id)
    assert person is not None
    return person


def role_of(two, user_id, organization=None):
    where = organization or two.here
    with two.portal.base.database.read() as looking:
        person = found(looking, user_id)
        held = organizations.memberships_of(looking, person.id)
    return next((one.role for one in held if one.organization.id == where.id and one.proposed_at is None), None)


def status_of(two, user_id):
    with two.portal.base.database.read() as looking:
        return found(looking, user_id).status


def events(two, user_id, event):
    with two.portal.base.database.read() as looking:
        person = found(looking, user_id)
        return audit.of_person(looking, person.id, only=[event])


def act(browser, user_id, name, **fields):
    browser.get(f"{ADMIN}/{user_id}/{name}")
    return browser.post(f"{ADMIN}/{user_id}/{name}", **fields)


# ---- whom they see, and whom they change


@pytest.mark.parametrize("other", ["far", "eve", "nobody", "~66", "~6661", "~zz"])
def test_a_person_of_another_organization_is_as_little_there_as_nobody(two, other):
    browser = two.browser("ada")
    nobody = browser.get(f"{ADMIN}/nobody")
    answer = browser.get(f"{ADMIN}/{other}")
    assert (answer.status_code, nobody.status_code) == (404, 404)
    seen, not_there = (re.sub(r"[0-9a-f]{32}|/admin/people/[^\"]*", "", one.text) for one in (answer, nobody))
    assert seen == not_there
    for name in ACTS:
        assert browser.get(f"{ADMIN}/{other}/{name}").status_code == 404
        assert browser.post(f"{ADMIN}/{other}/{name}", organization=two.other.id, role="support").status_code == 404
        assert browser.post(f"{ADMIN}/{other}/{name}", organization=two.here.id, role="support").status_code == 404


def test_an_administrator_changes_nothing_in_an_organization_that_they_only_name(two):
    browser = two.browser("ada")
    assert act(browser, "guest", "role", organization=two.other.id, role="support").status_code == 404
    assert act(browser, "guest", "remove", organization=two.other.id).status_code == 404
    assert role_of(two, "guest", two.other) is Role.MEMBER
    browser.get(f"{ADMIN}/new")
    assert browser.post(f"{ADMIN}/new", **NEW, organization=two.other.id).status_code == 422
    assert browser.post(f"{ADMIN}/propose", user_id="far", organization=two.other.id).status_code == 422
    with two.portal.base.database.read() as looking:
        assert people.find(looking, "nina") is None


@pytest.mark.parametrize("user_id", ["jane", "sam"])
def test_neither_members_nor_agents_come_in(two, user_id):
    browser = two.browser(user_id)
    for path in (ADMIN, f"{ADMIN}/jane", f"{ADMIN}/new", f"{ADMIN}/propose", *(f"{ADMIN}/jane/{one}" for one in ACTS)):
        assert browser.get(path).status_code == 403
    browser.get("/profile")
    for path in (f"{ADMIN}/export", f"{ADMIN}/new", f"{ADMIN}/propose", *(f"{ADMIN}/jane/{one}" for one in ACTS)):
        assert browser.post(path, user_id="x", role="member").status_code == 403


def test_every_change_needs_a_proof_that_is_fresh(two):
    browser = two.browser("ada")
    two.portal.base.clock.advance(301)
    browser.get(f"{ADMIN}/jane")
    for path in (f"{ADMIN}/new", f"{ADMIN}/propose", *(f"{ADMIN}/jane/{one}" for one in ACTS)):
        assert browser.get(path).location == "/step-up"
        assert browser.post(path, user_id="x", role="support").status_code == 409
    assert (role_of(two, "jane"), status_of(two, "jane")) == (Role.MEMBER, Status.ACTIVE)


def test_whose_home_is_another_organization_keeps_their_account_but_not_their_membership(two):
    browser = two.browser("ada")
    page = browser.get(f"{ADMIN}/guest")
    assert "(member)" in page.text
    assert ">other" not in page.text
    assert "/guest/deactivate" not in page.text
    for name in ("deactivate", "reactivate", "invite"):
        assert act(browser, "guest", name).status_code == 403
    assert status_of(two, "guest") is Status.ACTIVE
    answer = act(browser, "guest", "remove", organization=two.here.id)
    assert (answer.status_code, answer.location) == (303, ADMIN)
    (ended,) = events(two, "guest", Event.MEMBERSHIP_ENDED)
    assert ended.organization_id == two.here.id  # where it was done, and not where the person is at home
    assert (role_of(two, "guest"), role_of(two, "guest", two.other)) == (None, Role.MEMBER)
    assert two.told("guest") == ["You are no longer a member of default"]
    assert browser.get(f"{ADMIN}/guest").status_code == 404


def test_nobody_is_removed_from_their_home(two):
    browser = two.browser("ada")
    assert act(browser, "jane", "remove", organization=two.here.id).status_code == 422
    assert role_of(two, "jane") is Role.MEMBER


# ---- somebody new


def test_somebody_new_is_made_and_invited_in_one_go_and_the_code_is_shown_to_whoever_did_it_alone(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    answer = browser.post(f"{ADMIN}/new", **NEW)
    assert (answer.status_code, answer.location) == (303, f"{ADMIN}/nina")
    two.portal.deliver()
    (letter,) = two.portal.mailbox.to("nina@example.org")
    assert "/activate/" in letter.text
    page = browser.get(answer.location)
    assert "data-activation-code" in page.text
    assert "/activate/" not in page.text
    assert "data-activation-code" not in two.browser("bob").get(f"{ADMIN}/nina").text
    two.portal.base.clock.advance(601)
    assert "data-activation-code" not in browser.get(f"{ADMIN}/nina").text
    (made,) = events(two, "nina", Event.USER_CREATED)
    assert (made.actor, made.address) == ("ada", "192.0.2.10")
    assert [one.actor for one in events(two, "nina", Event.INVITED)] == ["ada"]
    assert role_of(two, "nina") is Role.MEMBER


def test_what_an_administrator_did_is_told_once_and_no_address_makes_a_page_claim_it(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    made = browser.post(f"{ADMIN}/new", **NEW).location
    assert "The person was made, and the invitation is on its way." in browser.get(made).text
    assert 'role="status">' not in browser.get(made).text.partition("<h1>")[2]
    for claimed in ("created", "deactivated"):
        assert "note good" not in browser.get(f"{made}?done={claimed}").text
    assert "note good" not in browser.get(f"{ADMIN}?done=removed").text


def test_an_administrator_is_asked_for_what_is_the_persons_and_not_their_own(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    text = browser.post(f"{ADMIN}/new", **{**NEW, "user_id": "", "email": ""}).text
    for asked in ("Enter the person's User ID.", "Enter the person's e-mail address."):
        assert asked in text
    assert "Enter your" not in text


def test_with_a_phone_on_file_there_is_no_code_to_hand_over(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    answer = browser.post(f"{ADMIN}/new", **{**NEW, "phone": "0044 7700 900-123"})
    assert "data-activation-code" not in browser.get(answer.location).text
    with two.portal.base.database.read() as looking:
        filed = people.contacts_of(looking, found(looking, "nina").id)
    assert [(one.address, one.confirmed_at) for one in filed] == [("+447700900123", None), ("nina@example.org", None)]


@pytest.mark.parametrize("taken", ["jane", "JANE", "far", "\uff45\uff56\uff45"])
def test_a_user_id_that_is_taken_is_refused_alike_here_and_elsewhere_and_nobody_is_altered(two, taken):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    with two.portal.base.database.read() as looking:
        before = [tuple(row) for row in looking.execute(select(people.people))]
        reached = [tuple(row) for row in looking.execute(select(contacts))]
    answer = browser.post(f"{ADMIN}/new", **{**NEW, "user_id": taken})
    assert answer.status_code == 422
    assert "This User ID is taken" in answer.text
    assert 'value="nina@example.org"' in answer.text
    with two.portal.base.database.read() as looking:
        assert [tuple(row) for row in looking.execute(select(people.people))] == before
        assert [tuple(row) for row in looking.execute(select(contacts))] == reached
    two.portal.deliver()
    assert not two.portal.mailbox.to("nina@example.org")


def test_all_that_is_wrong_is_said_at_once_and_nothing_typed_is_lost(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    typed = {"user_id": "", "first_name": "A\u202eB", "last_name": "D" * 256, "email": "nina", "phone": "12"}
    answer = browser.post(f"{ADMIN}/new", **typed)
    assert answer.status_code == 422
    for field in typed:
        assert f'id="{field}-error"' in answer.text
    for kept in ('value="nina"', 'value="12"', f'value="{"D" * 256}"'):
        assert kept in answer.text


def test_an_invitation_goes_again_to_whoever_never_activated_and_to_nobody_else(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    browser.post(f"{ADMIN}/new", **NEW)
    two.portal.base.clock.advance(120)
    assert act(browser, "nina", "invite").location == f"{ADMIN}/nina"
    two.portal.deliver()
    assert len(two.portal.mailbox.to("nina@example.org")) == 2
    assert act(browser, "jane", "invite").status_code == 409
    assert not two.told("jane")


def test_invitations_to_one_mailbox_are_counted_as_messages_are(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/new")
    browser.post(f"{ADMIN}/new", **NEW)
    codes = [act(browser, "nina", "invite").status_code for _ in range(12)]
    assert 429 in codes
    assert codes[0] == 303


# ---- in and out


def test_a_deactivated_person_is_out_at_once_and_told_and_comes_back_with_everything(two):
    jane = two.browser("jane")
    browser = two.browser("ada")
    assert act(browser, "jane", "deactivate").location == f"{ADMIN}/jane"
    assert jane.get("/authenticators").location == "/sign-in"
    assert status_of(two, "jane") is Status.INACTIVE
    assert two.told("jane")[-1] == "Your account at Keyturn was deactivated"
    again = two.portal.browser()
    again.get("/sign-in")
    again.post("/sign-in", user_id="jane")
    assert again.post("/sign-in/password", password=PASSWORD).status_code == 422
    assert act(browser, "jane", "deactivate").status_code == 409
    assert act(browser, "jane", "reactivate").location == f"{ADMIN}/jane"
    assert two.told("jane")[-1] == "Your account at Keyturn is active again"
    assert act(browser, "jane", "reactivate").status_code == 409
    two.portal.base.clock.advance(60)
    two.browser("jane")
    assert [one.actor for one in events(two, "jane", Event.USER_DEACTIVATED)] == ["ada"]
    assert [one.actor for one in events(two, "jane", Event.USER_REACTIVATED)] == ["ada"]


def test_a_frozen_account_is_not_opened_by_shutting_it_and_opening_it_again(two):
    """Security rule 5: a dispute is decided by an older factor, or by support."""
    with two.portal.base.database.begin() as transaction:
        people.freeze(transaction, two.people["jane"].id, "x" * 32)
    browser = two.browser("ada")
    assert act(browser, "jane", "deactivate").status_code == 409
    assert act(browser, "jane", "reactivate").status_code == 409
    assert status_of(two, "jane") is Status.FROZEN


def test_nobody_shuts_themselves_out(two):
    browser = two.browser("ada")
    assert act(browser, "ada", "deactivate").status_code == 403
    assert status_of(two, "ada") is Status.ACTIVE


# ---- roles


def test_who_becomes_staff_is_told_on_every_channel_and_so_is_every_administrator(two):
    browser = two.browser("ada")
    answer = act(browser, "jane", "role", organization=two.here.id, role="administrator")
    assert answer.location == f"{ADMIN}/jane"
    assert role_of(two, "jane") is Role.ADMINISTRATOR
    assert two.told("jane") == ["Your role at Keyturn was changed"]
    assert two.told("bob") == two.told("ada") == ["jane has a new role at Keyturn"]
    assert not two.told("eve") + two.told("sam") + two.told("far")
    (changed,) = events(two, "jane", Event.ROLE_CHANGED)
    assert (changed.actor, changed.details["before"], changed.details["role"]) == ("ada", "member", "administrator")
    assert changed.organization_id == two.here.id
    assert act(browser, "jane", "role", organization=two.here.id, role="administrator").status_code == 409


def test_who_has_no_app_becomes_no_staff(two):
    with two.portal.base.database.begin() as transaction:
        transaction.execute(apps.update().where(apps.c.person_id == two.people["jane"].id).values(state="disabled"))
    browser = two.browser("ada")
    answer = act(browser, "jane", "role", organization=two.here.id, role="support")
    assert answer.status_code == 422
    assert "has to add an authenticator app first" in answer.text
    assert role_of(two, "jane") is Role.MEMBER


@pytest.mark.parametrize("typed", ["", "owner", "SUPPORT"])
def test_a_role_that_there_is_not_is_refused_at_its_field(two, typed):
    answer = act(two.browser("ada"), "jane", "role", organization=two.here.id, role=typed)
    assert (answer.status_code, 'id="role-error"' in answer.text) == (422, True)


def test_a_demoted_administrator_is_one_no_more_with_the_next_request(two):
    bob = two.browser("bob")
    act(two.browser("ada"), "bob", "role", organization=two.here.id, role="member")
    assert bob.get(ADMIN).status_code == 403
    assert two.told("bob") == ["Your role at Keyturn was changed"]


def test_the_last_administrator_steps_down_not_before_another_one_is_there(two):
    browser = two.browser("ada")
    answer = act(browser, "ada", "role", organization=two.here.id, role="member")
    assert (answer.status_code, answer.location) == (303, "/profile")  # the pages of people are shut to her now
    assert "You stepped down." in browser.get("/profile").text
    bob = two.browser("bob")
    answer = act(bob, "bob", "role", organization=two.here.id, role="support")
    assert (answer.status_code, "last active administrator" in answer.text) == (422, True)
    assert role_of(two, "bob") is Role.ADMINISTRATOR


def test_an_administrator_who_is_shut_out_does_not_count_as_another_one(two):
    browser = two.browser("ada")
    assert act(browser, "bob", "deactivate").status_code == 303
    assert act(browser, "ada", "role", organization=two.here.id, role="member").status_code == 422


def staff_there(two, user_id="bob", role=Role.ADMINISTRATOR):
    """Somebody at home here is staff of the other organization."""
    with two.portal.base.database.begin() as transaction:
        organizations.join(transaction, two.people[user_id].id, two.other.id, role, is_primary=False)


def told_there(two):
    """What the other organization reads in its own log."""
    with two.portal.base.database.read() as looking:
        found = looking.execute(
            select(event_rows.c.details).where(
                event_rows.c.event == Event.STAFF_LOST.value, event_rows.c.organization_id == two.other.id
            )
        )
        return [json.loads(row.details) for row in found]


def test_the_home_organization_shuts_out_its_person_who_is_the_last_administrator_of_another(two):
    staff_there(two)
    two.portal.add("hal", email="hal@example.org", role=Role.SUPPORT, home="other")
    with two.portal.base.database.begin() as transaction:
        transaction.execute(memberships.delete().where(memberships.c.person_id == two.people["eve"].id))
    browser = two.browser("ada")
    assert "last active administrator of another organization" in browser.get(f"{ADMIN}/bob/deactivate").text
    with capture_logs() as logged:
        assert act(browser, "bob", "deactivate").status_code == 303
    assert status_of(two, "bob") is Status.INACTIVE
    two.portal.deliver()
    (letter,) = two.portal.mailbox.to("hal@example.org")
    assert letter.subject == "bob, staff of other, was deactivated at Keyturn"
    assert "other has no administrator left" in letter.text
    assert [(one["event"], one["operator_must_act"]) for one in logged if one["log_level"] == "error"] == [
        ("organization_without_administrator", True)
    ]
    assert told_there(two) == [
        {"organization": "other", "user_id": "bob", "role": "administrator", "last": True, "told": 1}
    ]


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SUPPORT])
def test_the_other_administrators_of_another_organization_are_told_that_its_staff_was_shut_out(two, role):
    staff_there(two, role=role)
    browser = two.browser("ada")
    page = browser.get(f"{ADMIN}/bob/deactivate").text
    assert "They are staff of another organization. Its administrators are told at once." in page
    assert ">other<" not in page  # which one is theirs to tell
    assert act(browser, "bob", "deactivate").status_code == 303
    assert two.told("eve") == ["bob, staff of other, was deactivated at Keyturn"]
    assert [one["last"] for one in told_there(two)] == [False]


def test_the_shutting_out_of_a_member_is_nobody_elses_business(two):
    staff_there(two, "jane", Role.MEMBER)
    assert act(two.browser("ada"), "jane", "deactivate").status_code == 303
    assert two.told("eve") == []
    assert told_there(two) == []


def test_of_two_administrators_who_step_down_at_the_same_time_one_stays(each_two):
    two = each_two
    browsers = [two.browser("ada"), two.browser("bob")]
    for browser, user_id in zip(browsers, ("ada", "bob"), strict=True):
        browser.get(f"{ADMIN}/{user_id}/role")
    gate, codes = threading.Barrier(2), {}

    def step_down(browser, user_id):
        gate.wait()
        codes[user_id] = browser.post(f"{ADMIN}/{user_id}/role", organization=two.here.id, role="member").status_code

    racers = [threading.Thread(target=step_down, args=pair) for pair in zip(browsers, ("ada", "bob"), strict=True)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(codes.values()) == [303, 422]
    assert sorted([role_of(two, "ada"), role_of(two, "bob")]) == [Role.ADMINISTRATOR, Role.MEMBER]


def test_of_two_administrators_who_demote_each_other_at_the_same_time_one_stays(each_two):
    two = each_two
    browsers = {"bob": two.browser("ada"), "ada": two.browser("bob")}
    for user_id, browser in browsers.items():
        browser.get(f"{ADMIN}/{user_id}/role")
    gate, codes = threading.Barrier(2), []

    def demote(browser, user_id):
        gate.wait()
        codes.append(browser.post(f"{ADMIN}/{user_id}/role", organization=two.here.id, role="member").status_code)

    racers = [threading.Thread(target=demote, args=(browser, user_id)) for user_id, browser in browsers.items()]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(codes) == [303, 403]
    assert sorted([role_of(two, "ada"), role_of(two, "bob")]) == [Role.ADMINISTRATOR, Role.MEMBER]


# ---- a membership that is proposed


def test_a_proposal_is_answered_alike_whether_or_not_there_is_such_a_person(two):
    browser = two.browser("ada")
    seen = []
    for user_id in ("far", "nobody", "jane", "guest"):
        browser.get(f"{ADMIN}/propose")
        answer = browser.post(f"{ADMIN}/propose", user_id=user_id, organization=two.here.id)
        page = re.sub(
            r'name="csrf_token" value="[^"]+"', "", browser.get(answer.location).text
        )  # it has its own second
        seen.append((answer.status_code, answer.location, page))
    assert len(set(seen)) == 1
    assert two.told("far") == ["default proposes you a membership"]
    assert not two.told("jane") + two.told("guest")
    assert browser.get(f"{ADMIN}/far").status_code == 404
    with two.portal.base.database.read() as looking:
        found = looking.execute(
            select(audit.events.c.person_id, audit.events.c.organization_id, audit.events.c.actor).where(
                audit.events.c.event == Event.MEMBERSHIP_PROPOSED.value
            )
        ).all()
    assert [tuple(row) for row in found] == [(None, two.here.id, "ada")] * 4


def test_the_same_proposal_again_tells_the_person_nothing_new(two):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/propose")
    for _ in range(3):
        assert browser.post(f"{ADMIN}/propose", user_id="far", organization=two.here.id).status_code == 303
    assert len(two.told("far")) == 1


def propose(two, user_id="far"):
    browser = two.browser("ada")
    browser.get(f"{ADMIN}/propose")
    browser.post(f"{ADMIN}/propose", user_id=user_id, organization=two.here.id)
    return f"/profile/memberships/{two.here.id}"


def test_a_proposed_membership_begins_when_the_person_accepts_it(two):
    path = propose(two)
    far = two.browser("far")
    assert path in far.get("/profile").text
    assert "default" in far.get(path).text
    assert role_of(two, "far") is None
    assert far.post(path).status_code == 422
    assert far.post(path, decision="accept").location == "/profile"
    assert role_of(two, "far") is Role.MEMBER
    assert two.told("far")[-1] == "You are a member of default"
    assert [one.actor for one in events(two, "far", Event.MEMBERSHIP_ACCEPTED)] == ["self"]
    assert far.post(path, decision="decline").status_code == 404
    two.portal.base.clock.advance(60)
    assert two.browser("ada").get(f"{ADMIN}/far").status_code == 200


def test_a_declined_membership_is_gone(two):
    path = propose(two)
    far = two.browser("far")
    far.get(path)
    assert far.post(path, decision="decline").location == "/profile"
    assert role_of(two, "far") is None
    assert path not in far.get("/profile").text
    assert far.get(path).status_code == 404
    assert len(events(two, "far", Event.MEMBERSHIP_DECLINED)) == 1


def test_only_the_person_themselves_answers_and_with_a_fresh_proof(two):
    path = propose(two)
    guest = two.browser("jane")
    assert guest.get(path).status_code == 404
    assert guest.post(path, decision="accept").status_code == 404
    far = two.browser("far")
    two.portal.base.clock.advance(301)
    far.get("/profile")
    assert far.get(path).location == "/step-up"
    assert far.post(path, decision="accept").status_code == 409
    assert role_of(two, "far") is None


def test_a_proposal_ends_after_thirty_days_and_can_be_made_anew(two):
    path = propose(two)
    told = len(two.told("far"))
    two.portal.base.clock.advance(30 * 86_400 + 1)
    far = two.browser("far")
    assert path not in far.get("/profile").text
    assert far.get(path).status_code == 404
    assert propose(two) in far.get("/profile").text
    assert len(two.told("far")) == 1 + told


def test_a_membership_is_accepted_once_whatever_is_pressed_at_the_same_time(each_two):
    two = each_two
    path = propose(two)
    browsers = [two.browser("far")]
    two.portal.base.clock.advance(30)
    browsers.append(two.browser("far"))
    for browser in browsers:
        browser.get(path)
    gate, codes = threading.Barrier(2), []

    def press(browser, decision):
        gate.wait()
        codes.append(browser.post(path, decision=decision).status_code)

    pairs = zip(browsers, ("accept", "decline"), strict=True)
    racers = [threading.Thread(target=press, args=pair) for pair in pairs]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(codes) == [303, 404]


def test_what_staff_did_stands_in_the_persons_own_history(two):
    browser = two.browser("ada")
    act(browser, "jane", "role", organization=two.here.id, role="support")
    page = two.browser("jane").get("/activity")
    assert "Your role in default was changed" in page.text
    assert "by staff: ada" in page.text


def test_a_user_id_with_a_slash_or_the_name_of_a_page_has_a_page_of_its_own(two):
    for user_id in ("new", "Import", "a/b", "~x", "..", "ü ?#%"):
        two.portal.add(user_id, email="")
    browser = two.browser("ada")
    listed = browser.get(ADMIN).text
    for path in ("~6e6577", "~496d706f7274", "~612f62", "~7e78", "~2e2e", "%C3%BC%20%3F%23%25"):
        assert f'href="{ADMIN}/{path}"' in listed
        assert browser.get(f"{ADMIN}/{path}").status_code == 200
        assert browser.get(f"{ADMIN}/{path}/deactivate").status_code == 200


def test_mail_addresses_and_numbers_are_masked(two):
    page = two.browser("ada").get(f"{ADMIN}/jane").text
    assert MAIL["jane"] not in page
    assert "j•••@e•••.org" in page


def test_nobody_is_made_staff_by_an_organization_that_is_not_their_home(two):
    """Staff are out of the reach of support: theirs alone to give."""
    two.portal.add("hal", email="hal@example.org", role=Role.SUPPORT, home="other")
    for role in (Role.SUPPORT, Role.ADMINISTRATOR):
        answer = act(two.browser("ada"), "guest", "role", organization=two.here.id, role=role.value)
        assert answer.status_code == 403
        two.portal.base.clock.sleep(30)
    assert role_of(two, "guest") is Role.MEMBER
    assert two.browser("hal").get("/support/people/guest/freeze").status_code == 200


def test_where_sms_go_is_decided_by_the_home_organization_alone(two):
    """Else another one keeps notices and PINs from people whose only second proof it may have taken too."""
    portal = two.portal
    kim = portal.add("kim", phone="+491700000001", email="kim@example.org", home="other")
    with portal.base.database.begin() as transaction:
        organizations.join(transaction, kim.id, two.here.id, Role.MEMBER, is_primary=False)
    portal.decide(Policy(recovery=RecoveryPolicy(second=(Proof.SMS,)), sms_countries=("AQ",)))
    browser = portal.browser()
    browser.recover_to_token("kim")
    assert browser.post("/recovery/token", code=portal.code("kim")).location == "/recovery/pin"
    portal.deliver()
    assert len(portal.phone.to("+491700000001")) == 1


def test_no_organization_leaves_people_of_another_home_to_access_codes_alone(two):
    """Security rule 12: that would be no way to recover by oneself, so the home organization's proofs hold."""
    portal = two.portal
    kim = portal.add("kim", phone="+491700000001", email="kim@example.org", home="other")
    with portal.base.database.begin() as transaction:
        organizations.join(transaction, kim.id, two.here.id, Role.MEMBER, is_primary=False)
    portal.decide(Policy(recovery=RecoveryPolicy(first=(Proof.ACCESS_CODE,))))
    browser = portal.browser()
    browser.recover_to_token("kim")
    assert browser.post("/recovery/token", code=portal.code("kim")).location == "/recovery/pin"


# ---- contacts that were filed wrongly, while nothing of the account was proved

RIGHT = {"email": "nina.doe@example.org", "phone": "+447700900123"}


def made(two, browser, **filed):
    browser.get(f"{ADMIN}/new")
    assert browser.post(f"{ADMIN}/new", **{**NEW, **filed}).status_code == 303
    two.portal.deliver()
    two.portal.base.clock.advance(120)
    (link,) = re.findall(r"/activate/\S+", two.portal.mailbox.to("nina@example.org")[-1].text)
    return link


def addresses(two, user_id):
    with two.portal.base.database.read() as looking:
        return [one.address for one in people.contacts_of(looking, found(looking, user_id).id)]


def test_contacts_that_were_filed_wrongly_are_filed_anew_and_the_earlier_link_is_void(two):
    browser = two.browser("ada")
    stray = made(two, browser)
    stranger = two.portal.browser()
    assert stranger.get(stray).status_code == 200
    assert stranger.post(stray).status_code == 303  # waits for the activation code
    assert "Correct the contacts" in browser.get(f"{ADMIN}/nina").text
    assert act(browser, "nina", "contacts", **RIGHT).location == f"{ADMIN}/nina"
    page = browser.get(f"{ADMIN}/nina").text
    assert "The contacts are filed anew" in page
    assert "data-activation-code" not in page  # a phone is filed now
    assert addresses(two, "nina") == [RIGHT["phone"], RIGHT["email"]]
    two.portal.deliver()
    (letter,) = two.portal.mailbox.to(RIGHT["email"])
    assert "/activate/" in letter.text
    assert stranger.get(stray).location == "/activate"
    assert stranger.post("/activate/code", code="0000-0000-0000-0000").status_code == 409
    (filed,) = events(two, "nina", Event.CONTACTS_FILED)
    assert (filed.actor, filed.details["with"]) == ("ada", ["sms", "email"])
    for kept in (*RIGHT.values(), "nina@example.org"):
        assert kept not in json.dumps(filed.details)


def test_what_is_wrong_with_contacts_is_said_at_each_and_nothing_is_altered(two):
    browser = two.browser("ada")
    made(two, browser)
    answer = act(browser, "nina", "contacts", email="nina", phone="12")
    assert answer.status_code == 422
    for kept in ('id="email-error"', 'id="phone-error"', 'value="nina"', 'value="12"'):
        assert kept in answer.text
    assert act(browser, "nina", "contacts", phone=RIGHT["phone"]).status_code == 422
    assert addresses(two, "nina") == ["nina@example.org"]


def _confirmed(two, _person, transaction):
    transaction.execute(contacts.update().values(confirmed_at=two.portal.base.clock.now()))


def _reached(_two, _person, transaction):
    transaction.execute(invitations.update().values(reached="password"))


def _given_power(two, person, transaction):
    organizations.set_role(transaction, person.id, two.here.id, Role.MEMBER, Role.ADMINISTRATOR)


def _member_elsewhere(two, person, transaction):
    organizations.join(transaction, person.id, two.other.id, Role.MEMBER, is_primary=False)


def _recovered(two, person, transaction):
    people.mark_recovered(transaction, person.id, two.portal.base.clock.now())


@pytest.mark.parametrize("deed", [_confirmed, _reached, _given_power, _member_elsewhere, _recovered])
def test_nobody_files_contacts_of_an_account_of_which_something_was_proved_or_that_has_power(two, deed):
    browser = two.browser("ada")
    made(two, browser)
    with two.portal.base.database.begin() as transaction:
        deed(two, found(transaction, "nina"), transaction)
    assert "Correct the contacts" not in browser.get(f"{ADMIN}/nina").text
    assert act(browser, "nina", "contacts", **RIGHT).status_code == 409
    assert addresses(two, "nina") == ["nina@example.org"]
    assert not events(two, "nina", Event.CONTACTS_FILED)


def test_contacts_of_accounts_in_use_are_their_own(two):
    browser = two.browser("ada")
    assert act(browser, "jane", "contacts", **RIGHT).status_code == 409
    assert act(browser, "guest", "contacts", **RIGHT).status_code == 403
    assert addresses(two, "jane") == [MAIL["jane"]]
    assert addresses(two, "guest") == [MAIL["guest"]]
