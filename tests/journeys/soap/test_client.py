"""AuthenticateUser by a real SOAP client, built from the WSDL that is served, and by one from a sample alone."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests
import zeep
from lxml import etree
from werkzeug.serving import make_server
from zeep.exceptions import Fault

from app.records.organizations.model import LockoutPolicy, OnFailures, PasswordPolicy, Policy
from app.records.people.model import Status
from app.steps.credentials import SENTENCES, Cause
from tests.faults.clients import free_port
from tests.portal import PASSWORD, opened
from tests.programs import ALLOWING

NAMESPACE = "https://www.assuresign.net/Services/DocumentNOW/Users"
TEXT = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
SOAP_HALF = TEXT.partition("\n## SOAP\n")[2].partition("\n## JSON\n")[0]


@pytest.fixture
def served(curl, sqlite_database, valkey_url, clock, keyring):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with opened(sqlite_database, valkey_url, clock, keyring, public_url=address) as portal:
        portal.decide(ALLOWING)
        portal.add("ana")
        server = make_server("127.0.0.1", port, portal.web, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield portal, f"{address}/soap/users"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(params=["UserServiceSoap11", "UserServiceSoap12"])
def client(served, request):
    _, address = served
    made = zeep.Client(f"{address}?wsdl", service_name="UserService", port_name=request.param)
    yield made
    made.transport.session.close()


def ask(client, user_name, password=PASSWORD, request="AuthenticateUserRequest"):
    return client.service.AuthenticateUser(**{request: {"UserName": user_name, "Password": password}})


@pytest.mark.parametrize("request_name", ["AuthenticateUserRequest", "Request"])
def test_a_client_from_the_wsdl_gets_names_accounts_and_a_token(client, request_name):
    told = ask(client, "ana", request=request_name)
    assert told.Success is True
    assert (told.UserName, told.Exceptions) == ("ana", None)
    assert len(told.AuthenticationToken) >= 43
    (account,) = told.Accounts.UserAccount
    assert (account.Name, account.IsPrimary) == ("default", True)
    assert re.fullmatch(r"[0-9a-f-]{36}", account.ContextIdentifier)
    assert told.ChangePasswordUrl.startswith("http://127.0.0.1:")
    assert told.ExpiredPasswordUrl is None


def refused(told):
    assert told.Success is False
    assert (told.AuthenticationToken, told.Accounts) == (None, None)
    first, *rest = told.Exceptions.UserException
    assert first.Severity == "Error"
    return next(one for one in Cause if SENTENCES[one] == first._value_1), rest


def test_a_client_from_the_wsdl_hears_each_cause(served, client):
    portal, _ = served
    portal.add("gone", status=Status.INACTIVE)
    portal.add("new", must_change=True)
    assert refused(ask(client, "ana", "wrong password, quite"))[0] is Cause.INVALID
    assert refused(ask(client, "nobody"))[0] is Cause.INVALID
    assert refused(ask(client, "gone"))[0] is Cause.INACTIVE
    told = ask(client, "new")
    assert refused(told)[0] is Cause.CHANGE_REQUIRED
    assert told.ChangePasswordUrl
    for n in range(5):
        ask(client, "nobody", f"wrong password {n}")
    cause, rest = refused(ask(client, "nobody"))
    assert cause is Cause.LOCKED
    assert [one.Severity for one in rest] == ["Warning"]
    portal.decide(Policy(password=PasswordPolicy(min_length=15, max_age_days=90), authenticate_user=True))
    portal.base.clock.advance(90 * 86_400)
    told = ask(client, "ana")
    assert refused(told)[0] is Cause.EXPIRED
    assert told.ExpiredPasswordUrl
    assert told.ChangePasswordUrl is None


def test_the_lock_of_an_organization_holds_whichever_way_the_tries_came(served, client):
    portal, _ = served
    lock = LockoutPolicy(OnFailures.LOCK, after=3, minutes=0)
    portal.decide(Policy(password=PasswordPolicy(min_length=15), lockout=lock, authenticate_user=True))
    ask(client, "ana", "wrong password 1")
    browser = portal.browser()
    browser.environ["HTTP_HOST"] = portal.base.settings.netloc
    browser.get("/sign-in")
    browser.post("/sign-in", user_id="ana")
    browser.get("/sign-in/password")
    assert browser.post("/sign-in/password", password="wrong password 2").status_code == 422
    ask(client, "ana", "wrong password 3")
    assert refused(ask(client, "ana"))[0] is Cause.INVALID


def test_a_token_of_one_face_is_good_at_the_other(served, client):
    from tests.programs import Program, make_client

    portal, _ = served
    program = Program(portal, make_client(portal))
    token = ask(client, "ana").AuthenticationToken
    answer = program.http.post(
        "/api/v1/tokens/introspect",
        data={"token": token},
        base_url=portal.base.settings.public_url,
        auth=program.client,
    )
    assert answer.get_json()["active"] is True


SAMPLE = """<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
<AuthenticateUser xmlns="">
    <AuthenticateUserRequest UserName="ana" Password="{password}" />
</AuthenticateUser></soap:Body></soap:Envelope>"""


def test_a_client_written_from_the_sample_alone_is_answered_in_no_namespace_as_it_asked(served):
    _, address = served
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{NAMESPACE}/IUserService/AuthenticateUser"'}
    answer = requests.post(address, data=SAMPLE.format(password=PASSWORD), headers=headers, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    (result,) = etree.fromstring(answer.content).iter("AuthenticateUserResult")
    assert result.get("Success") == "true"
    (account,) = result.findall("Accounts/UserAccount")
    assert list(account.attrib) == ["Name", "ContextIdentifier", "IsPrimary"]
    wrong = requests.post(address, data=SAMPLE.format(password="no, not that one"), headers=headers, timeout=10)
    (result,) = etree.fromstring(wrong.content).iter("AuthenticateUserResult")
    assert result.get("Success") == "false"
    assert [one.get("Severity") for one in result.findall("Exceptions/UserException")] == ["Error"]


def test_a_client_from_the_wsdl_sees_a_fault_where_the_store_is_away(served, client):
    portal, _ = served
    portal.base.ephemeral.close()
    portal.base.database.close()
    portal.base.hasher.close()
    with pytest.raises(Fault) as found:
        ask(client, "ana")
    assert "not available" in found.value.message


def test_the_documented_examples_run_as_they_stand(served):
    _, address = served
    shell = next(block for block in re.findall(r"```sh\n(.*?)```", SOAP_HALF, re.DOTALL) if block.startswith("curl"))
    environ = {"PATH": "/usr/bin:/bin", "PORTAL": address.removesuffix("/soap/users")}
    done = subprocess.run(["/bin/sh", "-euc", shell], env=environ, capture_output=True, check=True)
    assert b'Success="true"' in done.stdout
    program = re.findall(r"```python\n(.*?)```", SOAP_HALF, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["ana", "default", "True"]
