"""Introspection is answered before Flask is woken, and by no byte differently than by the usual way."""

import json

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.portal import opened
from tests.programs import ALLOWING, INTROSPECT, Program, make_client

FORM = "application/x-www-form-urlencoded"
SLOW = {"Sec-Fetch-Site": "none"}  # which no program sends: it goes the usual way


@pytest.fixture
def program(one_portal):
    one_portal.decide(ALLOWING)
    one_portal.add("ana")
    return Program(one_portal, make_client(one_portal))


@pytest.fixture
def flask_is_asleep(one_portal, monkeypatch):
    """Whatever wakes Flask fails."""

    def refuse(*_):
        raise AssertionError("Flask was woken")

    monkeypatch.setattr(one_portal.web, "full_dispatch_request", refuse)


def ask(program, token, kind=FORM, **headers):
    return program.call(INTROSPECT, f"token={token}".encode(), content_type=kind, headers=headers)


def plain(answer):
    kept = {(name, value) for name, value in answer.headers.items() if name not in {"X-Request-Id", "RateLimit"}}
    return answer.status_code, answer.data, kept


def test_a_good_question_wakes_no_flask(program, flask_is_asleep):
    pass_ = ask(program, "none")
    assert pass_.json == {"active": False}


def test_both_ways_give_the_same_bytes_and_headers(program):
    for token in (program.token("ana"), "none"):
        assert plain(ask(program, token)) == plain(ask(program, token, **SLOW))
    quick, slow = ask(program, "none"), ask(program, "none", **SLOW)
    assert len(quick.headers["X-Request-Id"]) == len(slow.headers["X-Request-Id"]) == 32
    left = [int(one.headers["RateLimit"].split(";")[1][2:]) for one in (quick, slow)]
    assert left[0] - left[1] == 1  # counted once each


def test_both_ways_are_logged_and_counted_alike(one_portal, program):
    seen = []
    one_portal.web.extensions["keyturn.requests"] = lambda *what: seen.append(what[:3])
    with capture_logs() as lines:
        ask(program, "none")
        ask(program, "none", **SLOW)
    assert seen == [(INTROSPECT, "POST", 200)] * 2
    quick, slow = ({**line, "request_id": "", "ms": 0} for line in lines if line["event"] == "request")
    assert quick == slow


@pytest.mark.parametrize(
    ("given", "kind", "body", "status"),
    [
        (None, FORM, b"token=x", 401),
        (("none", "x"), FORM, b"token=x", 401),
        ("own", FORM, b"token=a&token=b", 400),
        ("own", FORM, b"token=" + b"x" * 5_000, 422),
        ("own", FORM, b"token=" + b"x" * 9_000, 422),
        ("own", FORM, b"", 422),
        ("own", FORM, b"\xff", 400),
        ("own", "text/plain", b"token=x", 415),
        ("own", "application/json", b'{"token": "x"}', 200),
    ],
)
def test_what_is_not_plain_or_not_good_goes_the_usual_way(program, given, kind, body, status):
    asked = Program(program.portal, program.client if given == "own" else given)
    answer = asked.call(INTROSPECT, body, content_type=kind)
    assert answer.status_code == status
    assert json.loads(answer.data)


def test_another_host_goes_the_usual_way(program):
    assert ask(program, "none", Host="elsewhere.example").status_code == 400


def test_a_used_up_limit_is_told_by_the_usual_way(sqlite_database, valkey_url, clock, keyring):
    with opened(sqlite_database, valkey_url, clock, keyring, limit_api_per_client=2) as portal:
        portal.decide(ALLOWING)
        program = Program(portal, make_client(portal))
        answers = [ask(program, "none") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["RateLimit"].split(";")[1] for one in answers] == ["r=1", "r=0", "r=0"]


def test_a_database_that_is_away_is_told_by_the_usual_way(one_portal, program):
    def away(*_):
        raise OperationalError("", {}, Exception())

    token = program.token("ana")
    event.listen(one_portal.base.database.engine, "before_cursor_execute", away)
    try:
        answer = ask(program, token)
    finally:
        event.remove(one_portal.base.database.engine, "before_cursor_execute", away)
    assert answer.status_code == 503
    assert answer.mimetype == "application/problem+json"
    assert program.is_good(token)
