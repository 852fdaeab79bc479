"""Cookies: opaque, ours alone, new at each proof; and the tokens that bind a form to the browser it was given to."""

import base64
import json
import re
import time
import zlib
from http.cookies import SimpleCookie

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from app.foundation.i18n import LANGUAGES
from tests.doors import EMAIL, FORM, OWN, PHONE, POSTED, Knock, cookies_of, form, knock, stand_at, token_in
from tests.foundation.web.conftest import AT_HOME, HOST
from tests.portal import NEW_PASSWORD, PASSWORD

BROWSER = "keyturn"
RECOVERY = "keyturn-recovery"
SIGN_IN = "keyturn-sign-in"
LANGUAGE = "keyturn-language"
READABLE = ("jane", PHONE, PHONE[1:], EMAIL, "recovery", "token", PASSWORD)


@pytest.fixture(autouse=True)
def _later(house, secure):
    """Each test begins a day later, when no code was used, no try is remembered and nothing is left to send."""
    for portal in (house, secure):
        portal.deliver()
        portal.base.clock.advance(86_400)


def set_cookies(answer) -> dict[str, str]:
    """The Set-Cookie headers of an answer by name."""
    lines = answer.headers.getlist("Set-Cookie")
    named = {line.partition("=")[0]: line for line in lines}
    assert len(named) == len(lines)
    return named


def walk(portal, environ):
    """Every answer that sets a cookie, from the first page to the end of a recovery and a sign-in."""
    browser = portal.browser(**environ)
    answers = [browser.get("/recovery"), browser.post("/recovery", user_id="jane")]
    browser.get("/recovery/token")
    answers.append(browser.post("/recovery/token", code=portal.code("jane")))
    browser.get("/recovery/pin")
    portal.deliver()
    answers.append(browser.post("/recovery/pin", pin=portal.last_pin(PHONE)))
    browser.get("/recovery/password")
    new = f"{NEW_PASSWORD} {portal.base.chance.name()}"
    answers.append(browser.post("/recovery/password", new_password=new, confirm_password=new))
    browser.get("/sign-in")
    answers.append(browser.post("/sign-in", user_id="jane"))
    browser.get("/sign-in/password")
    answers.append(browser.post("/sign-in/password", password=new))
    browser.get("/sign-in/verify")
    answers.append(browser.post("/language", language="de", next="/"))
    assert [answer.status_code for answer in answers] == [200] + [303] * 7
    return answers


# ---- their shape


@pytest.mark.parametrize("https", [False, True])
def test_every_cookie_is_for_this_host_alone_and_out_of_reach_of_scripts(house, secure, https):
    names = set()
    for answer in walk(secure, AT_HOME) if https else walk(house, {}):
        for name, line in set_cookies(answer).items():
            names.add(name)
            attributes = {part.strip().partition("=")[0]: part.partition("=")[2] for part in line.split(";")[1:]}
            if "Max-Age" in attributes:  # taken back
                assert attributes.pop("Max-Age") == "0"
                attributes.pop("Expires")
            expected = {"HttpOnly": "", "Path": "/", "SameSite": "Lax"} | ({"Secure": ""} if https else {})
            assert attributes == expected, line
            assert len(line) < 4096
    prefix = "__Host-" if https else ""
    assert names == {f"{prefix}{name}" for name in (BROWSER, RECOVERY, SIGN_IN, LANGUAGE)}
    assert not any("session" in name.lower() for name in names)


def _decodings(value: str) -> list[bytes]:
    """What anybody could try to read out of a cookie."""
    found = [value.encode()]
    for part in re.split(r"[.:|]", value):
        for padded in (part, part + "=" * (-len(part) % 4)):
            for decode in (base64.urlsafe_b64decode, base64.b64decode, base64.b32decode, bytes.fromhex):
                try:
                    octets = decode(padded)
                except ValueError:
                    continue
                found.append(octets)
                for bits in (15, -15, 31):
                    try:
                        found.append(zlib.decompress(octets, bits))
                    except zlib.error:
                        continue
    return found


def test_nothing_can_be_read_out_of_a_cookie_and_all_that_hold_something_have_one_shape(house):
    shapes: dict[str, set[int]] = {}
    for answer in walk(house, {}):
        for name, line in set_cookies(answer).items():
            value = SimpleCookie(line)[name].value
            if name == LANGUAGE:
                assert value in LANGUAGES
                continue
            if value:
                shapes.setdefault(name, set()).add(len(value))
                assert re.fullmatch(r"[A-Za-z0-9_-]{43}(\.[0-9a-f]{32})?", value)
            for decoded in _decodings(value):
                assert not any(word.encode() in decoded.lower() for word in READABLE), name
                with pytest.raises(ValueError):
                    json.loads(decoded)
    assert shapes == {BROWSER: {76}, RECOVERY: {43}, SIGN_IN: {43}}


