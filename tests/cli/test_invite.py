"""Inviting by the command: what it says, whom it refuses, and that it needs no running portal."""

import json
import re

from tests.cli.test_people import FULL

CODE = r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}"


def test_it_says_where_the_link_goes_and_shows_no_link(either):
    either.ok("user", "create", "jane", *FULL)
    said = either.ok("user", "invite", "jane").stdout
    assert said == "invited: the link goes to j•••@e•••.org\n"
    told = json.loads(either.ok("user", "show", "jane", "--json").stdout)
    assert [event["event"] for event in told["events"]].count("user_invited") == 1
    assert "/activate/" not in json.dumps(told)


def test_where_no_phone_is_filed_the_code_is_shown_this_once(operator):
    operator.ok("user", "create", "omar", "--email", "omar@example.org")
    said = operator.ok("user", "invite", "omar").stdout.splitlines()
    assert re.fullmatch(rf"activation code, to be handed over, shown only now: {CODE}", said[-1])
    assert said[-1].rpartition(" ")[2] not in operator.ok("user", "show", "omar", "--json").stdout


def test_programs_get_the_same_as_json(operator):
    operator.ok("user", "create", "omar", "--email", "omar@example.org")
    told = json.loads(operator.ok("user", "invite", "omar", "--json").stdout)
    assert told["destination"] == "o•••@e•••.org"
    assert re.fullmatch(CODE, told["activation_code"])
    operator.ok("user", "create", "jane", *FULL)
    assert json.loads(operator.ok("user", "invite", "jane", "--json").stdout)["activation_code"] == ""


def test_who_cannot_be_invited_is_refused_with_one_line(operator):
    operator.ok("user", "create", "paul", "--phone", "+4915112345678")
    assert "no e-mail address" in operator.refused("user", "invite", "paul")
    operator.ok("user", "create", "jane", *FULL, "--app")
    assert "already" in operator.refused("user", "invite", "jane")
    assert "nobody" in operator.refused("user", "invite", "nobody at all")
    assert operator.run("user", "invite").exit_code == 2
