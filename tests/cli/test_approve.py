"""The operator's word as the second agent's (product.md 3)."""

import json

from app.foundation.sql import Database
from app.records.cases import rules
from app.records.cases import store as cases
from app.records.cases.model import Action, Request, RequestState
from app.records.people import store as people
from tests.cli.test_people import FULL

REASON = "spoke with her at the desk"


def asked(operator) -> str:
    """A request about Jane that waits for a second agent; its number."""
    operator.ok("user", "create", "jane", *FULL, "--contacts-verified")
    operator.ok("user", "create", "sam", "--role", "support")
    database = Database(operator.env["KEYTURN_DATABASE_URL"])
    try:
        with database.begin() as transaction:
            jane, sam = people.find(transaction, "jane"), people.find(transaction, "sam")
            assert jane is not None
            assert sam is not None
            request = Request(
                id="a" * 32,
                person_id=jane.id,
                organization_id=jane.home_organization,
                action=Action.REMOVE_APP,
                target="",
                reason="lost her phone on the train",
                state=RequestState.ASKED,
                needs=rules.needs(Action.REMOVE_APP, reachable=False),
                asked_by=sam.id,
                asked_at=jane.created_at,
                expires_at=jane.created_at,
            )
            cases.add_request(transaction, rules.begun(request, jane.created_at))
    finally:
        database.close()
    return request.id


def test_it_counts_as_the_second_agent_once_and_the_person_is_told(either):
    number = asked(either)
    assert number in either.ok("user", "requests", "jane").stdout
    assert "agreed; an agent may carry it out from" in either.ok("user", "approve", number, "--reason", REASON).stdout
    assert "nothing was changed" in either.refused("user", "approve", number, "--reason", REASON)
    told = json.loads(either.ok("user", "show", "jane", "--json").stdout)
    (event,) = [one for one in told["events"] if one["event"] == "support_confirmed"]
    assert (event["actor"], event["details"]["why"]) == ("operator", REASON)
    (open_one,) = json.loads(either.ok("user", "requests", "jane", "--json").stdout)["requests"]
    assert open_one["state"] == "granted"
    assert open_one["ready_at"] - open_one["confirmed_at"] == 86_400


def test_it_waits_as_long_as_after_an_agent_and_does_nothing_by_itself(either):
    number = asked(either)
    told = json.loads(either.ok("user", "approve", number, "--reason", REASON, "--json").stdout)
    assert told["state"] == "granted"


def test_what_it_cannot_do_is_refused_with_one_line(either):
    number = asked(either)
    assert "10 to 500" in either.refused("user", "approve", number, "--reason", "short")
    assert "no request" in either.refused("user", "approve", "b" * 32, "--reason", REASON)
    assert "no request" in either.refused("user", "approve", "x", "--reason", REASON)
    assert "nobody" in either.refused("user", "requests", "nobody at all")
    assert either.run("user", "approve", number).exit_code == 2
