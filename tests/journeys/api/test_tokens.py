"""Tokens: looked at and ended by API clients, dead with whatever ends the rest (RFC 7662, RFC 7009; A-16, S1-09)."""

import pytest

from app.records.clients import store as clients
from app.records.people import store as people
from app.records.people.model import Status
from app.steps import freezing
from tests.journeys import behind
from tests.meanwhile import before_writing
from tests.portal import NEW_PASSWORD, PASSWORD, opened
from tests.programs import ALLOWING, AUTHENTICATE, INTROSPECT, REVOKE, Program, make_client


@pytest.fixture
def allowing(portal):
    portal.decide(ALLOWING)
    portal.add("ana", email="ana@example.org")
    return portal


@pytest.fixture
def program(allowing):
    return Program(allowing, make_client(allowing))


def test_a_client_learns_whose_token_it_is_and_by_what_it_was_earned(allowing, program):
    now = allowing.base.clock.now()
    looked = program.introspect(program.token("ana"))
    assert (looked["active"], looked["username"], looked["sub"]) == (True, "ana", "ana")
    assert (looked["iat"], looked["exp"], looked["amr"]) == (now, now + 1800, ["pwd"])
    assert (looked["account"]["name"], looked["account"]["is_primary"]) == ("default", True)
    assert looked["iss"] == "http://localhost"


def test_a_token_dies_after_thirty_minutes(allowing, program):
    token = program.token("ana")
    allowing.base.clock.advance(1799)
    assert program.is_good(token)
    allowing.base.clock.advance(1)
    assert program.introspect(token) == {"active": False}


@pytest.mark.parametrize("token", ["x", "ünsinn", "\udc80", "x" * 4096], ids=["short", "letters", "half", "long"])
def test_what_is_no_token_is_not_active(program, token):
    assert program.introspect(token) == {"active": False}


def test_form_fields_do_as_the_standards_have_it(program):
    token = program.token("ana")
    form = "application/x-www-form-urlencoded"
    answer = program.call(INTROSPECT, f"token={token}&token_type_hint=access_token".encode(), content_type=form)
    assert answer.json["active"] is True
    assert program.call(REVOKE, f"token={token}".encode(), content_type=form).status_code == 200
    assert not program.is_good(token)
    assert program.call(INTROSPECT, b"token=a&token=b", content_type=form).status_code == 400
    assert program.call(INTROSPECT, b"", content_type=form).status_code == 422


def test_a_client_of_another_organization_neither_sees_nor_ends_a_token(allowing, program):
    token = program.token("ana")
    allowing.add("bob", home="other")
    other = Program(allowing, make_client(allowing, "other"))
    assert other.introspect(token) == {"active": False}
    assert other.call(REVOKE, {"token": token}).status_code == 200
    assert program.is_good(token)


def test_a_client_sees_a_member_of_its_organization_from_when_they_accepted_it(allowing):
    for name, proposed_at in (("invited", 1), ("joined", None)):
        person = allowing.add(name)
        token = Program(allowing).token(name)
        behind.join(allowing, person, "other", proposed_at)
        program = Program(allowing, make_client(allowing, "other"))
        looked = program.introspect(token)
        assert looked["active"] is (proposed_at is None)
        assert program.call(REVOKE, {"token": token}).status_code == 200
        assert behind.happened(allowing, person.id, "authn_api_token_revoked") == (proposed_at is None)
    assert (looked["account"]["name"], looked["account"]["is_primary"]) == ("other", False)


def test_the_end_of_a_token_is_written_down_once_with_the_client_that_ended_it(one_portal):
    one_portal.decide(ALLOWING)
    ana = one_portal.add("ana")
    program = Program(one_portal, make_client(one_portal))
    token = program.token("ana")
    other = Program(one_portal, make_client(one_portal))
    with before_writing(one_portal.base.database, lambda: other.call(REVOKE, {"token": token})):
        assert program.call(REVOKE, {"token": token}).status_code == 200
    assert behind.happened(one_portal, ana.id, "authn_api_token_revoked") == 1
    assert other.client is not None
    assert [row for row in behind.tables(one_portal)["audit_events"] if other.client[0] in repr(row)]


def test_revoking_counts_against_the_limit_of_the_client(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_api_per_client=2) as portal:
        portal.decide(ALLOWING)
        portal.add("ana")
        program = Program(portal, make_client(portal))
        token = program.token("ana")
        answers = [program.call(REVOKE, {"token": one}) for one in ("x", "x", token)]
        assert [one.status_code for one in answers] == [200, 200, 429]
        assert Program(portal, make_client(portal)).is_good(token)


def test_an_address_that_comes_with_wrong_secrets_is_told_to_wait_and_a_right_one_is_not(
    sqlite_database, valkey_url, clock, keyring
):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_tries_per_address=2) as portal:
        portal.decide(ALLOWING)
        client = make_client(portal)
        guesses = [Program(portal, (client[0], f"guess {n}")).call(INTROSPECT, {"token": "x"}) for n in range(3)]
        assert [one.status_code for one in guesses] == [401, 401, 429]
        assert Program(portal, client).call(INTROSPECT, {"token": "x"}).status_code == 200


