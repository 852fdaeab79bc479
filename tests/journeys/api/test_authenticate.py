"""AuthenticateUser in JSON: what a program is told, and when (product.md section 4; security rules 3, 10 and 14)."""

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from app.records.audit.store import events
from app.records.organizations import store as organizations
from app.records.organizations.model import (
    PRESETS,
    LockoutPolicy,
    OnFailures,
    PasswordPolicy,
    Policy,
    Profile,
    Role,
)
from app.records.people import store as people
from app.records.people.model import Status
from app.records.sessions.store import api_tokens
from app.steps import freezing
from app.steps.credentials import SENTENCES, Cause
from tests.meanwhile import before_writing
from tests.portal import PASSWORD, opened
from tests.programs import ALLOWING, AUTHENTICATE, Program, make_client

LONG = "correct horse battery staple and more"


@pytest.fixture
def portal_with(sqlite_database, valkey_url, clock, keyring):
    return lambda **settings: opened(sqlite_database, valkey_url, clock, keyring, **settings)


@pytest.fixture
def allowing(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("ana", email="ana@example.org")
    return one_portal


def cause(answer):
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.json["success"] is False
    (exception,) = answer.json["exceptions"]
    assert exception == {"severity": "Error", "text": answer.json["detail"]}
    return next(one for one in Cause if SENTENCES[one] == answer.json["detail"])


def alike(answer):
    """An answer without what differs for everybody."""
    body = dict(answer.json)
    body.pop("instance")
    kept = {name: value for name, value in answer.headers.items() if name not in {"X-Request-Id", "Date"}}
    return answer.status_code, body, kept


def reasons(portal):
    with portal.base.database.read() as looking:
        found = select(events.c.event, events.c.reason).where(events.c.details.like('%"authenticate_user"%'))
        return [tuple(row) for row in looking.execute(found.order_by(events.c.id))]


def test_the_right_password_gives_a_token_the_names_and_the_accounts(allowing):
    answer = Program(allowing).authenticate("ANA ")
    assert answer.status_code == 200
    body = answer.json
    assert (body["success"], body["user_name"], body["expires_in"]) == (True, "ana", 1800)
    (account,) = body["accounts"]
    assert (account["name"], account["is_primary"]) == ("default", True)
    assert re.fullmatch(r"[0-9a-f-]{36}", account["context_identifier"])
    assert len(body["authentication_token"]) >= 43
    assert body["change_password_url"].startswith("http://localhost/sign-in/to/")
    assert "expired_password_url" not in body
    with allowing.base.database.read() as looking:
        (row,) = looking.execute(select(api_tokens)).all()
    assert body["authentication_token"] not in str(tuple(row))


def test_nothing_is_told_of_whom_an_organization_does_not_allow_it_for(allowing):
    """Not even that the password was right: without a second factor it would be an oracle."""
    allowing.add("bob", home="other")
    program = Program(allowing)
    unknown = alike(program.authenticate("nobody"))
    assert alike(program.authenticate("bob")) == unknown
    assert alike(program.authenticate("ana", "wrong password, quite")) == unknown
    assert unknown[1]["detail"] == SENTENCES[Cause.INVALID]


def test_every_organization_of_a_person_has_to_allow_it(allowing):
    person = allowing.add("both")
    allowing.add("bob", home="other")
    with allowing.base.database.begin() as transaction:
        other = organizations.find(transaction, "other")
        assert other is not None
        organizations.join(transaction, person.id, other.id, Role.MEMBER, is_primary=False)
    assert cause(Program(allowing).authenticate("both")) is Cause.INVALID
    allowing.decide(ALLOWING, "other")
    assert Program(allowing).authenticate("both").status_code == 200


@pytest.mark.parametrize(
    ("address", "let_in"), [("203.0.113.7", True), ("::ffff:203.0.113.7", True), ("203.0.114.7", False), ("x", False)]
)
def test_it_can_be_limited_to_networks(one_portal, address, let_in):
    one_portal.decide(
        Policy(
            ALLOWING.profile, ALLOWING.password, authenticate_user=True, authenticate_user_networks=("203.0.113.0/24",)
        )
    )
    one_portal.add("ana")
    answer = Program(one_portal, address=address).authenticate("ana")
    assert (answer.status_code == 200) is let_in


def test_an_inactive_person_is_told_so_after_the_right_password_alone(allowing):
    allowing.add("gone", status=Status.INACTIVE)
    program = Program(allowing)
    assert cause(program.authenticate("gone")) is Cause.INACTIVE
    assert cause(program.authenticate("gone", "wrong password, quite")) is Cause.INVALID


def test_a_password_that_has_to_be_changed_gives_no_token_but_the_way(allowing):
    allowing.add("new", must_change=True)
    answer = Program(allowing).authenticate("new")
    assert cause(answer) is Cause.CHANGE_REQUIRED
    assert answer.json["change_password_url"].startswith("http://localhost/sign-in/to/")
    assert cause(Program(allowing).authenticate("new", "wrong password, quite")) is Cause.INVALID


def test_an_expired_password_gives_no_token_but_the_way(allowing):
    allowing.decide(Policy(password=PasswordPolicy(min_length=15, max_age_days=90), authenticate_user=True))
    allowing.base.clock.advance(90 * 86_400)
    answer = Program(allowing).authenticate("ana")
    assert cause(answer) is Cause.EXPIRED
    assert "expired_password_url" in answer.json
    assert "change_password_url" not in answer.json


def test_a_password_that_is_too_short_to_stand_alone_has_to_be_changed(allowing):
    """It may be older than the policy that made it a sole factor (NIST SP 800-63B-4 sec. 3.1.1.2)."""
    allowing.add("short", password="fourteen chars")
    assert cause(Program(allowing).authenticate("short", "fourteen chars")) is Cause.CHANGE_REQUIRED


def test_whoever_owes_a_security_question_gets_no_token_but_the_way(allowing):
    classic = PRESETS[Profile.CLASSIC]
    fifteen = replace(classic.password, min_length=15)
    allowing.decide(replace(classic, password=fifteen, authenticate_user=True))
    allowing.add("appless", app=False)
    answer = Program(allowing).authenticate("appless")
    assert cause(answer) is Cause.QUESTION_REQUIRED
    assert answer.json["update_security_question_url"].startswith("http://localhost/sign-in/to/")
    assert cause(Program(allowing).authenticate("appless", "wrong password, quite")) is Cause.INVALID
    assert "update_security_question_url" not in Program(allowing).authenticate("ana").json


def test_locked_comes_at_the_same_count_for_known_and_unknown_and_right_is_told_no_better(allowing):
    told = []
    for name in ("ana", "nobody"):
        program = Program(allowing)
        told.append([cause(program.authenticate(name, f"wrong password {n}")) for n in range(7)])
    assert told[0] == told[1] == [Cause.INVALID] * 5 + [Cause.LOCKED] * 2
    program = Program(allowing)
    right, wrong, unknown = (
        alike(program.authenticate(*pair)) for pair in (("ana", PASSWORD), ("ana", LONG), ("nobody", LONG))
    )
    assert right == wrong == unknown
    assert right[2]["Retry-After"] == "30"


def test_a_program_that_asks_all_day_long_refills_no_guessers_day(portal_with):
    """Each right password ends the waits, and a mail program asks every minute."""
    with portal_with(limit_starts_per_address=1_000, limit_tries_per_address=1_000) as portal:
        portal.decide(ALLOWING)
        portal.add("ana")
        owner, guesser = Program(portal), Program(portal, address="198.51.100.9")
        for minute in range(25):
            guesses = [guesser.authenticate("ana", f"wrong password {minute}:{n}") for n in range(4)]
            assert [cause(one) for one in guesses] == [Cause.INVALID] * 4
            told = owner.authenticate("ana")
            assert told.status_code == 200 if minute < 24 else cause(told) is Cause.LOCKED
            portal.base.clock.advance(60)
        assert cause(guesser.authenticate("ana", "another wrong password")) is Cause.LOCKED
        portal.base.clock.advance(86_400)
        assert owner.authenticate("ana").status_code == 200


def test_the_same_tries_at_the_page_and_in_json_count_together(allowing):
    program, browser = Program(allowing), allowing.browser()
    for n in range(3):
        program.authenticate("ana", f"wrong password {n}")
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="ana")
    for n in range(3, 5):
        browser.get("/sign-in/password")
        assert browser.post("/sign-in/password", password=f"wrong password {n}").status_code == 422
    browser.get("/sign-in/password")
    assert browser.post("/sign-in/password", password=PASSWORD).status_code == 429
    assert cause(program.authenticate("ana")) is Cause.LOCKED


