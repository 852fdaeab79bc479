"""The headers of every answer: whichever door, method and status (requirements W-07, W-08, ASVS 3.4)."""

import mimetypes
from ipaddress import ip_network
from typing import Any

import pytest

from app.foundation.settings import ROOT
from tests.doors import DOORS, FORM, OWN, PHONE, STANDS, Knock, cookies_of, form, knock, stand_at, standing, token_in
from tests.edges import closed_port
from tests.foundation.web.conftest import AT_HOME, HOST
from tests.portal import Browser, Portal

CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "object-src": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "0",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=63072000; includeSubDomains"
TEXTS = {"text/html", "text/plain", "text/css", "text/javascript"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


def complaints(answer, *, secure: bool, lasting: bool = False) -> list[str]:
    """What is wrong with an answer's headers; empty where nothing is."""
    headers = answer.headers
    wrong = [f"{name}: {headers.get(name)}" for name, value in ALWAYS.items() if headers.getlist(name) != [value]]
    policy = dict(part.strip().partition(" ")[::2] for part in headers.get("Content-Security-Policy", "").split(";"))
    if policy != CSP:
        wrong.append(f"Content-Security-Policy: {policy}")
    if headers.getlist("Strict-Transport-Security") != ([HSTS] if secure else []):
        wrong.append(f"Strict-Transport-Security: {headers.get('Strict-Transport-Security')}")
    cache = "public, max-age=31536000, immutable" if lasting else "no-store"
    if headers.getlist("Cache-Control") != [cache]:
        wrong.append(f"Cache-Control: {headers.getlist('Cache-Control')}")
    denied = dict(part.strip().partition("=")[::2] for part in headers.get("Permissions-Policy", "").split(","))
    if not {"camera", "geolocation", "microphone", "payment", "usb"} <= denied.keys() or set(denied.values()) != {"()"}:
        wrong.append(f"Permissions-Policy: {denied}")
    request_id = headers.get("X-Request-Id", "")
    if len(request_id) != 32 or set(request_id) - set("0123456789abcdef"):
        wrong.append(f"X-Request-Id: {request_id}")
    wrong += [name for name in ("Server", "X-Powered-By", "Access-Control-Allow-Origin", "Via") if name in headers]
    kind = headers.get("Content-Type", "")
    if answer.mimetype in TEXTS and "charset=utf-8" not in kind:
        wrong.append(f"Content-Type: {kind}")
    if answer.status_code in {429, 503} and not headers.get("Retry-After", "").isdigit():
        wrong.append(f"Retry-After: {headers.get('Retry-After')}")
    if lasting and "Set-Cookie" in headers:
        wrong.append("Set-Cookie on what is cached")
    return wrong


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.rule)
@pytest.mark.parametrize("https", [False, True])
def test_every_door_answers_every_method_with_all_headers(house, secure, door, https):
    web, host = (secure.web, HOST) if https else (house.web, "localhost")
    for method in METHODS:
        for address in ("192.0.2.1", "127.0.0.1"):
            for body in (b"", b"x" * 70_000):
                asked = Knock(method, door.path, host=host, address=address, body=body, kind=FORM if body else "")
                answer = knock(web, asked)
                assert complaints(answer, secure=https) == [], (method, answer.status)
                if method in {"PUT", "PATCH", "DELETE", "TRACE", "BREW"}:
                    assert answer.status_code in {404, 405}
                assert answer.status_code < 500


@pytest.mark.parametrize("step", STANDS)
def test_every_step_of_a_flow_has_all_headers_when_it_is_due(secure, step):
    secure.base.clock.advance(86_400)
    browser = stand_at(secure, step, "jane", AT_HOME)
    for door in OWN:
        if door.stand != step:
            continue
        if "GET" in door.methods:
            answer = browser.get(door.path)
            assert answer.status_code in {200, 303}
            assert complaints(answer, secure=True) == []
        if "POST" in door.methods:
            for text in ("", "x"):
                fields: dict[str, Any] = dict.fromkeys(door.fields, text)
                answer = browser.post(door.path, **fields)
                assert answer.status_code in {303, 409, 422, 429}
                assert complaints(answer, secure=True) == []


def browser_at(portal: Portal) -> Browser:
    browser = portal.browser()
    browser.get("/recovery")
    return browser