def test_revoking_ends_a_token_once_and_what_is_none_is_answered_alike(allowing, program):
    token = program.token("ana")
    first = program.call(REVOKE, {"token": token})
    again = program.call(REVOKE, {"token": token})
    assert (first.status_code, first.text) == (again.status_code, again.text) == (200, "{}")
    assert not program.is_good(token)


@pytest.mark.parametrize("path", [INTROSPECT, REVOKE])
def test_only_clients_may_ask(allowing, program, path):
    token = program.token("ana")
    client, secret = program.client
    for given in (None, (client, "wrong"), ("none", secret), (client, ""), ("", "")):
        answer = Program(allowing, given).call(path, {"token": token})
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="keyturn-api", charset="UTF-8"'
    for header in ("Bearer x", "Basic", "Basic !!", "Basic /w=="):
        assert Program(allowing).call(path, {"token": token}, headers={"Authorization": header}).status_code == 401
    assert program.is_good(token)


@pytest.mark.parametrize("path", [AUTHENTICATE, INTROSPECT, REVOKE])
def test_control_characters_in_credentials_are_no_client_on_any_database(portal, path):
    portal.decide(ALLOWING)
    portal.add("ana")
    for given in (("a\x00b", "x"), ("a", "\x00"), ("\x7f", "x"), ("a\nb", "x")):
        answer = Program(portal, given).call(path, {"token": "x", "user_name": "ana", "password": PASSWORD})
        assert answer.status_code == 401, answer.text
        assert answer.json["error"] == "invalid_client"


def test_a_revoked_client_may_ask_no_more(allowing, program):
    with allowing.base.database.begin() as transaction:
        clients.revoke(transaction, program.client[0], 1)
    assert program.call(INTROSPECT, {"token": "x"}).status_code == 401


def test_an_earlier_secret_is_good_for_a_day_and_no_longer(allowing, program):
    name, _ = program.client
    now = allowing.base.clock.now()
    with allowing.base.database.begin() as transaction:
        client = clients.find(transaction, name)
        assert client is not None
        assert clients.rotate(transaction, client, "a" * 64, now + 86_400, now)
    allowing.base.clock.advance(86_399)
    assert program.call(INTROSPECT, {"token": "x"}).status_code == 200
    allowing.base.clock.advance(1)
    assert program.call(INTROSPECT, {"token": "x"}).status_code == 401


# ---- what ends a token


def change_password(portal, browser, **more):
    browser.sign_in(portal, "ana")
    browser.get("/authenticators/password")
    answer = browser.post(
        "/authenticators/password",
        current_password=PASSWORD,
        new_password=NEW_PASSWORD,
        confirm_password=NEW_PASSWORD,
        **more,
    )
    assert answer.status_code == 303, answer.text


def test_a_new_password_ends_it_wherever_it_was_set(allowing, program):
    token = program.token("ana")
    change_password(allowing, allowing.browser())
    assert not program.is_good(token)


def test_signing_out_everywhere_ends_it(allowing, program):
    token = program.token("ana")
    browser, elsewhere = allowing.browser(), allowing.browser()
    elsewhere.sign_in(allowing, "ana")
    allowing.base.clock.advance(60)
    browser.sign_in(allowing, "ana")
    browser.get("/sessions")
    assert browser.post("/sessions", all="yes").status_code == 303
    assert not program.is_good(token)


def test_signing_out_everywhere_ends_it_where_there_is_no_other_session(allowing, program):
    token = program.token("ana")
    browser = allowing.browser()
    browser.sign_in(allowing, "ana")
    assert "1 program was told" in browser.get("/sessions").text
    assert browser.post("/sessions", all="yes").status_code == 303
    assert not program.is_good(token)
    assert "program was told" not in browser.get("/sessions").text


def test_a_freeze_and_a_deactivation_end_it(allowing, program):
    for end in ("deactivate", "freeze"):
        person = allowing.add(end)
        token = program.token(end)
        with allowing.base.database.begin() as transaction:
            if end == "deactivate":
                freezing.deactivate(transaction, person.id, "s" * 32, allowing.base.clock.now())
                people.reactivate(transaction, person.id, "t" * 32)
            else:
                people.freeze(transaction, person.id, "s" * 32)
        assert not program.is_good(token)


def test_of_whoever_is_not_active_no_token_is_good(allowing, program):
    ana = allowing.add("anna")
    token = program.token("anna")
    for status in (Status.INACTIVE, Status.FROZEN, Status.ACTIVE):
        with allowing.base.database.begin() as transaction:
            people.set_status(transaction, ana.id, status)
        assert program.is_good(token) is (status is Status.ACTIVE)


def test_a_token_opens_no_page_of_the_portal(allowing, program):
    token = program.token("ana")
    browser = allowing.browser()
    for name in ("session", "keyturn_session", "__Host-session"):
        browser.client.set_cookie(name, token)
    assert browser.get("/authenticators").status_code == 303


def test_whoever_ended_a_token_is_called_a_program_and_not_staff(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("ana", email="ana@example.org")
    client = make_client(one_portal)
    program = Program(one_portal, client)
    assert program.call(REVOKE, {"token": program.token("ana")}).status_code == 200
    browser = one_portal.browser()
    browser.sign_in(one_portal, "ana")
    page = browser.get("/activity").text
    assert "by a program" in page
    assert "by staff" not in page
    assert client[0] not in page