def test_a_lock_of_the_organization_holds_here_and_is_told_like_a_wrong_password(allowing):
    lock = LockoutPolicy(OnFailures.LOCK, after=3, minutes=0)
    allowing.decide(Policy(password=PasswordPolicy(min_length=15), lockout=lock, authenticate_user=True))
    program = Program(allowing)
    for n in range(3):
        program.authenticate("ana", f"wrong password {n}")
    assert cause(program.authenticate("ana")) is Cause.INVALID
    allowing.base.clock.advance(86_400)
    assert cause(program.authenticate("ana")) is Cause.INVALID


def _new_password(portal, ana):
    with portal.base.database.begin() as transaction:
        assert people.restamp(transaction, ana.id, ana.stamp, "n" * 32)


def _deactivated(portal, ana):
    with portal.base.database.begin() as transaction:
        assert freezing.deactivate(transaction, ana.id, "n" * 32, portal.base.clock.now()) is not None


@pytest.mark.parametrize("deed", [_new_password, _deactivated])
def test_what_changed_while_the_password_was_hashed_counts(one_portal, deed):
    one_portal.decide(ALLOWING)
    ana = one_portal.add("ana")
    with before_writing(one_portal.base.database, lambda: deed(one_portal, ana), 2):
        assert cause(Program(one_portal).authenticate("ana")) is Cause.INVALID
    with one_portal.base.database.read() as looking:
        assert looking.execute(select(api_tokens)).all() == []


