"""The portal as an operator starts and stops it: real processes, real ports of this machine."""

import contextlib
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from app.foundation.settings import ROOT
from app.foundation.sql import Database, installation
from app.foundation.sql.migrations import migrate
from tests.cli.conftest import Operator, command
from tests.edges import Mailbox
from tests.faults.clients import free_port


def until(attempt: Callable[[], object], seconds: float = 120.0) -> object:
    """The first true answer; a failure when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, ValueError):
            if answer := attempt():
                return answer
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def children(pid: int) -> list[int]:
    """The processes below a process, all the way down."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name_and_rest = stat.read_text()
            if int(name_and_rest.rpartition(")")[2].split()[1]) == pid:
                child = int(stat.parent.name)
                found += [child, *children(child)]
    return found


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def portal(operator: Operator) -> Operator:
    port = free_port()
    operator.env |= {
        "KEYTURN_BIND": f"127.0.0.1:{port}",
        "KEYTURN_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "KEYTURN_WORKERS": "1",
    }
    return operator


def url(operator: Operator, path: str) -> str:
    return operator.env["KEYTURN_PUBLIC_URL"] + path


def answers(operator: Operator) -> bool:
    return get(url(operator, "/healthz"))[0] == 200


def test_serve_makes_what_it_needs_and_ends_all_of_it_in_order(portal):
    with portal.running("serve") as process:
        until(lambda: answers(portal))
        assert get(url(portal, "/readyz"))[0] == 200
        assert get(url(portal, "/sign-in"))[0] == 200
        assert get(url(portal, "/demo"))[0] == 404
        below = children(process.pid)
        assert len(below) >= 4  # server, its worker, the sender of messages, the store
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert alive(below) == []
    assert sorted(path.name for path in portal.state.iterdir()) == [
        "keys",
        "keyturn.sqlite",
        "keyturn.sqlite.lock",
        "metrics",
        "store",
    ]


def test_serve_leaves_nobody_behind_when_it_is_killed(portal):
    with portal.running("serve") as process:
        until(lambda: answers(portal))
        below = children(process.pid)
        process.kill()
        process.wait(60)
        until(lambda: not alive(below))


def test_serve_comes_back_after_it_was_killed(portal):
    with portal.running("serve") as process:
        until(lambda: answers(portal))
        below = children(process.pid)
        process.kill()
        process.wait(60)
        until(lambda: not alive(below))
    with portal.running("serve"):
        until(lambda: answers(portal))


def test_no_secret_is_seen_in_the_list_of_processes(portal):
    keys = None
    with portal.running("serve") as process:
        until(lambda: answers(portal))
        keys = (portal.state / "keys").read_text().partition(":")[2].strip()
        told = "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in [process.pid, *children(process.pid)])
    assert keys not in told
    assert "unix://" not in told


