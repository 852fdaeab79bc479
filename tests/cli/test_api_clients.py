"""API clients by the command (product.md section 3)."""

import json

import pytest

from tests.cli.test_organizations import audited


@pytest.fixture
def acme(either):
    either.ok("init")
    either.ok("org", "create", "acme")
    return either


def test_a_client_is_made_listed_given_a_new_secret_and_revoked(acme):
    made = json.loads(acme.ok("api-client", "create", "Billing", "--organization", "acme", "--json").stdout)
    (listed,) = json.loads(acme.ok("api-client", "list", "--json").stdout)
    assert (listed["client_id"], listed["organization"]) == (made["client_id"], "acme")
    assert made["client_secret"] not in str(listed)
    told = acme.ok("api-client", "rotate", made["client_id"], "--at-once").stdout
    assert made["client_secret"] not in told
    assert "client_secret" in told
    acme.ok("api-client", "revoke", made["client_id"])
    assert "revoked" in acme.ok("api-client", "list", "--organization", "acme").stdout
    for event in ("api_client_created", "api_client_secret_changed", "api_client_revoked"):
        ((actor, details),) = audited(acme, event)
        assert (actor, details["client"]) == ("operator", made["client_id"])


def test_what_is_not_there_is_refused_in_one_line(acme):
    assert "no organization" in acme.refused("api-client", "create", "Billing", "--organization", "none")
    assert "characters" in acme.refused("api-client", "create", " ", "--organization", "acme")
    assert "no API client" in acme.refused("api-client", "rotate", "none")
    made = json.loads(acme.ok("api-client", "create", "Billing", "--organization", "acme", "--json").stdout)
    acme.ok("api-client", "revoke", made["client_id"])
    assert "already" in acme.refused("api-client", "revoke", made["client_id"])
    assert "revoked" in acme.refused("api-client", "rotate", made["client_id"])