def test_what_a_program_asked_is_in_the_log_with_its_cause(allowing):
    program = Program(allowing)
    program.authenticate("ana", "wrong password, quite")
    program.authenticate("ana")
    assert reasons(allowing) == [
        ("authn_login_fail", "wrong_password"),
        ("authn_password_success", ""),
        ("authn_api_token_created", ""),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"user_name": "a", "user_name": "b", "password": "c"}', 400),
        (b'{"user_name": NaN, "password": "c"}', 400),
        (b"[" * 60_000, 400),
        ({"user_name": "ana"}, 422),
        ({"user_name": 1, "password": "x"}, 422),
        ({"user_name": "ana", "password": ""}, 422),
        ({"user_name": "x" * 300, "password": "y"}, 422),
        ({"user_name": "a\u202eb", "password": "y"}, 401),
        ({"user_name": " ", "password": "y"}, 401),
        ({"user_name": "ana", "password": "x" * 5_000}, 422),
        ({"user_name": "ana", "password": "x" * 2_000}, 422),
        (b'{"user_name": "ana", "password": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
def test_what_is_malformed_is_a_problem_that_repeats_nothing_of_it(allowing, body, status):
    answer = Program(allowing).call(AUTHENTICATE, body)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    assert answer.json["status"] == status
    assert "xxxx" not in answer.text


def test_a_password_with_any_signs_is_judged_as_it_is(allowing):
    allowing.add("amp", password="&" * 70 + "é\U0001f600")
    assert Program(allowing).authenticate("amp", "&" * 70 + "é\U0001f600").status_code == 200


def test_a_lone_surrogate_is_a_wrong_password(allowing):
    answer = Program(allowing).call(AUTHENTICATE, b'{"user_name": "ana", "password": "\\ud800aaaaaaaaaaaaaaa"}')
    assert cause(answer) is Cause.INVALID


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/xml", ""])
def test_another_type_of_body_is_refused(allowing, kind):
    """A page of another site can send no JSON without being asked first (ASVS 3.5.2)."""
    answer = Program(allowing).call(AUTHENTICATE, {"user_name": "ana", "password": PASSWORD}, content_type=kind)
    assert answer.status_code == 415


def test_a_page_of_another_site_is_refused(allowing):
    body = {"user_name": "ana", "password": PASSWORD}
    assert Program(allowing).call(AUTHENTICATE, body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 400


@pytest.mark.parametrize("path", [AUTHENTICATE, "/api/v1/nothing"])
def test_other_methods_and_addresses_are_problems_too(allowing, path):
    answer = Program(allowing).http.get(path, base_url="http://localhost")
    assert answer.status_code in {404, 405}
    assert answer.mimetype == "application/problem+json"


def test_no_cookie_is_ever_set(allowing):
    assert "Set-Cookie" not in Program(allowing).authenticate("ana").headers


def test_an_address_that_asks_too_often_is_told_so(portal_with):
    with portal_with(limit_starts_per_address=2) as portal:
        program = Program(portal)
        for _ in range(2):
            program.authenticate("nobody")
        answer = program.authenticate("nobody")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "RateLimit" not in answer.headers


def test_a_client_is_counted_instead_of_its_address_and_sees_its_own_limit_alone(portal_with):
    with portal_with(limit_starts_per_address=2, limit_api_sign_ins_per_client=4) as portal:
        portal.decide(ALLOWING)
        portal.add("ana")
        program = Program(portal, make_client(portal))
        answers = [program.authenticate(name) for name in ("ana", "nobody", "ana", "nobody")]
        refused = program.authenticate("ana")
        portal.base.clock.advance(60)
        assert program.authenticate("ana").status_code == 200
    assert {one.headers["RateLimit-Policy"] for one in answers} == {'"auth";q=4;w=60'}
    left = [re.findall(r'^"auth";r=(\d+);t=\d+$', one.headers["RateLimit"]) for one in answers]
    assert left == [["3"], ["2"], ["1"], ["0"]]
    assert refused.status_code == 429
    assert refused.json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert refused.json["violated-policies"] == ["auth"]


def test_however_many_clients_an_organization_makes_they_guess_no_more_than_a_few(portal_with):
    """A client stands in for an address, and an administrator makes as many of them as they like."""
    with portal_with(limit_api_sign_ins_per_client=2) as portal:
        portal.decide(ALLOWING)
        portal.add("ana", home="other")
        programs = [Program(portal, make_client(portal)) for _ in range(4)]
        answers = [program.authenticate("ana", "wrong password, quite") for program in programs for _ in range(2)]
        assert [one.status_code for one in answers] == [401] * 6 + [429] * 2
        assert answers[-1].json["violated-policies"] == ["auth-organization"]
        assert int(answers[-1].headers["Retry-After"]) > 0
        theirs = Program(portal, make_client(portal, "other"))
        assert theirs.authenticate("ana").status_code == 401


def test_wrong_credentials_of_a_client_are_refused_before_any_password_is_judged(allowing):
    client, _ = make_client(allowing)
    answer = Program(allowing, (client, "wrong")).authenticate("ana")
    assert answer.status_code == 401
    assert answer.json["error"] == "invalid_client"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert reasons(allowing) == []
