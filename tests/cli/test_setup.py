"""Setting up and looking after an installation by the command."""

import json
import os
import stat
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from app.foundation.settings import ROOT
from app.foundation.sql import Database, installation
from app.foundation.sql.migrations import head
from tests.cli.conftest import command, words


def test_the_first_init_makes_everything_and_says_so(either):
    said = words(either.ok("init").stdout)
    assert f"keys {either.state}/keys: made" in said
    assert f"revision {head()}: migrated" in said
    assert "organization default: made" in said
    assert stat.S_IMODE(either.state.stat().st_mode) == 0o700


def test_a_second_init_changes_nothing_and_says_so(either):
    either.ok("init")
    keys = (either.state / "keys").read_bytes()
    assert json.loads(either.ok("init", "--json").stdout) == {
        "made_keys": False,
        "migrated": False,
        "made_organization": False,
        "revision": head(),
        "state_dir": str(either.state),
    }
    assert (either.state / "keys").read_bytes() == keys


def test_what_the_command_makes_is_nobody_elses(operator):
    os.umask(mask := os.umask(0o000))
    assert operator.call("init").returncode == 0
    os.umask(mask)
    for path in operator.state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_eight_operators_who_start_at_once_all_succeed(operator):
    starts = [
        subprocess.Popen(command("init", "--json"), cwd=ROOT, env=operator.environ, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    said = [json.loads(start.communicate(timeout=180)[0]) for start in starts]
    assert [start.returncode for start in starts] == [0] * 8
    assert sum(one["migrated"] for one in said) == 1
    assert sum(one["made_organization"] for one in said) == 1


def test_help_and_version_cost_no_heavy_import():
    code = (
        "import sys; import app.cli; "
        "heavy = {'sqlalchemy', 'flask', 'redis', 'cryptography', 'structlog', 'alembic'} & set(sys.modules); "
        "sys.exit(' '.join(heavy) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_version_is_told(operator):
    assert operator.ok("--version").stdout == "keyturn 0.1.0\n"


@pytest.mark.parametrize("args", [["--help"], ["user", "--help"], ["user", "import", "--help"], ["serve", "-h"]])
def test_every_command_explains_itself(operator, args):
    assert "Usage: keyturn" in operator.ok(*args).stdout


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["init", "--nonsense"],
        ["user", "create"],
        ["user", "show"],
        ["user", "unlock", "jane"],
        ["user", "import", "/nowhere/at/all"],
        ["user", "create", "jane", "--password", "--password-stdin"],
        ["user", "create", "jane", "--keep-password"],
        ["demo", "--port", "65536"],
    ],
)
def test_what_cannot_be_meant_is_a_mistake_of_usage(operator, args):
    result = operator.run(*args)
    assert result.exit_code == 2
    assert "Usage: keyturn" in result.stderr
    assert not operator.state.exists()


@pytest.mark.parametrize(
    "args", [["init"], ["serve"], ["worker"], ["demo"], ["doctor"], ["check-config"], ["user", "show", "x"]]
)
def test_an_impossible_setting_stops_every_command_in_one_line(operator, args):
    operator.env["KEYTURN_WORKERS"] = "many"
    assert operator.refused(*args) == "KEYTURN_WORKERS: must be a whole number"


def test_an_unknown_setting_stops_the_command_in_one_line(operator):
    operator.env["KEYTURN_SHOE_SIZE"] = "40"
    assert operator.refused("init") == "KEYTURN_SHOE_SIZE: there is no such setting"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://app:very-secret@127.0.0.1:1/app",
        "postgresql+psycopg://app:very-secret@127.0.0.1:port/app",
        "sqlite:////dev/null/nowhere/very-secret.sqlite",
    ],
)
@pytest.mark.parametrize("args", [["init"], ["user", "show", "jane"], ["user", "unlock", "jane", "--reason", "why"]])
def test_a_database_that_is_away_is_one_line_without_its_password(operator, url, args):
    operator.env["KEYTURN_DATABASE_URL"] = url
    result = operator.run(*args)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "very-secret" not in result.output


def test_a_defect_shows_neither_a_trace_nor_what_was_being_worked_on(operator):
    operator.ok("init")
    database = Database(f"sqlite:///{operator.state / 'keyturn.sqlite'}")
    with database.begin() as transaction:
        transaction.execute(text("DROP TABLE memberships"))
        transaction.execute(text("CREATE TABLE memberships (nonsense INTEGER)"))
    database.close()
    said = operator.refused("user", "create", "very-secret-jane")
    assert "very-secret" not in said


