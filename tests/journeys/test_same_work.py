"""Doors that take words or a User ID beside sign-in and recovery: what they find is not to be told by the work.

The words of an approval, of which the first find a request, and a membership that is proposed to a User ID (security
rules 12 and 14).
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.foundation.wordlist import in_words, octets_of
from app.records.cases import rules
from app.records.cases import store as cases
from app.records.cases.model import WORDS, Action, Request, RequestState
from app.records.organizations.model import DEFAULT, Role
from app.records.people import store as people
from app.records.people.model import Person, Status
from app.wiring import build_approval_means, build_steps
from tests.journeys import behind
from tests.journeys.test_enumeration import EMAIL, PHONE, ROUNDS, SPREAD, TIMES, Pairs, Walk, clocked, telling, warm_up
from tests.portal import PASSWORD, Browser, Portal, opened
from tests.programs import ALLOWING, AUTHENTICATE, Program

WIDE: dict[str, Any] = {"limit_starts_per_address": 100_000, "limit_tries_per_address": 100_000}
MEASUREMENTS = 3
# Rows that are kept cost more than rows that are not, and the administrators who propose are signed in and counted.
# What is looked for here is a hash, a look-up or a letter too many, each of which is more than this.
OF_STAFF = 0.12


# ---- the words of an approval


def asked(portal: Portal, person: Person) -> bytes:
    """Ask somebody for an approval; the octets of its words."""
    now = portal.base.clock.now()
    means = build_approval_means(portal.base, portal.means, build_steps(portal.base, portal.means))
    with portal.base.database.begin() as transaction:
        request = Request(
            id=portal.base.chance.name(),
            person_id=person.id,
            organization_id=person.home_organization,
            action=Action.UNLOCK,
            target="",
            reason="Asked for by a test",
            state=RequestState.ASKED,
            needs=rules.needs(Action.UNLOCK, reachable=True),
            asked_by=person.id,
            asked_at=now,
            expires_at=now,
            contact_id=people.contacts_of(transaction, person.id)[0].id,
        )
        coded, words = means.casework.new_code(rules.begun(request, now))
        cases.add_request(transaction, coded)
    octets = octets_of(words, WORDS)
    assert octets is not None
    return octets


def wrong_for(octets: bytes) -> str:
    """Words that find the request and do not fit."""
    return in_words(octets[:-1] + bytes([octets[-1] ^ 1]))


def of_nothing(octets: bytes) -> str:
    """Words that find no request, with the same beginning."""
    return in_words(octets[:1] + bytes([octets[1] ^ 1]) + octets[2:])


def test_wrong_words_of_a_request_take_the_work_of_words_of_nothing(database, valkey_url, clock, keyring):
    with opened(database, valkey_url, clock, keyring, **WIDE) as portal:
        warm_up(portal)
        person = portal.add("jane", phone=PHONE, email=EMAIL)
        octets, ended = asked(portal, person), asked(portal, portal.add("gone", phone=PHONE, status=Status.INACTIVE))
        typed = {"known001": wrong_for(octets), "nobody01": of_nothing(octets), "inactive": in_words(ended)}
        # so many that its tries are used up on the way
        walk = Walk(portal, valkey_url, tuple(typed))
        walk.begin()
        walk.get("/approve")
        for _ in range(7):
            walk.step("POST /approve", lambda browser, who: browser.post("/approve", code=typed[who]), expected=422)
        assert behind.happened(portal, person.id, "support_approval_code_fail") == 5
        for who in ("known001", "inactive"):
            walk.compare(who, "nobody01")
        if portal.base.database.is_sqlite:
            assert all(sum(one.written) == 1 for one in walk.seen["nobody01"][1:])
        walk.close()


# ---- a proposed membership


def chiefs(portal: Portal, count: int) -> list[Browser]:
    """Administrators of one organization, signed in, each in a network of their own."""
    found = []
    for number in range(count):
        portal.add(f"chief{number:03d}", phone=PHONE, role=Role.ADMINISTRATOR)
        browser = portal.browser(REMOTE_ADDR=f"203.0.113.{number + 1}")
        browser.sign_in(portal, f"chief{number:03d}")
        assert browser.get("/admin/people/propose").status_code == 200
        found.append(browser)
    return found


def test_a_proposal_to_anybody_takes_the_work_of_one_to_nobody(database, valkey_url, clock, keyring):
    with opened(database, valkey_url, clock, keyring, **WIDE) as portal:
        warm_up(portal)
        far: dict[str, Any] = {"phone": PHONE, "email": EMAIL, "home": "other"}
        known = portal.add("known001", **far)
        portal.add("inactive", **far, status=Status.INACTIVE)
        portal.add("reached0", home="other")
        portal.add("member01", phone=PHONE, email=EMAIL)
        asked_before = portal.add("waiting1", **far)
        behind.join(portal, asked_before, "default", clock.now() - 60)
        walk = Walk(portal, valkey_url, ("nobody01", "known001", "inactive", "reached0", "member01", "waiting1"))
        staff = dict(zip(walk.people, chiefs(portal, len(walk.people)), strict=True))

        def propose(_: Browser, user_id: str) -> TestResponse:
            return staff[user_id].post("/admin/people/propose", user_id=user_id, organization="")

        # the first of all finds nothing compiled, and no key derived
        staff["nobody01"].post("/admin/people/propose", user_id="warm0001", organization="")
        walk.begin()
        for _ in range(5):
            walk.step("POST /admin/people/propose", propose, expected=303)
        for user_id in walk.people:
            walk.compare(user_id, "nobody01")
        walk.close()
        told = [row["person_id"] for row in behind.queued(portal, "notice_membership_proposed")]
        assert told == [known.id, known.id]


# ---- a program that asks about a password


def test_a_program_that_asks_about_anybody_makes_the_work_of_asking_about_nobody(database, valkey_url, clock, keyring):
    """The password of whoever is not allowed is the right one: it must not be seen either."""
    with opened(database, valkey_url, clock, keyring, **WIDE) as portal:
        warm_up(portal)
        portal.decide(ALLOWING)
        portal.add("known001", phone=PHONE, email=EMAIL)
        portal.add("inactive", phone=PHONE, email=EMAIL, status=Status.INACTIVE)
        portal.add("frozen01", phone=PHONE, email=EMAIL, status=Status.FROZEN)
        portal.add("denied01", phone=PHONE, email=EMAIL, home="other")
        portal.add("shut0001", phone=PHONE, email=EMAIL, home="other", status=Status.INACTIVE)
        portal.add("network1", phone=PHONE, email=EMAIL, home="networked")
        portal.decide(replace(ALLOWING, authenticate_user_networks=("203.0.113.0/24",)), "networked")
        wrong = ("nobody01", "known001", "inactive", "frozen01")
        typed = dict.fromkeys(wrong, "a wrong password, quite")
        typed |= dict.fromkeys(("denied01", "shut0001", "network1"), PASSWORD)
        always = typed
        walk = Walk(portal, valkey_url, tuple(typed))

        def ask(browser: Browser, user_id: str) -> TestResponse:
            body = {"user_name": user_id, "password": typed[user_id]}
            return browser.client.post(AUTHENTICATE, json=body, environ_overrides=browser.environ)

        walk.begin()
        for number in range(8):
            walk.step(f"POST {AUTHENTICATE}", ask, expected=401)
            # each other time the same one again, which is counted once
            typed = dict.fromkeys(typed, f"wrong password {number}") if number % 2 else always
        for user_id in typed:
            walk.compare(user_id, "nobody01")
        walk.close()


# ---- time


def telling_by_time(portal: Portal, measure: Callable[[Portal, Pairs, int], None], spread: float = SPREAD) -> str:
    """What tells the two apart in each of three measurements; empty where nothing does."""
    found: dict[str, list[str]] = defaultdict(list)
    for number in range(MEASUREMENTS):
        times: Pairs = defaultdict(list)
        measure(portal, times, number)
        for step, pairs in times.items():
            if told := telling(pairs, spread):
                found[step].append(told)
        if not any(len(told) == number + 1 for told in found.values()):
            return ""
    return "; ".join(f"{step}: {', '.join(told)}" for step, told in found.items() if len(told) == MEASUREMENTS)


def test_no_clock_tells_words_of_a_request_from_words_of_nothing(database, valkey_url, clock, keyring):
    def measure(portal: Portal, times: Pairs, number: int) -> None:
        browsers = [portal.browser(REMOTE_ADDR=f"198.51.100.{who}") for who in (1, 2)]
        for browser in browsers:
            browser.get("/approve")
        for turn in range(ROUNDS):
            octets = asked(portal, portal.add(f"jane{number}{turn:03d}", phone=PHONE, password="", app=False))
            typed = (wrong_for(octets), of_nothing(octets))
            for _ in range(TIMES):
                acts = [
                    lambda browser=browser, words=words: browser.post("/approve", code=words)
                    for browser, words in zip(browsers, typed, strict=True)
                ]
                clocked(times, "words", acts, 422)

    with opened(database, valkey_url, clock, keyring, **WIDE) as portal:
        warm_up(portal)
        told = telling_by_time(portal, measure)
        assert not told, told


def test_no_clock_tells_a_proposal_to_somebody_from_one_to_nobody(database, valkey_url, clock, keyring):
    def measure(portal: Portal, times: Pairs, number: int) -> None:
        for turn in range(ROUNDS * TIMES):
            known, nobody = f"known{number}{turn:03d}", f"noone{number}{turn:03d}"
            portal.add(known, phone=PHONE, email=EMAIL, password="", app=False, home="other")
            acts = [
                lambda browser=browser, user_id=user_id: browser.post(
                    "/admin/people/propose", user_id=user_id, organization=""
                )
                for browser, user_id in zip(browsers, (known, nobody), strict=True)
            ]
            clocked(times, "proposal", acts, 303)

    with opened(database, valkey_url, clock, keyring, **WIDE) as portal:
        warm_up(portal)
        browsers = chiefs(portal, 2)
        told = telling_by_time(portal, measure, OF_STAFF)
        assert not told, told


@pytest.mark.parametrize(("home", "status"), [("other", Status.ACTIVE), (DEFAULT, Status.INACTIVE)])
def test_no_clock_tells_a_program_whom_it_may_not_ask_for_from_nobody(
    sqlite_database, valkey_url, clock, keyring, home, status
):
    """The password of whoever is not allowed is the right one; that of somebody inactive is wrong."""

    def measure(portal: Portal, times: Pairs, number: int) -> None:
        for turn in range(ROUNDS):
            names = (f"known{number}{turn:03d}", f"noone{number}{turn:03d}")
            portal.add(names[0], phone=PHONE, email=EMAIL, app=False, home=home, status=status)
            for attempt in range(TIMES):
                password = f"wrong password {attempt}" if home == DEFAULT or attempt else PASSWORD
                acts = [
                    partial(Program(portal, address=f"198.51.{who}.{turn}").authenticate, name, password)
                    for who, name in enumerate(names)
                ]
                clocked(times, "password", acts, 401)

    # still cheaper than any portal hashes; a person's own row costs 0.1 ms, which the hash has to hide
    costly: dict[str, Any] = {"argon2_memory_kib": 8_192, "argon2_passes": 1}
    with opened(sqlite_database, valkey_url, clock, keyring, **WIDE, **costly) as portal:
        warm_up(portal)
        portal.decide(ALLOWING)
        told = telling_by_time(portal, measure)
        assert not told, told
