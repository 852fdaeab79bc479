"""Role by route: whom the doors of staff let in, and that staff of one organization get at nothing of another's.

Every door of tests/doors.py that is guarded as one of staff is tried, those of later journeys too.
"""

import re
from typing import Any

import pytest
from sqlalchemy import or_, select

from app.factors.totp import store as apps
from app.foundation.sql import metadata
from app.records.organizations import store as organizations
from app.records.organizations.model import Role
from app.records.people import store as people
from tests.doors import OWN, PHONE, Door, Guard, standing
from tests.portal import Browser, Portal

STAFF = [door for door in OWN if door.guard in {Guard.SUPPORT, Guard.ADMINISTRATOR}]
EMAIL = "lena@example.org"


def ids(door: Door) -> str:
    return door.rule


@pytest.fixture(scope="module")
def house(sqlite_template, valkey_server, tmp_path_factory):
    """Two organizations with people of each role, and Lena, an agent who signed in by a mailed PIN."""
    with standing(sqlite_template, tmp_path_factory.mktemp("house"), valkey_server.url) as portal:
        for home in ("default", "other"):
            portal.add(f"member-{home}", phone=PHONE, home=home)
            portal.add(f"agent-{home}", phone=PHONE, home=home, role=Role.SUPPORT)
            portal.add(f"chief-{home}", phone=PHONE, home=home, role=Role.ADMINISTRATOR)
        portal.add("lena", email=EMAIL, role=Role.ADMINISTRATOR)
        yield portal


@pytest.fixture(scope="module")
def browsers(house) -> dict[str, Browser]:
    """One that is signed in for each, and one that is not."""
    found = {"guest": house.browser()}
    for user_id in ("member-default", "agent-default", "chief-default", "agent-other", "chief-other"):
        found[user_id] = house.browser()
        found[user_id].sign_in(house, user_id)
    found["lena"] = house.browser()
    found["lena"].sign_in_by_pin(house, "lena", EMAIL)
    for browser in found.values():
        browser.get("/recovery/other-ways")
    return found


def answers(browser: Browser, door: Door, path: str = "") -> list[tuple[int, str]]:
    """What a door says to a GET and to a POST with nothing filled in: statuses and where they lead."""
    token, said = browser.token(), []
    if "GET" in door.methods:
        got = browser.get(path or door.path)
        said.append((got.status_code, got.location or ""))
    if "POST" in door.methods:
        sent: dict[str, Any] = dict.fromkeys(door.fields, "")
        got = browser.post(path or door.path, csrf_token=token, **sent)
        said.append((got.status_code, got.location or ""))
    return said


def test_there_are_doors_of_staff():
    assert {"/support", "/support/people", "/support/people/<user_id>"} <= {door.rule for door in STAFF}


@pytest.mark.parametrize("door", STAFF, ids=ids)
def test_guests_are_sent_to_sign_in(browsers, door):
    for status, location in answers(browsers["guest"], door):
        assert (status, location) in {(303, "/sign-in"), (409, "")}


@pytest.mark.parametrize("door", STAFF, ids=ids)
def test_members_are_refused(browsers, door):
    assert {status for status, _ in answers(browsers["member-default"], door)} == {403}


@pytest.mark.parametrize("door", STAFF, ids=ids)
def test_agents_pass_doors_of_support_and_none_of_administrators(browsers, door):
    statuses = {status for status, _ in answers(browsers["agent-default"], door)}
    assert (statuses == {403}) is (door.guard is Guard.ADMINISTRATOR)
    assert 500 not in statuses


@pytest.mark.parametrize("door", STAFF, ids=ids)
def test_administrators_pass_every_one(browsers, door):
    assert not {status for status, _ in answers(browsers["chief-default"], door)} & {403, 500}


@pytest.mark.parametrize("door", STAFF, ids=ids)
def test_staff_who_signed_in_by_a_mailed_pin_are_asked_for_more(browsers, door):
    """Sign-in by staff takes two factors."""
    for status, location in answers(browsers["lena"], door):
        assert (status, location) in {(303, "/step-up"), (409, "")}


def stripped(portal: Portal, browser: Browser, path: str) -> tuple[int, str]:
    got = browser.get(path)
    name = path.split("/")[3]
    changing = r'[0-9a-f]{32}|name="csrf_token" value="[^"]*"'
    return got.status_code, re.sub(changing, "", got.text).replace(name, "")