def test_other_keys_than_those_of_the_database_are_refused_before_anything_is_written(operator):
    operator.ok("init")
    operator.env["KEYTURN_SECRET_KEYS"] = "other:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
    assert "not the keys" in operator.refused("user", "create", "jane", "--app")
    del operator.env["KEYTURN_SECRET_KEYS"]
    assert "nobody" in operator.refused("user", "show", "jane")


@pytest.mark.parametrize(
    "args", [["init"], ["serve"], ["worker"], ["user", "create", "jane"], ["user", "show", "jane"]]
)
def test_keys_that_are_lost_are_never_replaced_by_new_ones(operator, args):
    operator.ok("init")
    (operator.state / "keys").unlink()
    assert "are lost" in operator.refused(*args)
    assert not (operator.state / "keys").exists()


def test_a_database_of_the_demo_is_refused_by_everything_else(operator):
    operator.ok("init")
    database = Database(f"sqlite:///{operator.state / 'keyturn.sqlite'}")
    with database.begin() as transaction:
        installation.mark_demo(transaction)
    database.close()
    for args in (["init"], ["serve"], ["worker"], ["user", "create", "jane"], ["user", "show", "jane"]):
        assert "made for the demo" in operator.refused(*args)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_channel_that_cannot_be_opened_is_refused_before_anything_runs(operator, command):
    operator.ok("init")
    operator.env |= {"KEYTURN_SMTP_URL": "smtp://127.0.0.1", "KEYTURN_MAIL_FROM": "nobody@"}
    assert "MAIL_FROM" in operator.refused(command)


def test_people_can_only_be_looked_at_once_there_is_a_database(operator):
    for args in (["user", "show", "jane"], ["user", "unlock", "jane", "--reason", "why"]):
        assert "keyturn init" in operator.refused(*args)
    assert not operator.state.exists()


def test_the_doctor_fails_before_init_and_names_the_remedy(operator):
    result = operator.run("doctor")
    assert result.exit_code == 1
    assert "FAIL database" in words(result.stdout)
    assert "→ run: keyturn init" in result.stdout
    assert not operator.state.exists()


def test_the_doctor_speaks_json(operator):
    operator.ok("init")
    result = operator.run("doctor", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1  # no channel is set up
    assert told["level"] == "fail"
    levels = {check["name"]: check["level"] for check in told["checks"]}
    assert levels["database"] == levels["keys"] == levels["store"] == "ok"
    assert levels["channels"] == "fail"
    assert set(told["checks"][0]) == {"name", "level", "finding", "remedy"}


def test_the_doctor_is_content_where_only_warnings_are_left(operator):
    from tests.edges import Mailbox

    operator.ok("init")
    with Mailbox() as mailbox:
        operator.env |= {"KEYTURN_SMTP_URL": mailbox.url, "KEYTURN_MAIL_FROM": "keyturn@example.org"}
        result = operator.run("doctor")
        assert result.exit_code == 0, result.output
        assert mailbox.mails == []


def test_the_configuration_is_shown_without_secrets(operator):
    secret = operator.state.with_name("secret")
    secret.write_text("very-secret\n")
    operator.env |= {"KEYTURN_METRICS_TOKEN_FILE": str(secret), "KEYTURN_BRAND_NAME": "Acme"}
    said = operator.ok("check-config").stdout
    assert "very-secret" not in said
    assert 'METRICS_TOKEN = "(hidden)"' in said
    assert 'BRAND_NAME = "Acme"' in said
    assert "totp-window" in said
    told = json.loads(operator.ok("check-config", "--json").stdout)
    assert told["settings"]["METRICS_TOKEN"] == "(hidden)"
    assert {"key", "source", "sentence"} == set(told["deviations"][0])
    assert not operator.state.exists()


def test_output_that_nobody_reads_on_is_no_defect(operator):
    started = time.monotonic()
    process = subprocess.Popen(
        command("check-config"), cwd=ROOT, env=operator.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait(120)
    process.stderr.close()
    assert b"defect" not in said
    assert b"Traceback" not in said
    assert time.monotonic() - started < 120
