"""People by the command: made, imported, looked at, unlocked."""

import json
import os
import pty
import subprocess
import sys
from base64 import b32encode
from urllib.parse import parse_qs, urlsplit

import pytest

from app.cli.importing import Progress
from app.factors.password.store import passwords
from app.foundation.settings import ROOT
from app.foundation.sql import Database
from app.records.people import store as people
from tests.cli.conftest import command, words

FULL = ["--first-name", "Jane", "--last-name", "Doe", "--email", "jane@example.org", "--phone", "+4915112345678"]


def shown(operator, user_id="jane"):
    return json.loads(operator.ok("user", "show", user_id, "--json").stdout)


def test_a_person_is_made_in_one_command_on_a_bare_machine(either):
    said = either.ok("user", "create", "Jane", *FULL, "--contacts-verified", "--role", "support").stdout
    assert said == "made Jane Doe (Jane), support of default\n"
    told = shown(either)
    assert told["user_id"] == "Jane"
    assert told["organizations"] == [{"name": "default", "role": "support", "is_primary": True}]
    assert [contact["usable"] for contact in told["contacts"]] == [True, True]
    assert told["password"] is None
    assert told["apps"] == []


def test_a_password_is_read_from_standard_input_and_is_temporary(operator):
    operator.ok("user", "create", "jane", "--password-stdin", typed="a fine passphrase\n")
    assert shown(operator)["password"]["must_change"] is True


def test_a_password_is_asked_for_twice_and_not_shown(operator):
    result = operator.ok("user", "create", "jane", "--password", typed="a fine passphrase\na fine passphrase\n")
    assert "a fine passphrase" not in result.output
    assert shown(operator)["password"]["must_change"] is True


def test_a_password_that_they_chose_may_stay(operator):
    operator.ok("user", "create", "jane", "--password-stdin", "--keep-password", typed="a fine passphrase\r\n")
    assert shown(operator)["password"]["must_change"] is False