def test_the_log_is_one_json_object_a_line(portal):
    process = subprocess.Popen(
        command("serve"), cwd=ROOT, env=portal.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until(lambda: answers(portal))
        get(url(portal, "/sign-in"))
    finally:
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert err == b""
    entries = [json.loads(line) for line in out.decode().splitlines()]
    assert any(entry["event"] == "request" and entry["route"] == "/sign-in" for entry in entries)


def test_a_second_portal_in_the_same_place_is_refused_in_one_line(portal):
    with portal.running("serve"):
        until(lambda: answers(portal))
        same_port = portal.call("serve")
        assert (same_port.returncode, same_port.stdout) == (1, b"")
        assert re.fullmatch(rb"Error: cannot listen at [^\n]+\n", same_port.stderr)
        portal.env["KEYTURN_BIND"] = f"127.0.0.1:{free_port()}"
        same_state = portal.call("serve")
        assert same_state.returncode == 1
        assert b"is in use" in same_state.stderr
        assert b"Traceback" not in same_state.stderr


def test_messages_are_sent_by_serve_and_not_without_a_worker(portal):
    with Mailbox() as mailbox:
        portal.env |= {"KEYTURN_SMTP_URL": mailbox.url, "KEYTURN_MAIL_FROM": "keyturn@example.org"}
        portal.ok("user", "create", "jane", "--email", "jane@example.org", "--contacts-verified")
        portal.ok("user", "unlock", "jane", "--reason", "she called")
        with portal.running("serve", "--no-worker"):
            until(lambda: answers(portal))
            time.sleep(1)
            assert mailbox.mails == []
            with portal.running("worker") as worker:
                mailbox.wait(1, 60)
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(60) == 0
        portal.ok("user", "unlock", "jane", "--reason", "she called again")
        with portal.running("serve"):
            mailbox.wait(2, 60)
        assert [mail.to for mail in mailbox.mails] == [("jane@example.org",)] * 2


def test_serve_runs_on_postgresql_and_an_external_store(portal, postgresql, redis_url):
    portal.env |= {"KEYTURN_DATABASE_URL": postgresql.empty(), "KEYTURN_REDIS_URL": redis_url}
    with portal.running("serve"):
        until(lambda: answers(portal))
        assert get(url(portal, "/readyz"))[0] == 200
    assert not (portal.state / "store").exists()
    postgresql.drop(portal.env["KEYTURN_DATABASE_URL"])


def test_a_worker_waits_for_the_migration_and_then_gives_up_in_one_line(operator):
    operator.env["KEYTURN_DATABASE_URL"] = f"sqlite:///{operator.state.with_name('keyturn.sqlite')}"
    with operator.running("worker") as worker:
        time.sleep(3)
        assert worker.poll() is None
        operator.ok("init")
        time.sleep(3)
        assert worker.poll() is None


# ---- the demo


@pytest.fixture
def demo(operator: Operator) -> Operator:
    port = free_port()
    operator.env |= {"KEYTURN_BIND": f"127.0.0.1:{port}", "KEYTURN_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    return operator


def introduction(process: subprocess.Popen[bytes]) -> str:
    """What the demo says until it invites to end it."""
    said = b""
    assert process.stdout is not None
    while b"Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said.decode()
        said += line
    return said.decode()


def test_the_demo_introduces_its_cast_within_seconds(demo):
    began = time.monotonic()
    with demo.running("demo") as process:
        said = introduction(process)
        assert time.monotonic() - began < 120  # a few on a machine that has nothing else to do
        for user_id in ("jane", "omar", "ana", "sam", "alex"):
            assert re.search(rf"^  {user_id}\s+correct horse", said, re.MULTILINE)
        assert url(demo, "/demo") in said
        status, page = get(url(demo, "/demo"))
        assert status == 200
        assert "jane" in page
        told = json.loads(get(url(demo, "/demo/inbox"))[1])
        assert {phone["user_id"] for phone in told["cast"]} >= {"jane", "ana"}


def test_the_demo_is_new_at_each_start(demo):
    codes = []
    for _ in range(2):
        with demo.running("demo", "--port", "0") as process:
            found = re.search(r"http://127\.0\.0\.1:\d+", introduction(process))
            assert found is not None
            _, page = get(f"{found[0]}/demo/qr/jane.svg")
            codes.append(page)
    assert codes[0] != codes[1]


def test_two_demos_in_one_place_are_one_too_many(demo):
    with demo.running("demo", "--port", "0") as process:
        introduction(process)
        assert "running already" in demo.refused("demo", "--port", "0")


def test_the_demo_leaves_a_database_alone_that_is_not_its_own(demo):
    place = demo.state / "demo"
    place.mkdir(parents=True)
    own = Database(f"sqlite:///{place / 'keyturn.sqlite'}")
    migrate(own)
    with own.begin() as transaction:
        transaction.execute(text("INSERT INTO organizations VALUES ('1', 'acme', 0)"))
    own.close()
    place.chmod(0o700)
    assert "not made for the demo" in demo.refused("demo")
    own = Database(f"sqlite:///{place / 'keyturn.sqlite'}")
    with own.read() as looking:
        assert looking.execute(text("SELECT name FROM organizations")).scalar() == "acme"
        assert not installation.is_demo(looking)
    own.close()


def test_the_demos_database_is_refused_by_serve(demo):
    with demo.running("demo", "--port", "0") as process:
        introduction(process)
    demo.state = demo.state / "demo"
    assert "made for the demo" in demo.refused("serve")


@pytest.mark.parametrize(
    ("name", "value"),
    [("BIND", "0.0.0.0:8470"), ("BIND", "192.0.2.1:8470"), ("PUBLIC_URL", "https://keyturn.example.org")],
)
def test_the_demo_runs_on_this_machine_alone(demo, name, value):
    demo.env[f"KEYTURN_{name}"] = value
    assert "this machine alone" in demo.refused("demo")
    assert not demo.state.exists()


def test_the_demo_reaches_nobody_whatever_is_set(demo):
    with Mailbox() as mailbox:
        demo.env |= {
            "KEYTURN_SMTP_URL": mailbox.url,
            "KEYTURN_MAIL_FROM": "keyturn@example.org",
            "KEYTURN_DATABASE_URL": "postgresql+psycopg://app@127.0.0.1:1/app",
            "KEYTURN_REDIS_URL": "redis://127.0.0.1:1/0",
            "KEYTURN_SECRET_KEYS": "mine:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=",
        }
        with demo.running("demo") as process:
            introduction(process)
            assert get(url(demo, "/readyz"))[0] == 200
            assert (demo.state / "demo" / "keyturn.sqlite").is_file()
        assert mailbox.sessions == 0