def test_400_404_405_409_413_and_422_have_all_headers(house):
    browser = browser_at(house)
    token = browser.token()
    answers = {
        400: browser.post("/recovery", token=False, user_id="jane"),
        404: browser.get("/no-such-page"),
        405: knock(house.web, Knock("POST", "/healthz")),
        409: browser.post("/recovery/pin", csrf_token=token, pin="123456"),
        413: knock(house.web, Knock("POST", "/recovery", body=b"x" * 65_537, kind=FORM)),
        422: browser.post("/recovery", csrf_token=token, user_id=""),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert complaints(answer, secure=False) == []
        assert answer.mimetype == "text/html"
        assert 'role="alert"' in answer.text
    assert answers[405].headers["Allow"] == "GET, HEAD, OPTIONS"


def test_answers_for_scripts_have_all_headers_and_are_json(house):
    for answer in (
        house.browser().get("/recovery/pin/status"),
        knock(house.web, Knock("POST", "/recovery/pin/status")),
    ):
        assert answer.status_code in {405, 409}
        assert answer.mimetype == "application/json"
        assert (answer.json or {})["error"]
        assert complaints(answer, secure=False) == []


def test_429_has_all_headers(sqlite_template, valkey_server, tmp_path):
    valkey_server.flush()
    with standing(sqlite_template, tmp_path, valkey_server.url, limit_starts_per_address=1) as portal:
        browser = browser_at(portal)
        assert browser.post("/recovery", user_id="jane").status_code == 303
        browser.get("/recovery?user_id=")
        answer = browser.post("/recovery", user_id="jane")
    assert answer.status_code == 429
    assert complaints(answer, secure=False) == []


def test_503_has_all_headers_and_nothing_goes_on_without_the_store(sqlite_template, tmp_path):
    with closed_port() as port, standing(sqlite_template, tmp_path, f"redis://127.0.0.1:{port}") as portal:
        browser = browser_at(portal)
        answer = browser.post("/recovery", user_id="jane")
        assert answer.status_code == 503
        assert complaints(answer, secure=False) == []
        assert 'role="alert"' in answer.text
        for path in ("/recovery/other-ways", "/sign-in", "/healthz"):
            assert browser.get(path).status_code == 200


def test_503_where_the_database_does_not_answer(sqlite_template, valkey_server, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with standing(sqlite_template, folder, valkey_server.url) as portal:
        browser = browser_at(portal)
        portal.base.database.close()
        folder.rename(tmp_path / "elsewhere")
        answer = browser.post("/recovery", user_id="jane")
    assert answer.status_code == 503
    assert complaints(answer, secure=False) == []


@pytest.mark.parametrize("https", [False, True])
def test_500_has_all_headers_and_tells_nothing_but_a_number(sqlite_template, valkey_server, tmp_path, https):
    origin = f"https://{HOST}" if https else "http://localhost"
    with standing(sqlite_template, tmp_path, valkey_server.url, public_url=origin) as portal:

        @portal.web.get("/fails")
        def fails() -> str:
            secret = "marked-local"
            raise RuntimeError(f"marked {secret}")

        answer = knock(portal.web, Knock(path="/fails", host=HOST if https else "localhost"))
    assert answer.status_code == 500
    assert complaints(answer, secure=https) == []
    assert "marked" not in answer.text
    assert "RuntimeError" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


def test_the_number_of_a_request_is_ours_and_each_has_its_own(house):
    asked = Knock(path="/no-such-page", headers=(("X-Request-Id", "theirs"), ("X-Correlation-Id", "theirs")))
    answers = [knock(house.web, asked) for _ in range(3)]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3
    assert all(answer.headers["X-Request-Id"] in answer.text for answer in answers)
    assert "theirs" not in "".join(answer.text + str(answer.headers) for answer in answers)


def test_the_demo_has_all_headers_too(sqlite_template, valkey_server, tmp_path):
    with standing(sqlite_template, tmp_path, valkey_server.url, demo=True) as portal:
        portal.add("jane", phone=PHONE)
        browser = portal.browser(REMOTE_ADDR="127.0.0.1")
        for door in DOORS:
            for method in sorted(door.methods):
                if method == "GET":
                    answer = browser.get(door.path)
                else:
                    answer = browser.post(door.path, channel="sms", failing="off", language="de")
                assert complaints(answer, secure=False) == [], door.rule
        assert browser.get("/demo").status_code == 200


def test_the_language_of_a_refusal_is_the_visitors(secure):
    german = (("Accept-Language", "de"),)
    for asked in (
        Knock(path="/no-such-page", host=HOST, headers=german),
        Knock(path="/recovery", host="evil.example", headers=german),
        Knock("POST", "/recovery", host=HOST, headers=german, body=b"x" * 65_537, kind=FORM),
        Knock("POST", "/recovery", host=HOST, headers=(*german, ("Sec-Fetch-Site", "cross-site"))),
        Knock(path="/recovery", host=HOST, address="10.0.0.1", headers=(*german, ("X-Forwarded-For", "x"))),
    ):
        assert '<html lang="de">' in knock(secure.web, asked).text


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de", "de"),
        ("de;q=0", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("en;q=0.1, de;q=0.2", "de"),
        ("fr, de;q=0.5", "de"),
        ("*", "en"),
        ("", "en"),
        (";;;q=x,,\x00", "en"),
    ],
)
def test_the_language_is_what_the_browser_asks_for(house, accepted, language):
    answer = knock(house.web, Knock(path="/recovery", headers=(("Accept-Language", accepted),)))
    assert f'<html lang="{language}">' in answer.text


# ---- files


def _files(portal: Portal) -> dict[str, str]:
    url: Any = portal.web.jinja_env.globals["static_url"]
    names = [path.name for path in (ROOT / "static").iterdir() if path.is_file()]
    return {name: url(name) for name in (*names, "brand.css")}


def test_files_last_for_ever_under_the_hash_of_what_is_in_them(secure):
    for name, path in _files(secure).items():
        for method in ("GET", "HEAD"):
            answer = knock(secure.web, Knock(method, path, host=HOST))
            assert answer.status_code == 200
            assert complaints(answer, secure=True, lasting=True) == []
            assert answer.mimetype == mimetypes.guess_type(name)[0]


def test_a_file_that_is_not_there_is_not_remembered(secure):
    folder = next(iter(_files(secure).values())).rpartition("/")[0]
    for path in (
        f"{folder}/none.css",
        f"{folder}/../../pyproject.toml",
        f"{folder}//etc/passwd",
        "/static/0/app.css",
        "/static/",
        f"{folder}/",
    ):
        answer = knock(secure.web, Knock(path=path, host=HOST))
        assert answer.status_code == 404
        assert complaints(answer, secure=True) == []


def test_the_hash_changes_with_the_brand_and_the_brand_is_in_the_file(sqlite_template, valkey_server, tmp_path, house):
    with standing(sqlite_template, tmp_path, valkey_server.url, brand_colour="#aa0000") as portal:
        ours, theirs = _files(portal), _files(house)
        assert ours.keys() == theirs.keys()
        assert not set(ours.values()) & set(theirs.values())
        assert "#aa0000" in knock(portal.web, Knock(path=ours["brand.css"])).text


# ---- forged requests (requirement W-10); the cookies' part is in test_cookies.py


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE", "", "rubbish"])
def test_a_post_that_a_browser_says_comes_from_elsewhere_is_refused(house, site):
    browser = browser_at(house)
    asked = Knock(
        "POST",
        "/recovery",
        body=form([("csrf_token", browser.token()), ("user_id", "jane")]),
        kind=FORM,
        cookie=cookies_of(browser),
        headers=(("Sec-Fetch-Site", site),),
    )
    assert knock(house.web, asked).status_code == 400


@pytest.mark.parametrize("site", [None, "same-origin", "none"])
def test_a_post_from_here_or_from_an_old_browser_is_taken(house, site):
    browser = browser_at(house)
    asked = Knock(
        "POST",
        "/recovery",
        body=form([("csrf_token", browser.token()), ("user_id", "jane")]),
        kind=FORM,
        cookie=cookies_of(browser),
        headers=(("Sec-Fetch-Site", site),) if site else (),
    )
    assert knock(house.web, asked).status_code == 303


@pytest.mark.parametrize(
    ("referer", "status"),
    [
        (f"https://{HOST}/recovery", 303),
        (f"https://{HOST}/", 303),
        (None, 400),
        ("", 400),
        (f"http://{HOST}/recovery", 400),
        (f"https://{HOST}.evil.example/", 400),
        (f"https://evil.example/{HOST}/", 400),
        (f"https://{HOST}:8443/", 400),
        ("https://evil.example/", 400),
        ("rubbish", 400),
        ("https://[", 400),
        ("\xff", 400),
    ],
)
def test_on_https_a_post_has_to_come_from_a_page_of_ours(secure, referer, status):
    page = knock(secure.web, Knock(path="/recovery", host=HOST))
    asked = Knock(
        "POST",
        "/recovery",
        body=form([("csrf_token", token_in(page.text)), ("user_id", "jane")]),
        kind=FORM,
        cookie=page.headers["Set-Cookie"].partition(";")[0],
        host=HOST,
        headers=() if referer is None else (("Referer", referer),),
    )
    assert knock(secure.web, asked).status_code == status


def test_a_trusted_proxy_changes_none_of_it(sqlite_template, valkey_server, tmp_path):
    proxies = (ip_network("10.0.0.1"),)
    with standing(
        sqlite_template, tmp_path, valkey_server.url, public_url=f"https://{HOST}", trusted_proxies=proxies
    ) as portal:
        for forwarded in ((("X-Forwarded-For", "192.0.2.1"),), (("X-Forwarded-For", "rubbish"),)):
            answer = knock(portal.web, Knock(path="/recovery", host=HOST, address="10.0.0.1", headers=forwarded))
            assert complaints(answer, secure=True) == []