@pytest.mark.parametrize("typed", [b"", b"\n", b"short\n", b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe\n", b"x" * 10_000])
def test_a_password_that_cannot_be_is_refused_and_not_repeated(operator, typed):
    said = operator.refused("user", "create", "jane", "--password-stdin", typed=typed)
    assert "password" in said
    assert "xxx" not in said
    assert "nobody" in operator.refused("user", "show", "jane") or not operator.state.exists()


def test_an_app_is_shown_once_as_link_and_picture(operator):
    result = operator.ok("user", "create", "jane", "--app")
    assert "█" in result.stdout
    link = next(line for line in result.stdout.splitlines() if line.startswith("otpauth://"))
    (key,) = parse_qs(urlsplit(link).query)["secret"]
    assert len(key) == 32
    assert key not in operator.ok("user", "show", "jane").output
    assert shown(operator)["apps"][0]["state"] == "active"


def test_programs_get_the_link_as_json(operator):
    told = json.loads(operator.ok("user", "create", "jane", "--app", "--json").stdout)
    assert told["user_id"] == "jane"
    assert told["otpauth_uri"].startswith("otpauth://totp/")
    assert "otpauth_uri" not in json.loads(operator.ok("user", "create", "omar", "--json").stdout)


def test_somebody_who_is_there_is_not_made_again(operator):
    operator.ok("user", "create", "jane")
    assert "already" in operator.refused("user", "create", "JANE", "--role", "administrator")
    assert shown(operator)["organizations"][0]["role"] == "member"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["x", "--email", "nonsense"], "email: is not an e-mail address"),
        (["x", "--phone", "0151"], "phone: is not an E.164 number"),
        (["x", "--role", "root"], "role: is none of"),
        (["x", "--organization", "acme"], "no organization 'acme'"),
        (["\x1b[2J"], "user_id: holds characters"),
        (["\udcff"], "user_id: holds characters"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(operator, args, why):
    assert why in operator.refused("user", "create", *args)


def test_looking_tells_how_somebody_stands(operator):
    operator.ok("user", "create", "jane", *FULL, "--app", "--password-stdin", typed="a fine passphrase")
    said = words(operator.ok("user", "show", "Jane").stdout)
    assert "jane Jane Doe active" in said
    assert "sms ••• ••• 78 not confirmed" in said
    assert "password temporary, set" in said
    assert "app 'App' active" in said
    assert "password tries none wrong" in said
    assert "user_created success create by operator" in said
    assert "jane@example.org" not in said


def test_an_unlock_is_told_and_written_down(either):
    either.ok("user", "create", "jane", *FULL, "--contacts-verified")
    said = either.ok("user", "unlock", "jane", "--reason", "she called").stdout
    assert "nothing was locked" in said
    assert "j•••@e•••.org" in said
    event = shown(either)["events"][0]
    assert (event["event"], event["actor"], event["details"]["reason"]) == (
        "authn_login_unlock",
        "operator",
        "she called",
    )
    assert json.loads(either.ok("user", "unlock", "jane", "--reason", "x", "--json").stdout)["left"] == []


def test_a_temporary_password_that_lapsed_is_shown_and_unlocked(either):
    either.ok("user", "create", "jane", *FULL, "--password-stdin", typed="a fine passphrase")
    database = Database(either.env["KEYTURN_DATABASE_URL"])

    def until(moment):
        with database.begin() as transaction:
            transaction.execute(passwords.update().values(good_until=moment))

    until(2**40 // 100)
    assert "good until" in words(either.ok("user", "show", "jane").stdout)
    until(1_000)
    assert "lapsed: locked until unlocked or recovered" in words(either.ok("user", "show", "jane").stdout)
    password = json.loads(either.ok("user", "show", "jane", "--json").stdout)["password"]
    assert (password["good_until"], password["lapsed"], password["locked"]) == (1_000, True, True)
    assert "unlocked: password" in either.ok("user", "unlock", "jane", "--reason", "she called").stdout
    said = words(either.ok("user", "show", "jane").stdout)
    assert "lapsed" in said
    assert "locked until" not in said
    assert "nothing was locked" in either.ok("user", "unlock", "jane", "--reason", "again").stdout
    database.close()


def test_what_is_frozen_is_shown_and_opened_again(either):
    either.ok("user", "create", "jane", *FULL, "--contacts-verified")
    assert "not frozen" in either.refused("user", "unfreeze", "jane", "--reason", "she came in")
    database = Database(either.env["KEYTURN_DATABASE_URL"])
    with database.begin() as transaction:
        people.freeze(transaction, 1, "frozen")
    database.close()
    assert "jane Jane Doe frozen" in words(either.ok("user", "show", "jane").stdout)
    assert "j•••@e•••.org" in either.ok("user", "unfreeze", "jane", "--reason", "she came in").stdout
    told = shown(either)
    assert (told["status"], told["events"][0]["event"]) == ("active", "user_unfrozen")


# ---- importing


ROWS = [
    {"user_id": "jane", "first_name": "Jane", "email": "jane@example.org", "contacts_verified": True},
    {"user_id": "omar", "totp_secret": b32encode(b"x" * 20).decode(), "password": "temporary password"},
]


def lines(*rows):
    return "".join(row if isinstance(row, str) else f"{json.dumps(row)}\n" for row in rows)


def test_an_import_makes_people_on_a_bare_machine_and_a_second_changes_nothing(either, tmp_path):
    file = tmp_path / "people.jsonl"
    file.write_text(lines(*ROWS))
    assert either.ok("user", "import", str(file)).stdout == "2 rows: 2 made, 0 there already, 0 refused\n"
    before = shown(either), shown(either, "omar")
    assert either.ok("user", "import", str(file)).stdout == "2 rows: 0 made, 2 there already, 0 refused\n"
    assert (shown(either), shown(either, "omar")) == before


def test_bad_rows_are_told_one_a_line_and_the_status_says_so(operator, tmp_path):
    file = tmp_path / "people.jsonl"
    file.write_text(lines(ROWS[0], "nonsense\n", {"user_id": "ana", "email": "x", "role": "y"}, ROWS[1]))
    result = operator.run("user", "import", str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "line 2: is not JSON",
        "line 3: email: is not an e-mail address; role: is none of member, support, administrator",
    ]
    assert result.stdout == "4 rows: 2 made, 0 there already, 2 refused\n"


def test_an_import_speaks_json_as_one_document(operator, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text('user_id,email\njane,x\n"omar\n",\nana,\n')
    result = operator.run("user", "import", str(file), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "errors": [
            {"line": 2, "problems": [{"field": "email", "reason": "is not an e-mail address"}]},
            {"line": 3, "problems": [{"field": "", "reason": "a quoted field holds a line break"}]},
        ],
        "rows": 3,
        "created": 1,
        "existing": 0,
        "refused": 2,
        "dry_run": False,
    }
    told = json.loads(operator.ok("user", "import", "-", "--json", typed="user_id\nana\n").stdout)
    assert told == {"errors": [], "rows": 1, "created": 0, "existing": 1, "refused": 0, "dry_run": False}


def test_a_dry_run_makes_nobody(operator, tmp_path):
    file = tmp_path / "people.jsonl"
    file.write_text(lines(*ROWS))
    said = operator.ok("user", "import", str(file), "--dry-run").stdout
    assert said == "2 rows: 2 would be made, 0 there already, 0 refused\n"
    assert "nobody" in operator.refused("user", "show", "jane")


def test_a_pipe_is_imported_like_a_file(operator):
    done = operator.call("user", "import", "-", typed=lines(*ROWS, "nonsense\n").encode())
    assert (done.returncode, done.stdout) == (1, b"3 rows: 2 made, 0 there already, 1 refused\n")
    assert done.stderr == b"line 3: is not JSON\n"


def test_a_file_that_is_no_import_is_one_line(operator, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("user_id,shoe_size\njane,40\n")
    assert "no field 'shoe_size'" in operator.refused("user", "import", str(file))
    assert operator.run("user", "import", str(file), "--json").stdout == ""


def test_a_terminal_gets_a_bar_with_share_and_rate(operator, tmp_path):
    file = tmp_path / "people.jsonl"
    file.write_text("".join(lines({"user_id": f"person {number}"}) for number in range(4_000)))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("user", "import", str(file), "--dry-run"),
        cwd=ROOT,
        env=operator.environ,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            more = os.read(ours, 4_096)
        except OSError:  # the other side was closed
            break
        if not more:
            break
        seen += more
    os.close(ours)
    assert process.communicate(timeout=60)[0] == b"4,000 rows: 4,000 would be made, 0 there already, 0 refused\n"
    assert "█" in seen.decode()
    assert "%" in seen.decode()
    assert "rows" in seen.decode()
    assert "/s" in seen.decode()
    assert seen.decode().endswith("\r")  # the line is free for what follows


def test_without_a_terminal_an_import_tells_every_ten_seconds_how_far_it_is(clock, capsys):
    bar = Progress(clock, size=1_000)
    for read, rows in ((100, 10), (200, 20), (300, 30)):
        clock.advance(6)
        bar.show(read, rows)
    bar.clear()
    assert capsys.readouterr().err == "20%  20 rows, 2/s\n"


# in a process of its own, and by the high-water mark of its own memory: what wait4(2) tells would count the
# memory of the test run that it was forked from
_MEASURED = """
import re, sys
from pathlib import Path
from app.cli import main
main(["user", "import", sys.argv[1]], standalone_mode=False, prog_name="keyturn")
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def memory_of_import(operator, file):
    """Said on standard output, and the most memory in kB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(file)],
        cwd=ROOT,
        env=operator.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    said, most, *_ = done.stdout.splitlines()
    return said, int(most)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_hundred_thousand_rows_take_no_more_memory_than_five_hundred(operator, tmp_path):
    few, many = tmp_path / "few.jsonl", tmp_path / "many.jsonl"
    for file, count in ((few, 500), (many, 100_000)):
        with file.open("w") as out:
            for number in range(count):
                row = {"user_id": f"person {number}", "first_name": "Ana", "email": f"p{number}@example.org"}
                out.write(lines({**row, "phone": f"+49151{number:07d}", "contacts_verified": True}))
    operator.ok("init")  # so that neither is measured while it migrates
    said, base = memory_of_import(operator, few)
    assert said == "500 rows: 500 made, 0 there already, 0 refused"
    said, most = memory_of_import(operator, many)
    assert said == "100,000 rows: 99,500 made, 500 there already, 0 refused"
    assert most < base * 1.1, f"{most} kB instead of {base} kB"
    assert "person 99999" in operator.ok("user", "show", "person 99999").stdout
