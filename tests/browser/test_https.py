"""The portal as it stands on the open net: behind a reverse proxy that ends TLS, under a name of its own."""

import base64
import hashlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, Playwright, Response, Route, expect

from tests.browser.front import Front
from tests.browser.house import House, serving
from tests.browser.visitor import Visitor
from tests.edges import HOST, Certificates
from tests.faults.clients import free_port
from tests.pages.shots import ARGUMENTS

pytestmark = pytest.mark.browser

NAME = "portal.keyturn.test"
CLIENT = "198.51.100.7"  # of a block for documentation (RFC 5737)
CLAIMED = "203.0.113.99"  # likewise: what a visitor says to be
NEW = "seven lanterns over the mill"


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    """The proxy."""
    with Front(Certificates(NAME), (HOST, free_port()), CLIENT) as running:
        yield running


@pytest.fixture(scope="module")
def house(oathtool: Path, front: Front) -> Iterator[House]:
    """The portal behind it, which believes nobody else."""
    trusted = {"KEYTURN_TRUSTED_PROXIES": HOST}
    names, url = ["ines", "jonas", "kemal"], f"https://{NAME}:{front.port}"
    with serving(oathtool, names, public_url=url, port=front.behind[1], **trusted) as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium: Path, front: Front) -> Iterator[Browser]:
    """A browser that finds the name, and trusts this one certificate as if an authority had signed it."""
    shown = x509.load_pem_x509_certificate(ssl.get_server_certificate((HOST, front.port)).encode())
    key = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    trust = [f"--host-resolver-rules=MAP {NAME} {HOST}", f"--ignore-certificate-errors-spki-list={pin}"]
    started = playwright.chromium.launch(executable_path=str(chromium), args=[*ARGUMENTS, *trust])
    yield started
    started.close()


def test_a_password_is_recovered_over_https_with_cookies_that_nobody_can_plant(visitor: Visitor, house: House) -> None:
    person, page = house.somebody(), visitor.page
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks what it is given
    visitor.to_new_password(house, person)
    visitor.choose(NEW)
    visitor.at("/recovery/done")
    visitor.to_password(person.user_id)
    visitor.send(password=NEW)
    visitor.at("/sign-in/verify")

    cookies = visitor.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {
        "__Host-keyturn",
        "__Host-keyturn-recovery",
        "__Host-keyturn-sign-in",
    }
    for cookie in cookies:
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/"
        assert cookie["domain"] == NAME  # without a dot: of this host alone
        assert cookie["expires"] == -1
    assert page.evaluate("document.cookie") == ""
    # what comes out of the browser's own cache has lost the header
    fresh = [answer for answer in answers if "/static/" not in answer.url]
    assert {answer.headers.get("strict-transport-security") for answer in fresh} == {
        "max-age=63072000; includeSubDomains"
    }
    assert {answer.status for answer in answers if answer.request.method == "POST"} == {303}

    in_the_clear = f"http://{visitor.address.removeprefix('https://')}/sign-in"
    page.goto(in_the_clear)
    visitor.at("/sign-in")  # the browser itself knows better now
    visitor.complaints.remove(f"another site was asked: {in_the_clear}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

    # the last line binds the PIN to this site, so that browsers offer it nowhere else
    assert house.phone.to(person.phone)[0].body.endswith(f"@{NAME} #{house.phone.to(person.phone)[0].pin}")
    assert f"from {CLIENT}" in house.text(person, 2).body
    assert f"From: {CLIENT}" in house.mail(person).text


def test_the_address_is_the_one_that_the_trusted_proxy_saw(visitor: Visitor, house: House) -> None:
    visitor.context.set_extra_http_headers({"X-Forwarded-For": CLAIMED})
    before = len(house.logged(event="request"))
    visitor.to_token(house.somebody().user_id)
    visitor.send(code="000000")
    expect(visitor.alert).to_be_visible()
    seen = house.logged(event="request")[before:]
    assert len(seen) >= 6
    assert {line["address"] for line in seen} == {CLIENT}


def test_a_form_is_refused_without_its_referrer_and_from_another_site(visitor: Visitor, house: House) -> None:
    page, person = visitor.page, house.somebody()
    post = """([address, referrerPolicy]) => fetch(address, {
        method: "POST", referrerPolicy, body: new URLSearchParams({
            user_id: "jane", csrf_token: document.querySelector("[name=csrf_token]").value })
    }).then((answer) => answer.status)"""
    visitor.go("/sign-in")
    assert page.evaluate(post, [f"{visitor.address}/sign-in", "same-origin"]) == 200  # followed to the next step
    assert page.evaluate(post, [f"{visitor.address}/sign-in", "no-referrer"]) == 400

    def trap(route: Route) -> None:
        form = f'<form method=post action="{visitor.address}/sign-in"><input name=user_id value="{person.user_id}">'
        route.fulfill(content_type="text/html", body=f"{form}<button>Win a prize</button></form>")

    visitor.context.route("https://elsewhere.test/", trap)
    page.goto("https://elsewhere.test/")
    with page.expect_response(f"{visitor.address}/sign-in") as answered:
        page.get_by_role("button").click()
    assert answered.value.status == 400
    visitor.complaints.remove("another site was asked: https://elsewhere.test/")