@pytest.mark.parametrize("door", [one for one in STAFF if "<user_id>" in one.rule], ids=ids)
@pytest.mark.parametrize("who", ["agent-default", "chief-default"])
def test_whoever_belongs_to_another_organization_is_nobody_to_staff(house, browsers, door, who):
    """ASVS 8.2.2: the same bytes and the same refusals as for a User ID that nobody has."""
    refused = 403 if door.guard is Guard.ADMINISTRATOR and who.startswith("agent") else 404
    for user_id in ("member-other", "agent-other", "chief-other"):
        theirs, nobodys = (door.rule.replace("<user_id>", one) for one in (user_id, "nobody-x"))
        if "GET" in door.methods:
            assert stripped(house, browsers[who], theirs) == stripped(house, browsers[who], nobodys)
        assert answers(browsers[who], door, theirs) == answers(browsers[who], door, nobodys)
        assert {status for status, _ in answers(browsers[who], door, theirs)} <= {refused}


@pytest.mark.parametrize("who", ["agent-default", "agent-other"])
def test_a_search_shows_ones_own_organization_alone(browsers, who):
    own = who.partition("-")[2]
    for typed in ("member", "agent", "chief", "doe"):
        page = browsers[who].get("/support/people", query_string={"q": typed}).text
        found = re.findall(r'<li data-user-id="([^"]+)"', page)
        assert found
        assert all(one == "lena" or one.endswith(own) for one in found)
    assert browsers[who].get(f"/support/people/member-{own}").status_code == 200


# ---- ids of another organization, wherever an id can be sent


def foreign(portal: Portal) -> dict[str, str]:
    """What another organization has, by the name of the field that takes such a thing."""
    with portal.base.database.read() as looking:
        other = organizations.find(looking, "other")
        member = people.find(looking, "member-other")
        assert other is not None
        assert member is not None
        return {
            "organization": other.id,
            "contact": people.contacts_of(looking, member.id)[0].id,
            "app": apps.of_person(looking, member.id)[0].id,
            "user_id": "member-other",
        }


def held(portal: Portal) -> list[tuple[Any, ...]]:
    """Every row that belongs to the other organization, or to one of its people."""
    rows: list[tuple[Any, ...]] = []
    with portal.base.database.read() as looking:
        other = organizations.find(looking, "other")
        assert other is not None
        found = (people.find(looking, f"{who}-other") for who in ("member", "agent", "chief"))
        theirs = [one.id for one in found if one is not None]
        for table in metadata.sorted_tables:
            columns = table.c
            names = [name for name in ("organization_id", "home_organization") if name in columns]
            where = [columns[name] == other.id for name in names]
            if "person_id" in columns:
                where.append(columns.person_id.in_(theirs))
            if table.name == "organizations":
                where.append(columns.id == other.id)
            if table.name in {"sessions", "known_browsers"} or not where:
                continue  # which their own browsers touch
            rows += [(table.name, *row) for row in looking.execute(select(table).where(or_(*where)))]
    return rows


TYPED = {
    "reason": "A reason that is long enough",
    "role": "administrator",
    "name": "Thief",
    "do": "ask",
    "q": "",
    "list": "",
    "days": "30",
    "address": "thief@example.org",
    "password_min_length": "20",
    "based_on": "0",
    "settings": "all",
    "profile": "classic",
}


@pytest.mark.parametrize("door", [one for one in STAFF if "POST" in one.methods], ids=ids)
def test_no_id_of_another_organization_is_good_in_any_field(house, browsers, door):
    """ASVS 8.2.2: with every other field as it should be, and at the pages of one's own people."""
    before, sent = held(house), {**TYPED, **foreign(house)}
    browser = browsers["chief-default"]
    path = door.rule.replace("<user_id>", "member-default") if "<user_id>" in door.rule else door.path
    answer = browser.post(path, csrf_token=browser.token(), **sent)
    assert answer.status_code in {303, 400, 403, 404, 409, 413, 422}
    assert held(house) == before


@pytest.mark.parametrize("door", [one for one in STAFF if "GET" in one.methods and "<" not in one.rule], ids=ids)
def test_no_page_shows_another_organization_by_its_id(house, browsers, door):
    answer = browsers["chief-default"].get(door.path, query_string={"organization": foreign(house)["organization"]})
    assert answer.status_code in {200, 303, 404, 409}
    for name in ("member-other", "agent-other", "chief-other"):
        assert name not in answer.text