def test_a_page_without_a_form_sets_no_cookie(house):
    for path in ("/", "/healthz", "/recovery/pin/status", "/.well-known/security.txt"):
        assert "Set-Cookie" not in house.browser().get(path).headers


def test_a_browser_keeps_its_cookie_and_is_given_no_second_one(house):
    browser = house.browser()
    assert set_cookies(browser.get("/recovery"))
    for path in ("/recovery", "/sign-in", "/recovery/other-ways", "/no-such-page"):
        assert "Set-Cookie" not in browser.get(path).headers


# ---- what we did not give out is never adopted (S1-08)


@pytest.mark.parametrize(
    "planted",
    [
        "x",
        "x" * 43,
        "x" * 43 + "." + "0" * 32,
        "." + "0" * 32,
        ".",
        "",
        "x" * 4000,
        "ü",
        "\xff",
        '"\\303\\077"',
        '"\\377"',
        "a b",
        "%00",
    ],
)
def test_a_planted_cookie_is_replaced_and_no_flow_begins_under_it(house, planted):
    names = (BROWSER, RECOVERY, SIGN_IN)
    cookie = "; ".join(f"{name}={planted}" for name in names)
    page = knock(house.web, Knock(path="/recovery", cookie=cookie))
    assert page.status_code == 200
    given_cookie = set_cookies(page)[BROWSER].partition(";")[0]
    assert given_cookie != f"{BROWSER}={planted}"
    for path in ("/recovery/token", "/recovery/pin", "/recovery/password", "/recovery/done", "/sign-in/password"):
        assert knock(house.web, Knock(path=path, cookie=cookie)).status_code == 303
    assert knock(house.web, Knock(path="/recovery/pin/status", cookie=cookie)).status_code == 409
    body = form([("csrf_token", token_in(page.text)), ("user_id", "jane")])
    begun = knock(
        house.web, Knock("POST", "/recovery", body=body, kind=FORM, cookie=f"{given_cookie}; {RECOVERY}={planted}")
    )
    assert begun.status_code == 303
    flow = SimpleCookie(set_cookies(begun)[RECOVERY])[RECOVERY].value
    assert flow != planted
    assert knock(house.web, Knock(path="/recovery/token", cookie=f"{RECOVERY}={planted}")).status_code == 303
    assert knock(house.web, Knock(path="/recovery/token", cookie=f"{RECOVERY}={flow}")).status_code == 200


def test_the_seal_of_a_browsers_cookie_is_checked_whole(house):
    value = SimpleCookie(set_cookies(house.browser().get("/recovery"))[BROWSER])[BROWSER].value
    assert "Set-Cookie" not in knock(house.web, Knock(path="/recovery", cookie=f"{BROWSER}={value}")).headers
    for place in range(len(value)):
        other = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        for altered in (other, value[:place], value[:place] + value[place + 1 :], value + value[place]):
            assert "Set-Cookie" in knock(house.web, Knock(path="/recovery", cookie=f"{BROWSER}={altered}")).headers


@settings(max_examples=60, deadline=None)
@given(
    raw=st.text(st.characters(max_codepoint=255), max_size=200),
    name=st.sampled_from([BROWSER, RECOVERY, SIGN_IN, LANGUAGE]),
)
def test_no_cookie_header_makes_it_fail(house, raw, name):
    for cookie in (raw, f"{name}={raw}", f'{name}="{raw}"'):
        answer = knock(house.web, Knock(path="/recovery", cookie=cookie))
        assert answer.status_code in {200, 303}
    assert knock(house.web, Knock(path="/recovery/token", cookie=cookie)).status_code == 303


def test_the_cookie_of_one_name_does_not_serve_for_another(secure):
    """With https only the __Host- names count, so that no subdomain can plant one."""
    browser = stand_at(secure, "recovery/token", "jane", AT_HOME)
    flow = SimpleCookie(cookies_of(browser))[f"__Host-{RECOVERY}"].value
    for name, status in (
        (f"__Host-{RECOVERY}", 200),
        (RECOVERY, 303),
        (f"__Host-{SIGN_IN}", 303),
        (f"__host-{RECOVERY}", 303),
    ):
        assert (
            knock(secure.web, Knock(path="/recovery/token", host=HOST, cookie=f"{name}={flow}")).status_code == status
        )


