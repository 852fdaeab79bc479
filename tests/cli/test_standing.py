"""Deactivating, letting in again and roles by the command."""

import json

from tests.cli.test_people import FULL


def test_somebody_is_shut_out_and_let_in_again_and_told(either):
    either.ok("user", "create", "jane", *FULL, "--contacts-verified")
    said = either.ok("user", "deactivate", "jane", "--reason", "left the company").stdout
    assert said.startswith("deactivated; told: ")
    assert json.loads(either.ok("user", "show", "jane", "--json").stdout)["status"] == "inactive"
    assert "inactive" in either.refused("user", "deactivate", "jane", "--reason", "again")
    told = json.loads(either.ok("user", "reactivate", "jane", "--reason", "came back", "--json").stdout)
    assert len(told["told"]) == 2
    shown = json.loads(either.ok("user", "show", "jane", "--json").stdout)
    assert shown["status"] == "active"
    assert {"user_deactivated", "user_reactivated"} <= {event["event"] for event in shown["events"]}
    assert "active" in either.refused("user", "reactivate", "jane", "--reason", "again")


def test_a_role_is_given_and_taken(operator):
    operator.ok("user", "create", "jane", *FULL)
    assert operator.ok("user", "role", "jane", "support").stdout == "jane is support of default (before: member)\n"
    told = json.loads(operator.ok("user", "role", "jane", "member", "--json").stdout)
    assert told == {"before": "support", "role": "member"}
    shown = json.loads(operator.ok("user", "show", "jane", "--json").stdout)
    assert [event["event"] for event in shown["events"]].count("privilege_permissions_changed") == 2
    assert "there is no role" in operator.refused("user", "role", "jane", "owner")
    assert "there is no organization" in operator.refused("user", "role", "jane", "support", "--organization", "x")
    assert "there is nobody" in operator.refused("user", "role", "omar", "support")
