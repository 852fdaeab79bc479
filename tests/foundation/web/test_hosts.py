"""The Host header: only our own name is served, and nothing that anybody sends ever becomes part of an address."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doors import DOORS, FORM, OWN, PHONE, Knock, form, knock
from tests.foundation.web.conftest import AT_HOME, HOST, ORIGIN
from tests.portal import NEW_PASSWORD

EVIL = "evil.example"
FOREIGN = [
    EVIL,
    f"{HOST}.{EVIL}",
    f"{EVIL}.{HOST}",
    f"{HOST}:8443",
    f"{HOST}@{EVIL}",
    f"{EVIL}@{HOST}",
    f"{HOST}, {EVIL}",
    f"{HOST} ",
    f"{HOST}.",
    f"{HOST}/",
    f"{HOST}#",
    f"{HOST}\\",
    f"{HOST}:",
    f"{HOST}:x",
    f"{HOST}:443:443",
    f"{HOST}\x00",
    f"{HOST}\r\nX: y",
    "localhost",
    "127.0.0.1",
    "[::1]",
    "[::1",
    "::1",
    "..",
    "-",
    "xn--",
    "x" * 300,
    "x." * 5000,
    "*",
    "ü",
    "\xff\xfe",
    "",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_gets_400_and_a_page_that_does_not_repeat_it(secure, host):
    for path in ("/", "/recovery", "/sign-in", "/no-such-page"):
        answer = knock(secure.web, Knock(path=path, host=host))
        assert answer.status_code == 400
        assert EVIL not in answer.text + str(answer.headers)
        assert "Location" not in answer.headers


def test_without_any_host_only_a_probe_is_answered(secure):
    assert knock(secure.web, Knock(path="/recovery", host=None)).status_code == 400
    assert knock(secure.web, Knock(path="/healthz", host=None)).status_code == 200


@pytest.mark.parametrize("door", OWN, ids=lambda door: door.rule)
def test_no_door_opens_to_a_foreign_host(secure, door):
    for method in (*sorted(door.methods), "HEAD", "OPTIONS", "PUT"):
        assert knock(secure.web, Knock(method, door.path, host=EVIL)).status_code == 400


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:443"])
def test_our_own_name_is_served_however_it_is_spelled(secure, host):
    assert knock(secure.web, Knock(path="/recovery", host=host)).status_code == 200


@settings(max_examples=150, deadline=None)
@given(host=st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_host_at_all_makes_it_fail(secure, host):
    expected = {200} if host.lower() in {HOST, f"{HOST}:443"} else {400}
    assert knock(secure.web, Knock(path="/recovery", host=host)).status_code in expected


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-Host", "X-Forwarded-Server", "X-Original-URL"]
)
@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1"])
def test_no_other_header_stands_in_for_the_host_whoever_sends_it(secure, header, address):
    sent = ((header, f"host={EVIL}" if header == "Forwarded" else EVIL), ("X-Forwarded-Proto", "http"))
    forwarded = (("X-Forwarded-For", "192.0.2.9"),) if address == "10.0.0.1" else ()
    answer = knock(secure.web, Knock(path="/recovery", host=HOST, address=address, headers=(*sent, *forwarded)))
    assert answer.status_code == 200
    assert EVIL not in answer.text + str(answer.headers)
    # https is in PUBLIC_URL, not in what a request says
    assert "__Host-" in answer.headers["Set-Cookie"]
    assert "Strict-Transport-Security" in answer.headers


def test_redirects_lead_to_paths_and_never_name_a_host(secure):
    for door in DOORS:
        for method in sorted(door.methods):
            answer = knock(secure.web, Knock(method, door.path, host=HOST))
            location = answer.headers.get("Location", "/")
            assert location.startswith("/")
            assert not location.startswith("//")


@pytest.mark.parametrize(
    "path", ["//sign-in", "///evil.example/..", "/sign-in//password", "//evil.example", "/.//evil.example"]
)
def test_double_slashes_lead_nowhere_else(secure, path):
    answer = knock(secure.web, Knock(path=path, host=HOST))
    assert answer.status_code == (200 if path == "//sign-in" else 404)
    assert "Location" not in answer.headers


def test_messages_name_the_configured_host_whatever_the_browser_said(secure):
    browser = secure.browser(**AT_HOME)
    browser.recover_to_password(secure, "jane", PHONE)
    browser.post("/recovery/password", new_password=NEW_PASSWORD, confirm_password=NEW_PASSWORD)
    # whoever tries with another name gets nowhere, so no message comes of it
    count = len(secure.phone.texts)
    body = form([("user_id", "jane")])
    assert knock(secure.web, Knock("POST", "/recovery", body=body, kind=FORM, host=EVIL)).status_code == 400
    secure.deliver()
    texts = [text.body for text in secure.phone.texts] + [mail.text for mail in secure.mailbox.mails]
    assert len(secure.phone.texts) == count + 1
    assert any(f"@{HOST} #" in text for text in texts)
    assert any(ORIGIN in text for text in texts)
    assert not any(EVIL in text for text in texts)
    assert all(HOST in str(mail.message["Message-ID"]) for mail in secure.mailbox.mails)


# ---- probes of this machine


@pytest.mark.parametrize("host", ["127.0.0.1:8470", "127.0.0.1", "localhost:8470", "[::1]:8470", "[::1]", HOST])
def test_probes_may_name_this_machine_instead(secure, host):
    assert knock(secure.web, Knock(path="/healthz", host=host)).status_code == 200
    others = {200} if host == HOST else {400}
    assert knock(secure.web, Knock(path="/recovery", host=host)).status_code in others


def test_probes_may_name_nobody_else(secure):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert knock(secure.web, Knock(path=path, host=EVIL, address="127.0.0.1")).status_code == 400