# ---- a new one at each proof, and the old one is worth nothing (S1-08, ASVS 7.2.4)


def test_the_cookie_of_a_recovery_changes_with_each_proof_and_older_ones_do_nothing(house):
    browser = house.browser()
    held = [browser.cookie(RECOVERY)]

    def step(path: str, **fields: str) -> None:
        assert browser.post(path, **fields).status_code == 303
        held.append(browser.cookie(RECOVERY))

    browser.get("/recovery")
    step("/recovery", user_id="jane")
    browser.get("/recovery/token")
    step("/recovery/token", code=house.code("jane"))
    browser.get("/recovery/pin")
    house.deliver()
    pin = house.last_pin(PHONE)
    step("/recovery/pin", pin=pin)
    browser.get("/recovery/password")
    new = f"{NEW_PASSWORD} {house.base.chance.name()}"
    messages = len(house.phone.texts)
    replay(house, browser, held[1:-1], code=house.code("jane", 1), pin=pin, new_password=new, confirm_password=new)
    step("/recovery/password", new_password=new, confirm_password=new)
    assert browser.get("/recovery/done").status_code == 200
    assert len(set(held)) == len(held) == 5
    replay(house, browser, held[1:-1], code=house.code("jane", 1), pin=pin, new_password=new, confirm_password=new)
    house.deliver()
    assert len(house.phone.texts) == messages + 1  # the notice


def replay(house, browser, values, **fields: str) -> None:
    """Every page and form of a recovery with cookies that were replaced."""
    mine = browser.cookie(BROWSER)
    body = form([("csrf_token", browser.token()), ("channel", "sms"), *fields.items()])
    for value in values:
        cookie = f"{BROWSER}={mine}; {RECOVERY}={value}"
        for path in ("token", "pin", "pin/send", "password", "unlock", "done"):
            page = knock(house.web, Knock(path=f"/recovery/{path}", cookie=cookie))
            assert page.status_code == 303
            if path != "done":
                done = knock(house.web, Knock("POST", f"/recovery/{path}", body=body, kind=FORM, cookie=cookie))
                assert done.status_code == 409, path
                assert RECOVERY not in set_cookies(done)
        assert knock(house.web, Knock(path="/recovery/pin/status", cookie=cookie)).status_code == 409


def test_the_cookie_of_a_sign_in_changes_with_the_password(house):
    house.add("omar", phone=PHONE)
    browser = stand_at(house, "sign-in/password", "omar")
    before = browser.cookie(SIGN_IN)
    assert browser.post("/sign-in/password", password=PASSWORD).status_code == 303
    after = browser.cookie(SIGN_IN)
    assert before != after
    again = f"{BROWSER}={browser.cookie(BROWSER)}; {SIGN_IN}={before}"
    assert knock(house.web, Knock(path="/sign-in/verify", cookie=again)).status_code == 303
    body = form([("csrf_token", browser.token()), ("password", PASSWORD)])
    assert knock(house.web, Knock("POST", "/sign-in/password", body=body, kind=FORM, cookie=again)).status_code == 409


def test_a_wrong_proof_changes_nothing(house):
    browser = stand_at(house, "recovery/token", "jane")
    before = cookies_of(browser)
    assert browser.post("/recovery/token", code=house.wrong_code("jane")).status_code == 422
    assert cookies_of(browser) == before


def test_a_cookie_ends_with_its_flow(house):
    browser = stand_at(house, "recovery/pin", "jane")
    house.base.clock.advance(900)
    page = browser.get("/recovery/pin")
    assert (page.status_code, page.location) == (303, "/recovery")
    assert browser.post("/recovery/pin", pin="123456").status_code == 409


# ---- tokens (W-10, S-11)


NO_FORMS = {"signed", "program", "client"}  # of programs, which send no cookie


