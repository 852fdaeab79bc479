"""docs/api.md: its examples do what they say, run as they stand there against a portal on a socket."""

import json
import re
import subprocess
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.faults.clients import free_port
from tests.portal import opened
from tests.programs import ALLOWING, make_client

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
JSON_HALF = TEXT.partition("\n## JSON\n")[2]
CALLS = [block for block in re.findall(r"```sh\n(.*?)```", JSON_HALF, re.DOTALL) if block.startswith("curl")]


@pytest.fixture
def served(curl, sqlite_database, valkey_url, clock, keyring):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with opened(sqlite_database, valkey_url, clock, keyring, public_url=address) as portal:
        server = make_server("127.0.0.1", port, portal.web, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield portal, address
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def run(script, **environ):
    done = subprocess.run(
        ["/bin/sh", "-euc", script], env={"PATH": "/usr/bin:/bin", **environ}, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_the_examples_authenticate_look_at_a_token_and_end_it(served):
    portal, address = served
    portal.decide(ALLOWING)
    portal.add("ana")
    client, secret = make_client(portal)
    authenticate, introspect, revoke = CALLS
    told = run(authenticate, PORTAL=address)
    assert told["success"] is True
    known = {"PORTAL": address, "CLIENT_ID": client, "CLIENT_SECRET": secret, "TOKEN": told["authentication_token"]}
    assert run(introspect, **known)["username"] == "ana"
    assert run(revoke, **known) == {}
    assert run(introspect, **known) == {"active": False}


def test_what_is_shown_has_the_names_that_are_sent(served):
    portal, address = served
    portal.decide(ALLOWING)
    portal.add("ana")
    client, secret = make_client(portal)
    authenticated, looked = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", JSON_HALF, re.DOTALL))
    told = run(CALLS[0], PORTAL=address)
    token = told["authentication_token"]
    sent = run(CALLS[1], PORTAL=address, CLIENT_ID=client, CLIENT_SECRET=secret, TOKEN=token)
    assert told.keys() == authenticated.keys()
    assert sent.keys() == looked.keys()
    assert sent["account"].keys() == looked["account"].keys()