@pytest.mark.parametrize("door", [door for door in POSTED if door.guard not in NO_FORMS], ids=lambda door: door.rule)
def test_no_form_is_taken_without_the_token_of_this_browser(house, door):
    browser, other = house.browser(), house.browser()
    browser.get("/recovery")
    other.get("/recovery")
    mine = browser.token()
    head, _, tail = mine.rpartition(".")
    tokens = [
        None,
        "",
        "x",
        mine[:-1],
        mine + "x",
        f"{head}.{tail[::-1]}",
        other.token(),
        browser.cookie(BROWSER),
        "." * 9,
        "\x00",
    ]
    for token in tokens:
        fields = {} if token is None else {"csrf_token": token}
        answer = browser.post(door.path, token=False, **fields, **dict.fromkeys(door.fields, "x"))
        assert answer.status_code == 400, token
        assert answer.headers.getlist("Set-Cookie") == []
    # in a header, the address, JSON or another field it is none
    cookie = cookies_of(browser)
    for asked in (
        Knock("POST", door.path, kind=FORM, cookie=cookie, headers=(("X-CSRFToken", mine), ("X-CSRF-Token", mine))),
        Knock("POST", door.path, query=f"csrf_token={mine}", kind=FORM, cookie=cookie),
        Knock(
            "POST", door.path, body=json.dumps({"csrf_token": mine}).encode(), kind="application/json", cookie=cookie
        ),
        Knock("POST", door.path, body=f"csrf_token={mine}".encode(), kind="text/plain", cookie=cookie),
        Knock("POST", door.path, body=f"csrf_token={mine}".encode(), kind=FORM),
    ):
        assert knock(house.web, asked).status_code == 400
    # with it the door does what it does for this browser
    assert (
        browser.post(door.path, csrf_token=mine, **dict.fromkeys(door.fields, "x")).status_code != 400
        or door.rule == "/language"
    )


def test_only_the_doors_of_programs_go_without_a_token(house):
    exempt = {door.rule for door in POSTED if knock(house.web, Knock("POST", door.path, kind=FORM)).status_code != 400}
    assert exempt == {door.rule for door in POSTED if door.guard in NO_FORMS}


def test_a_get_never_counts_as_a_form(house):
    browser = stand_at(house, "recovery/pin", "jane")
    before = len(house.phone.texts)
    for door in OWN:
        if "GET" in door.methods:
            browser.get(
                door.path, query_string={"csrf_token": browser.token(), "channel": "email", "pin": "1", "code": "1"}
            )
    house.deliver()
    assert len(house.phone.texts) == before + 1  # the one that the step before had asked for
    assert browser.get("/recovery/pin").status_code == 200


def token_of_age(web, browser, seconds: int) -> str:
    """The token that this browser would have been given so long ago."""

    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) - seconds

    with web.test_request_context("/", headers={"Cookie": cookies_of(browser), "Host": "localhost"}) as context:
        secret = context.session["csrf_token"]
    return str(URLSafeTimedSerializer(web.secret_key, salt="wtf-csrf-token", signer=Earlier).dumps(secret))


def test_a_page_that_was_open_for_hours_still_works(house):
    browser = house.browser()
    browser.get("/recovery")
    token = token_of_age(house.web, browser, 2 * 3_600)
    assert token != browser.token()
    house.base.clock.advance(2 * 3_600)
    assert browser.post("/recovery", csrf_token=token, user_id="jane").status_code == 303
    stranger = house.browser()
    stranger.get("/recovery")
    assert stranger.post("/recovery", csrf_token=token, user_id="jane").status_code == 400


# ---- the language


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/recovery", "/recovery"),
        ("/recovery?user_id=jane", "/recovery?user_id=jane"),
        ("/sign-in/password", "/sign-in/password"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("/recovery\r\nSet-Cookie: x=y", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil.example", "/"),
        (" /recovery", "/"),
        ("/ümlaut", "/"),
        ("/" + "x" * 300, "/"),
        ("/no-such-page", "/"),
        ("/language", "/"),
        ("/webhooks/twilio/status", "/"),
        ("/recovery/..//evil.example", "/"),
        ("/recovery#//evil.example", "/"),
        ("/recovery?\\evil.example", "/"),
        ("", "/"),
    ],
)
def test_switching_the_language_leads_to_a_page_of_ours_and_nowhere_else(house, wanted, leads_to):
    browser = house.browser()
    browser.get("/recovery")
    answer = browser.post("/language", language="de", next=wanted)
    assert (answer.status_code, answer.location) == (303, leads_to)


def test_the_choice_lasts_and_goes_before_what_the_browser_asks_for(house):
    browser = house.browser(HTTP_ACCEPT_LANGUAGE="en")
    browser.get("/recovery")
    assert browser.post("/language", language="de").location == "/"
    assert '<html lang="de">' in browser.get("/recovery").text
    assert '<html lang="de">' in browser.get("/no-such-page").text


@pytest.mark.parametrize("language", ["", "fr", "DE", "de\x00", "../de", "de,en"])
def test_a_language_that_we_do_not_speak_is_refused_and_a_cookie_of_it_ignored(house, language):
    browser = house.browser()
    browser.get("/recovery")
    assert browser.post("/language", language=language).status_code == 400
    answer = knock(house.web, Knock(path="/recovery", cookie=f"{LANGUAGE}={language}"))
    assert '<html lang="en">' in answer.text
